"""`perfproof run --conf FILE --wait`: trigger and follow a protocol run over REST, on any Airflow.

Exit codes: 0 every gate passed, 1 the run failed, 2 usage or the Airflow does not answer, 3 passed with waivers,
4 a person halted it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import httpx

from perfproof.commands.run_conf import read_conf
from perfproof_airflow.commands.airflow_access import add_connection_arguments, airflow
from perfproof_airflow.rest import AirflowApi

DAG = "performance_optimization"
APPROVALS = "performance_approvals"
POLL_SECONDS = 2.0
GATES = {1: "intake_and_baseline", 2: "diagnostics", 3: "optimization", 4: "governance"}


class Ending(IntEnum):
    """How a run ended, as exit codes."""

    PASSED = 0
    FAILED = 1
    WAIVED = 3
    HALTED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the Airflow is, who triggers, and what."""
    parser.add_argument("--conf", type=Path, required=True, help="JSON file with the parameters of the run")
    parser.add_argument("--wait", action="store_true", help="follow the run until it ends")
    add_connection_arguments(parser)
    parser.add_argument("--run-id", default=None, help="id of the run; an existing one is followed, not triggered")


def run(options: argparse.Namespace) -> int:
    """Triggers, and follows with `--wait`."""
    conf = read_conf(options.conf)
    with airflow(options) as api:
        run_id = options.run_id or f"perfproof__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        if options.run_id is None or not _exists(api, run_id):
            api.trigger(DAG, run_id=run_id, conf=conf)
        sys.stdout.write(f"{DAG} {run_id}: {options.url}/dags/{DAG}/runs/{run_id}\n")
        return int(follow(api, run_id)) if options.wait else 0


def _exists(api: AirflowApi, run_id: str) -> bool:
    try:
        api.run(DAG, run_id)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return False
        raise
    return True


def follow(api: AirflowApi, run_id: str) -> Ending:
    """Prints each task's start and end until the run is over, then how it ended."""
    shown: dict[tuple[str, int], str] = {}
    while True:
        state = api.run(DAG, run_id)["state"]
        tasks = api.tasks(DAG, run_id)
        for task in tasks:
            key = (task["task_id"], task["map_index"])
            if task["state"] and shown.get(key) != task["state"]:
                shown[key] = task["state"]
                if task["state"] in ("running", "success", "failed", "deferred"):
                    word = "waits" if task["state"] == "deferred" else task["state"]
                    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {word:<8} {_name(task)}\n")
                    sys.stdout.flush()
        if state in ("success", "failed"):
            ending = ending_of(state, tasks, lambda task_id, key: api.xcom(DAG, run_id, task_id, key))
            sys.stdout.write(f"the run {ending.name.lower()}\n")
            return ending
        time.sleep(POLL_SECONDS)


def _name(task: Mapping[str, Any]) -> str:
    index = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
    return f"{task['task_id']}{index}"


def ending_of(state: str, tasks: Sequence[Mapping[str, Any]], xcom: Any) -> Ending:
    """How a finished run ended: by its state, the guard's account of the gates, and what was decided at a gate."""
    if state == "success":
        account = xcom("completion", "return_value") or {}
        outcomes = {str(gate): outcome for gate, outcome in (account.get("outcomes") or {}).items()}
        if set(outcomes) != set(map(str, GATES)) or not set(outcomes.values()) <= {"PASS", "WAIVED"}:
            # Green without the guard's account: somebody marked the run, and nothing says that its gates passed.
            return Ending.FAILED
        return Ending.WAIVED if "WAIVED" in outcomes.values() else Ending.PASSED
    failed = {task["task_id"] for task in tasks if task["state"] == "failed"}
    decisions = [f"{group}.gate_{gate}_decision" for gate, group in GATES.items()]
    halted = any(task_id in failed and xcom(task_id, "decided") == "halt" for task_id in decisions)
    return Ending.HALTED if halted else Ending.FAILED
