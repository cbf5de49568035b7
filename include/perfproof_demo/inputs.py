"""The input files of the prerequisites, with what the demo really knows about itself."""

from __future__ import annotations

import http.client
import io
import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfproof.moments import stamp
from perfproof_demo.deployment import current, history
from perfproof_demo.errors import DemoError
from perfproof_demo.settings import HOST, DemoSettings, Side

PROBE_REQUESTS = 20
ORDERS_TARGET_MS = 250
_ORDERS_P95 = '1000 * histogram_quantile(0.95, sum by (le) (rate(shop_request_seconds_bucket{instance="$instance",route="orders"}[5m])))'
_QUOTE_P95 = _ORDERS_P95.replace("orders", "quote")
_REQUESTS = 'sum(rate(shop_requests_total{instance="$instance"}[5m]))'
_ERRORS = 'sum(rate(shop_requests_total{instance="$instance",outcome="error"}[5m]))'
# Title, Grafana's unit, query.
PANELS = (
    ("Orders latency p95", "ms", _ORDERS_P95),
    ("Quote latency p95", "ms", _QUOTE_P95),
    ("Requests", "reqps", _REQUESTS),
    ("Errors", "percentunit", f"{_ERRORS} / {_REQUESTS}"),
    ("Statements", "ops", 'sum(rate(shop_database_queries_total{instance="$instance"}[5m]))'),
    ("CPU", "percentunit", 'sum(rate(process_cpu_seconds_total{instance="$instance"}[5m]))'),
    ("Memory", "bytes", 'process_resident_memory_bytes{instance="$instance"}'),
)
# Name, condition, for, summary.
ALERTS = (
    ("OrdersLatencyHigh", f"{_ORDERS_P95} > {ORDERS_TARGET_MS}", "10m", f"p95 of order histories is above {ORDERS_TARGET_MS} ms"),
    ("ShopErrors", f"{_ERRORS} / {_REQUESTS} > 0.005", "5m", "more than 0.5 percent of the requests fail"),
    ("ShopDown", 'up{instance="$instance"} == 0', "1m", "the shop does not answer"),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """The demo's own timing of order histories, one request after the other."""

    started_at: datetime
    ended_at: datetime
    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The upper median in milliseconds."""
        return sorted(self.milliseconds)[len(self.milliseconds) // 2]

    @property
    def longest(self) -> float:
        """The slowest request in milliseconds."""
        return max(self.milliseconds)


def write_inputs(settings: DemoSettings, *, now: datetime) -> list[Path]:
    """Writes MONITORING-PACKAGE.zip, DEPLOYMENT-REPORT.md and INCIDENT-REPORT.md and returns their paths.

    The baseline has to run: the incident report holds what is measured of it here.
    """
    observation = observe(settings)
    contents = {
        "MONITORING-PACKAGE.zip": monitoring_package(settings, now=now),
        "DEPLOYMENT-REPORT.md": deployment_report(settings, now=now).encode(),
        "INCIDENT-REPORT.md": incident_report(observation, now=now).encode(),
    }
    settings.input_directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in contents.items():
        path = settings.input_directory / name
        new = path.with_name(name + ".new")
        new.write_bytes(content)
        new.replace(path)
        paths.append(path)
    return paths


def observe(settings: DemoSettings) -> Observation:
    """Times 20 order histories of the baseline, of customers spread over all of them."""
    started_at = datetime.now(UTC)
    times = []
    step = max(1, settings.size.customers // PROBE_REQUESTS)
    connection = http.client.HTTPConnection(HOST, settings.port("shop-baseline"), timeout=10)
    try:
        for number in range(PROBE_REQUESTS):
            started = time.perf_counter()
            connection.request("GET", f"/customers/{1 + number * step % settings.size.customers}/orders")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise DemoError(
                    171, where="shop-baseline", what="an order history failed", got=answer.status, fix="read logs/shop-baseline.log"
                )
            times.append((time.perf_counter() - started) * 1000)
    except OSError as error:
        raise DemoError(172, where="shop-baseline", what="no answer", got=str(error), fix="deploy the baseline first") from None
    finally:
        connection.close()
    return Observation(started_at, datetime.now(UTC), tuple(times))


def monitoring_package(settings: DemoSettings, *, now: datetime) -> bytes:
    """A ZIP of a Grafana dashboard and Prometheus alert rules for the baseline."""
    instance = f"{HOST}:{settings.port('shop-baseline')}"
    panels = [
        {
            "id": number,
            "type": "timeseries",
            "title": title,
            "fieldConfig": {"defaults": {"unit": unit}},
            "targets": [{"refId": "A", "expr": query.replace("$instance", instance)}],
        }
        for number, (title, unit, query) in enumerate(PANELS, start=1)
    ]
    rules = [
        {
            "alert": name,
            "expr": condition.replace("$instance", instance),
            "for": duration,
            "labels": {"severity": "page", "service": "shop"},
            "annotations": {"summary": summary},
        }
        for name, condition, duration, summary in ALERTS
    ]
    documents = {
        "package.json": {"generated_at": stamp(now), "service": "shop"},
        "dashboards/shop.json": {"uid": "perfproof-demo-shop", "title": "Demo shop", "schemaVersion": 39, "panels": panels},
        # JSON is YAML, and needs no library.
        "rules/shop.yaml": {"groups": [{"name": "shop", "rules": rules}]},
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for name, document in documents.items():
            package.writestr(zipfile.ZipInfo(name, now.timetuple()[:6]), json.dumps(document, indent=2) + "\n")
    return archive.getvalue()


def deployment_report(settings: DemoSettings, *, now: datetime) -> str:
    """What runs on the baseline, and every deployment that was made on it."""
    running = current(settings, Side.BASELINE)
    if running is None:
        raise DemoError(173, where="shop-baseline", what="nothing is deployed", fix="deploy the baseline first")
    rows = [
        ("shop", deployment.build, deployment.deployed_at, deployment.change)
        for deployment in history(settings)
        if deployment.side == Side.BASELINE
    ]
    note = f"The baseline of the demo shop runs build {running.build}; optimizations: {', '.join(running.optimizations) or 'none'}."
    return _report(
        "deployment",
        now,
        note,
        _table("Deployments", ("Service", "Build", "Deployed at", "Change"), rows),
    )


def incident_report(observation: Observation, *, now: datetime) -> str:
    """The one incident that the demo knows of: its own timing of order histories."""
    measured = (
        f"The demo's own observation: {len(observation.milliseconds)} order histories, one at a time: "
        f"median {observation.median:.1f} ms and longest {observation.longest:.1f} ms"
    )
    row = (
        "DEMO-1",
        "Slow order histories",
        stamp(observation.started_at),
        stamp(observation.ended_at),
        "SEV-3",
        "shop",
        measured,
    )
    columns = ("ID", "Title", "Started at", "Ended at", "Severity", "Services", "Impact")
    note = "The demo has no history of outages. It lists what it has measured of itself, and nothing else."
    return _report("incident", now, note, _table("Incidents", columns, [row]))


def _report(kind: str, now: datetime, note: str, table: str) -> str:
    title = kind.capitalize()
    return f"---\nreport: {kind}\ngenerated_at: {stamp(now)}\nservice: shop\n---\n\n# {title} report\n\n{note}\n\n{table}"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return f"## {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
