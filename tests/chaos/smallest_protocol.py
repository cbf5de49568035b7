"""The protocol file of the kill matrix: the demo's, with the smallest load that still decides."""

from __future__ import annotations

import yaml
from airflow_rig import REPOSITORY
from stack import Stack

from perfproof_demo.settings import DEFAULT_PORT_BASE, Side

# The smallest load that still decides: the cells ask what survives, not how fast the shop is.
SMALLEST = {
    "peak": {"rate": 30, "seconds": 14, "warmup_seconds": 1},
    "stress": {"rates": [20, 40], "seconds_each": 3},
    "failure": {"rate": 20, "seconds": 6, "fault": "terminate_database_connections", "fault_at_second": 1, "recover_within_seconds": 4},
    "targets": {"p50_ms": 5000, "p95_ms": 10000, "p99_ms": 15000, "error_rate_percent": 20},
    "measurement": {"blocks": 6, "max_blocks": 16, "block_seconds": 3, "rate": 40, "warmup_seconds": 1},
}


def write_protocol(stack: Stack) -> None:
    """The demo's protocol with the ports of this stack and the smallest load."""
    settings = stack.demo.settings
    text = (REPOSITORY / "include" / "protocols" / "demo.yaml").read_text()
    for side in Side:
        shipped = DEFAULT_PORT_BASE + (1 if side is Side.BASELINE else 2)
        text = text.replace(f"port: {shipped}", f"port: {settings.port(f'shop-{side}')}")
    document = yaml.safe_load(text)
    document["load"]["profiles"] = {"smallest": SMALLEST}
    # Two cores that do everything else too: a starved shop is no finding here.
    document["load"]["abort"] = {"error_rate_percent": 95, "p99_ms": 60000, "over_seconds": 5}
    document["baseline"] |= {"window_seconds": 30, "min_coverage": 0.8, "min_samples": 10}
    (settings.home / "protocols" / "demo.yaml").write_text(yaml.safe_dump(document))
