"""A DAG of the kill smoke: one step of the package's own kind that publishes, stops where a test kills it, and publishes again."""

from __future__ import annotations

import os
import time
from typing import Any

from airflow.sdk import dag

from perfproof_airflow import settings
from perfproof_airflow.step import step


@step(opens_cycle=True)
def open_cycle(cycle: Any) -> str:
    """Opens the evidence."""
    return str(cycle.run)


@step
def work(cycle: Any, run: str) -> dict[str, Any]:
    """Publishes, waits while the file `holds/<run id>` is there, and publishes the rest."""
    cycle.publish("evidence/first.txt", lambda: b"before the kill")
    hold = settings.workspace_root() / "holds" / cycle.run_id
    while hold.exists():
        hold.with_name(f"{hold.name}.{os.getpid()}").write_text(str(os.getppid()))
        time.sleep(0.1)
    found: dict[str, Any] = cycle.publish("evidence/second.txt", lambda: b"after the kill")
    return found


@dag(schedule=None, catchup=False, is_paused_upon_creation=False, params={"protocol": "demo"})
def kill_smoke() -> None:
    work(open_cycle())


kill_smoke()
