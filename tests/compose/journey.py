"""What is done on the running stack: a baseline capture, and a cycle with its approvals, through the REST API as the demo's people."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from compose.engine import Failed
from compose.stack import Stack

from perfproof.run_key import run_key
from perfproof_airflow.rest import FINISHED, AirflowApi
from perfproof_demo.airflow_home import AirflowHome
from perfproof_demo.approvers import APPROVALS, Approvers, Waiting
from perfproof_demo.settings import DemoSettings

CAPTURE, CYCLE = "baseline_capture", "performance_optimization"
OPTIMIZATION = "index+batch"
CONSIDERED = ["OPT-001", "OPT-002"]
CAPTURED = timedelta(seconds=90)
DAG_SECONDS = 300.0
CAPTURE_SECONDS = 600.0
CYCLE_SECONDS = 3600.0
POLL_SECONDS = 1.0
REACHABLE = (httpx.TransportError,)


class StackApprovers(Approvers):
    """The demo's people, whose deployments happen in the container of the target."""

    stack: Stack

    def _note(self, question: Waiting) -> str:
        if question.step == "rollback":
            return f"change {self._deployment('rollback')}"
        return super()._note(question)

    def _implement(self, run_id: str) -> str:
        round_ = run_id.rpartition("__r")[2].partition("a")[0]
        if round_ not in self._deployed:
            self.tell(f"demo-engineer deploys {OPTIMIZATION} to the candidate")
            self._deployed[round_] = self._deployment("deploy", "--optimization", OPTIMIZATION)
        return self._deployed[round_]

    def _deployment(self, *arguments: str) -> str:
        """`CHG-2, build shop-…`: what the command of the target says of the change."""
        told = self.stack.call("demo-target", "perfproof-demo", *arguments).decode().strip()
        return told.replace(": build", ", build")


@dataclass(slots=True)
class Journey:
    """The people of the stack at `url`; `directory` gets their passwords, readable by the owner only."""

    stack: Stack
    url: str
    port: int
    directory: Path
    tell: Callable[[str], None]

    def people(self) -> AirflowHome:
        """The accounts with their generated passwords, as the stack made them."""
        path = self.directory / "passwords.json"
        words = self.stack.call("api-server", "cat", "/accounts/passwords.json")
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(words)
        return AirflowHome(root=self.directory, dags_folder=self.directory, users=(), port=self.port)

    def api(self, user: str) -> AirflowApi:
        """The API as one of the demo's people."""
        return AirflowApi(self.url, user, self.people().password(user))

    def wait_for_dags(self) -> None:
        """Returns when Airflow knows the three DAGs. Raises Failed with the reason if it does not."""
        deadline = time.monotonic() + DAG_SECONDS
        with contextlib.closing(self.api("demo-performance")) as api:
            while any(api.dag(name) is None for name in (CAPTURE, CYCLE, APPROVALS)):
                errors = api.import_errors()
                if errors or time.monotonic() > deadline:
                    raise Failed(f"the DAGs are not there: {errors[0]['stack_trace'][-200:] if errors else 'no error is told'}")
                time.sleep(POLL_SECONDS)

    def capture(self) -> dict[str, Any]:
        """The baseline of the last minute and a half, captured by a DAG run. Raises Failed if the run or the measurement did not work."""
        with contextlib.closing(self.api("demo-performance")) as api:
            api.unpause(CAPTURE)
            end = datetime.now(UTC).replace(microsecond=0)
            moments = {"data_interval_start": end - CAPTURED, "data_interval_end": end, "logical_date": end - CAPTURED}
            run_id = f"compose__{end:%Y-%m-%dT%H-%M-%S}"
            body = {"dag_run_id": run_id, "conf": {}, **{name: moment.isoformat() for name, moment in moments.items()}}
            api.client.post(f"/api/v2/dags/{CAPTURE}/dagRuns", json=body).raise_for_status()
            run = api.wait_for_run(CAPTURE, run_id, seconds=CAPTURE_SECONDS)
            recorded: dict[str, Any] = api.xcom(CAPTURE, run_id, "capture.record_baseline") or {}
        if run["state"] != "success" or not recorded:
            raise Failed(f"the baseline capture {run_id} is {run['state']}")
        if recorded["missing_metrics"]:
            raise Failed(f"the baseline capture misses {', '.join(recorded['missing_metrics'])}")
        return recorded

    def begin(self) -> str:
        """Triggers a cycle as the performance engineer. Returns its run id."""
        run_id = f"compose__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        with contextlib.closing(self.api("demo-performance")) as api:
            api.trigger(CYCLE, run_id=run_id, conf={"optimizations": CONSIDERED})
        return run_id

    def follow(self, run_id: str, *, look: Callable[[list[dict[str, Any]], list[Waiting]], bool]) -> str:
        """Answers what the cycle asks until it is over, and returns its state.

        `look` sees the tasks and the open questions each second before anybody answers; while it returns False, nobody does.
        """
        key = run_key(CYCLE, run_id)
        settings = DemoSettings(home=(self.directory / "unused").resolve())
        states: dict[tuple[str, int], str] = {}
        deadline = time.monotonic() + CYCLE_SECONDS
        with contextlib.ExitStack() as open_:
            home = self.people()
            reader = open_.enter_context(contextlib.closing(AirflowApi(self.url, "demo-performance", home.password("demo-performance"))))
            approvers = open_.enter_context(contextlib.closing(StackApprovers(settings, home, reader, (), self.tell)))
            approvers.stack = self.stack
            while time.monotonic() < deadline:
                with contextlib.suppress(*REACHABLE):
                    state = str(reader.run(CYCLE, run_id)["state"])
                    tasks = reader.tasks(CYCLE, run_id)
                    self._show(tasks, states)
                    if state in FINISHED:
                        return state
                    waiting = approvers.waiting(key)
                    if look(tasks, waiting):
                        approvers.act(waiting)
                time.sleep(POLL_SECONDS)
        raise Failed(f"the cycle is not over after {CYCLE_SECONDS:g} s")

    def _show(self, tasks: list[dict[str, Any]], states: dict[tuple[str, int], str]) -> None:
        for task in tasks:
            key, state = (task["task_id"], task["map_index"]), str(task["state"])
            if states.get(key) != state and state in ("running", "failed", "up_for_retry"):
                again = f" (try {task['try_number']})" if task["try_number"] > 1 else ""
                self.tell(f"  · {task['task_id']}{'' if state == 'running' else f' {state}'}{again}")
            states[key] = state


def tries(tasks: list[dict[str, Any]]) -> dict[str, int]:
    """The tasks that needed more than one try, and how many."""
    return {task["task_id"]: task["try_number"] for task in tasks if task["try_number"] > 1}


def told(document: Any) -> str:
    """A document on one line."""
    return json.dumps(document, sort_keys=True)
