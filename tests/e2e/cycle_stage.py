"""The demo as a stage for tests: on ports and a workspace of its own, with a quick load profile, ended with all its processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from airflow_rig import REPOSITORY

from perfproof.run_key import run_key
from perfproof_demo.airflow_home import free_port
from perfproof_demo.airflow_processes import stop_airflow
from perfproof_demo.approvers import Approvers
from perfproof_demo.cycle import DAG, EVIDENCE, Choice, Demo, Ending
from perfproof_demo.settings import DemoSettings, Side
from perfproof_demo.target import stop_target

# Half the load of the demo: enough to decide, and quick.
QUICK = {
    "peak": {"rate": 30, "seconds": 14, "warmup_seconds": 2},
    "stress": {"rates": [30, 60], "seconds_each": 3},
    "failure": {"rate": 20, "seconds": 6, "fault": "terminate_database_connections", "fault_at_second": 1, "recover_within_seconds": 4},
    "targets": {"p50_ms": 1000, "p95_ms": 3000, "p99_ms": 6000, "error_rate_percent": 5},
    "measurement": {"blocks": 8, "block_seconds": 3, "rate": 40, "warmup_seconds": 2},
}


@dataclass
class Stage:
    """A running demo, and the evidence of what ran on it."""

    demo: Demo
    run_id: str = ""

    def run(self, answers: type[Approvers], *, change: Callable[[dict[str, Any]], None] = lambda _: None) -> tuple[Ending, Path]:
        """One cycle with a changed protocol file and scripted people; how it ended, and its evidence."""
        document = yaml.safe_load((REPOSITORY / "include" / "protocols" / "demo.yaml").read_text())
        for side in Side:
            port = self.demo.settings.port(f"shop-{side}")
            document["services"][0]["endpoints"][side]["port"] = port
        document["load"]["allow"] = [{"host": "127.0.0.1", "port": self.demo.settings.port(f"shop-{side}")} for side in Side]
        document["load"]["profiles"] = {"quick": QUICK}
        change(document)
        (self.demo.settings.home / "protocols" / "demo.yaml").write_text(yaml.safe_dump(document))
        state = self.demo.begin(Choice("index+batch", "auto"))
        self.run_id = state["run_id"]
        ending = self.demo.follow(state, answers=answers)
        return ending, self.demo.workspace / EVIDENCE / run_key(DAG, state["run_id"])


@contextmanager
def running_stage(
    workspace: Path, *, connections: Mapping[str, Mapping[str, Any]] | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """A demo in `workspace`, with further Connections and options of its Airflow, until the block ends."""
    base = free_port() // 100 * 100
    settings = DemoSettings(home=workspace / ".demo", port_base=min(max(base, 20000), 60000))
    demo = Demo.of(settings, workspace=workspace, repository=REPOSITORY)
    home = replace(
        demo.home,
        connections={**demo.home.connections, **(connections or {})},
        options={**demo.home.options, **(options or {})},
    )
    demo = replace(demo, home=home)
    try:
        demo.start()
        yield Stage(demo)
    finally:
        stop_airflow(settings)
        stop_target(settings)
