"""All of the demo target together: what runs, and how to end it."""

from __future__ import annotations

from perfproof_demo import postgres_server
from perfproof_demo.database import stop_database
from perfproof_demo.deployment import stop
from perfproof_demo.monitoring import stop_metrics
from perfproof_demo.processes import ProcessState, states
from perfproof_demo.settings import DemoSettings, Side
from perfproof_demo.traffic import stop_traffic


def processes(settings: DemoSettings) -> list[ProcessState]:
    """The processes of the target that were started and not stopped, alive or not; the database first."""
    found = states(settings)
    pid = postgres_server.recorded_pid(settings)
    if pid is not None:
        found.insert(0, ProcessState("database", pid, postgres_server.server_pid(settings) is not None))
    return found


def stop_target(settings: DemoSettings) -> list[str]:
    """Stops everything that `processes` lists and returns the names of what ran."""
    stopped = [("traffic", stop_traffic(settings))]
    stopped += [(f"shop-{side}", stop(settings, side)) for side in Side]
    stopped += [("metrics", stop_metrics(settings)), ("database", stop_database(settings))]
    return [name for name, ran in stopped if ran]
