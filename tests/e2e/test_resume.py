"""The demo is killed in every phase, started again each time, and the one run goes on to its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from airflow_rig import REPOSITORY

from perfproof.evidence import EntryType, EvidenceStore, LocalBackend
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.run_key import run_key

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3000)]

PORT_BASE = "23100"
# What the log says when the cycle is in the middle of each phase.
PHASES = {
    "prerequisites": lambda e: e.type == EntryType.APPROVAL_REQUESTED and e.body["step"] == "load_test_authorization",
    "phase 1": lambda e: e.body.get("name") == "baseline-metrics.json",
    "phase 2": lambda e: e.type == EntryType.LOADTEST_STARTED and e.body["scenario"] == "stress",
    "phase 3": lambda e: e.type == EntryType.LOADTEST_STARTED and e.body["scenario"] == "measurement",
    "phase 4": lambda e: e.type == EntryType.APPROVAL_REQUESTED and e.body["step"] == "slo_updates",
}


def demo(workspace: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The demo's command line in `workspace`."""
    environment = {**os.environ, "DEMO_PORT_BASE": PORT_BASE}
    with (workspace / "output.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "perfproof_demo.cli", *arguments], cwd=workspace, env=environment, stdout=output, stderr=output
        )


def members(workspace: Path) -> list[psutil.Process]:
    """Every process that works in the workspace."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(workspace):
                found.append(process)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A checkout by links, emptied of processes afterwards."""
    for name in ("dags", "include"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    yield tmp_path
    demo(tmp_path, "stop").wait(120)
    for process in members(tmp_path):
        with contextlib.suppress(psutil.Error):
            process.kill()


def store_of(workspace: Path) -> EvidenceStore | None:
    """The evidence of the run under way, or None before it has any."""
    state = workspace / ".demo" / "cycle.json"
    if not state.exists():
        return None
    run = run_key("performance_optimization", json.loads(state.read_text())["run_id"])
    root = workspace / ".artifacts" / "performance"
    return EvidenceStore(LocalBackend(root), run) if (root / run / "log").is_dir() else None


def test_a_cycle_that_is_killed_in_every_phase_finishes(workspace: Path) -> None:
    """SIGKILL of every process at once, five times; each start resumes the same run; its evidence verifies; nothing is left."""
    runs = set()
    for phase, reached in PHASES.items():
        process = demo(workspace, "run")
        deadline = time.monotonic() + 500
        while True:
            assert time.monotonic() < deadline, f"{phase} was not reached"
            assert process.poll() is None, f"ended before {phase} with {process.returncode}"
            store = store_of(workspace)
            if store is not None and any(reached(entry) for entry in store.entries()):
                break
            time.sleep(0.5)
        runs.add(store.run)
        for victim in members(workspace):
            with contextlib.suppress(psutil.Error):
                victim.send_signal(signal.SIGKILL)
        process.wait(30)
    last = demo(workspace, "run")
    assert last.wait(900) == 0
    assert len(runs) == 1
    found = verify(workspace / ".artifacts" / "performance" / runs.pop())
    assert found.outcome is Outcome.VERIFIED, found.findings
    assert demo(workspace, "stop").wait(120) == 0
    assert members(workspace) == []
