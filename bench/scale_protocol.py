"""A protocol file of any number of services and metrics, made from the demo's, and a workspace that holds it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

DEMO = Path(__file__).parents[1] / "include" / "protocols" / "demo.yaml"
NAME = "scale"
# An hour at the demo's two seconds would be 1,800 samples a metric; recurring captures of an hour ask once a minute.
STEP_SECONDS = 60


def protocol_document(*, services: int, metrics: int, port: int = 18101) -> dict[str, Any]:
    """The demo's protocol with `services` services of `metrics` metrics each, at least those of the demo. All are at `port`."""
    document: dict[str, Any] = yaml.safe_load(DEMO.read_text())
    document["name"] = NAME
    document["baseline"] |= {
        "window_seconds": 3600,
        "step_seconds": STEP_SECONDS,
        "max_staleness_seconds": 2 * STEP_SECONDS,
        "regression_limit_percent": 200,
    }
    # A full measurement of every service has to fit in.
    document["load"]["max_tests"] *= services
    pattern = document["services"][0]
    pattern["endpoints"]["baseline"]["port"] = port
    document["services"] = [_service(pattern, number, metrics) for number in range(services)]
    for optimization in document["optimizations"]:
        optimization["service"] = document["services"][0]["name"]
    return document


def _service(pattern: dict[str, Any], number: int, metrics: int) -> dict[str, Any]:
    service = copy.deepcopy(pattern)
    service["name"] = service_name(number)
    own = service["metrics"][:metrics]
    for place in range(len(own), metrics):
        own.append(
            {
                "name": f"queue_time_{place:02}",
                "kind": "latency",
                "unit": "ms",
                "direction": "lower_is_better",
                "source": "prometheus",
                "query": f'1000 * avg_over_time(shop_queue_seconds{{instance="$instance",queue="q{place:02}"}}[$window])',
            }
        )
    service["metrics"] = own
    return service


def service_name(number: int) -> str:
    """The name of the service with that number, from 0."""
    return f"shop-{number:03}"


def write_workspace(root: Path, document: dict[str, Any]) -> None:
    """The workspace of a protocol below `root`, as `[perfproof] workspace` names it."""
    protocols = root / "include" / "protocols"
    protocols.mkdir(parents=True, exist_ok=True)
    (protocols / f"{NAME}.yaml").write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
