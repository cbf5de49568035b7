"""An Airflow home of the tests' own, set before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="perfproof-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

import functools  # noqa: E402  Airflow's home comes first
import json  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from datetime import UTC, datetime, timedelta  # noqa: E402
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[3]
KEY_ID, KEY_HEX = "k1", "6b" * 32


@dataclass
class Desk:
    """The runs of `performance_approvals`, as the sensors see them, and the people who answer in them."""

    requests: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, str | None]] = field(default_factory=dict)
    acts: dict[tuple[str, str], Any] = field(default_factory=dict)

    def open_run(self, request: Any) -> bool:
        self.requests[request.request_id] = request
        self.states.setdefault(request.request_id, {f"approve_{i}": "awaiting_input" for i in range(len(request.roles))})
        return True

    def read_states(self, run_ids: Any) -> dict[str, dict[str, str | None]]:
        return {run_id: self.states[run_id] for run_id in run_ids if run_id in self.states}

    def read_act_of(self, request: Any, *, role: str) -> Any:
        return self.acts.get((request.request_id, role))

    def answer(self, role: str, who: str, *, note: str | None = None, state: str = "success", **changes: Any) -> None:
        """`who` marks the task of `role` in the newest request that asks it."""
        from perfproof.approvals import Act, Channel, SigningKey, sign
        from perfproof.moments import stamp

        request = next(r for r in reversed(list(self.requests.values())) if role in r.roles)
        index = request.map_index_of(role)
        self.states[request.request_id][f"approve_{index}"] = state
        fields: dict[str, Any] = {
            "actor_id": who, "actor_name": who, "state": state, "dag_id": "performance_approvals", "run_id": request.request_id,
            "task_id": "approve", "map_index": index, "ti_id": "01", "try_number": 1, "time": stamp(datetime.now(UTC)),
            "note": note, "decision": None, "channel": Channel.MARK, "conf_sha256": request.sha256, "key_id": KEY_ID,
        }  # fmt: skip
        act = Act(**{**fields, **changes})
        self.acts[request.request_id, role] = sign(act, key=SigningKey(id=KEY_ID, secret=bytes.fromhex(KEY_HEX)))


class OutletEvents:
    """What tasks say in the asset events that they emit, by the asset's name."""

    def __init__(self) -> None:
        self.by_name: dict[str, SimpleNamespace] = {}

    def __getitem__(self, asset: Any) -> SimpleNamespace:
        return self.by_name.setdefault(asset.name, SimpleNamespace(extra={}))


class Run:
    """One protocol run in a workspace of its own: contexts as Airflow gives them to a task, and the cycle as the task sees it."""

    def __init__(self, workspace: Path, run_id: str = "manual__1") -> None:
        self.workspace = workspace
        self.run_id = run_id
        self.round = 0
        self.params: dict[str, Any] = {"protocol": "demo"}
        self.user: str | None = "demo-requester"
        self.xcom: dict[tuple[str, str], Any] = {}
        self.states: dict[str, str] = {}
        self.outlet_events = OutletEvents()

    def context(self, task_id: str, *, try_number: int = 1, map_index: int = -1) -> Any:
        def push(key: str, value: Any) -> None:
            self.xcom[task_id, key] = value

        ti = SimpleNamespace(
            dag_id="performance_optimization",
            task_id=task_id,
            map_index=map_index,
            try_number=try_number,
            id=f"{task_id}-{map_index}-{try_number}",
            xcom_push=push,
            xcom_pull=lambda *, task_ids, key: self.xcom.get((task_ids, key)),
            get_task_states=lambda *, dag_id, task_ids, run_ids: {
                run_id: {name: self.states[name] for name in task_ids if name in self.states} for run_id in run_ids
            },
        )
        dag_run = SimpleNamespace(
            dag_id="performance_optimization", run_id=self.run_id, clear_number=self.round, triggering_user_name=self.user
        )
        return {"ti": ti, "dag_run": dag_run, "params": self.params, "outlet_events": self.outlet_events}

    def cycle(self, task_id: str = "group.task", **moment: int) -> Any:
        from perfproof_airflow.cycle import Cycle

        return Cycle.of(self.context(task_id, **moment))

    def open(self) -> Any:
        from perfproof_airflow.cycle import Cycle

        return Cycle.open(self.context("prerequisites.open_cycle"))

    def call(self, step: Any, task_id: str, /, *arguments: Any, try_number: int = 1, map_index: int = -1) -> Any:
        """What the task returns when Airflow runs it."""
        return self.within(task_id, lambda: step.function(*arguments), try_number=try_number, map_index=map_index)

    def within(self, task_id: str, action: Callable[[], Any], *, try_number: int = 1, map_index: int = -1) -> Any:
        """`action` as Airflow would call it in the task."""
        from airflow.sdk.execution_time.context import set_current_context

        with set_current_context(self.context(task_id, try_number=try_number, map_index=map_index)):
            return action()

    def publish(self, name: str, content: Any, *, task_id: str = "group.task") -> dict[str, Any]:
        """Evidence that a task of this run wrote."""
        found: dict[str, Any] = self.cycle(task_id).publish(name, lambda: content)
        return found

    def entries(self, *kinds: str) -> list[Any]:
        """The bodies of the log's entries of these types."""
        return [entry.body for entry in self.cycle().store.entries() if entry.type in kinds]

    def live(self) -> list[str]:
        """The names of all published evidence, beside the protocol file that opening a cycle keeps."""
        return [name for name in self.cycle().store.live_all() if name != "evidence/protocol.yaml"]

    def versions(self, name: str) -> list[str]:
        """The digests under which `name` was published, oldest first."""
        return [body["sha256"] for body in self.entries("artifact.published", "artifact.superseded") if body["name"] == name]

    def said(self) -> list[str]:
        """Announcements and error lines, in order."""
        return [body["text"] for body in self.entries("announce", "error")]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the demo's protocol file, and the approval key as a Connection."""
    protocols = tmp_path / "include" / "protocols"
    protocols.mkdir(parents=True)
    (protocols / "demo.yaml").write_bytes((REPOSITORY / "include" / "protocols" / "demo.yaml").read_bytes())
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    key = {"conn_type": "generic", "login": KEY_ID, "password": KEY_HEX}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps(key))
    # Reading the file is pure and takes 0.1 s, and every look at the cycle does it.
    monkeypatch.setattr("perfproof_airflow.cycle.load_protocol", read_once)
    return tmp_path


@functools.cache
def read_once(data: bytes, *, where: str) -> Any:
    """The protocol in `data`, read once for all tests."""
    from perfproof.config import load_protocol

    return load_protocol(data, where=where)


@pytest.fixture
def unopened(workspace: Path) -> Run:
    """A run whose cycle is not open yet."""
    return Run(workspace)


@pytest.fixture
def run(unopened: Run) -> Run:
    """A run whose cycle is open."""
    unopened.open()
    return unopened


@pytest.fixture
def other_run(workspace: Path) -> Run:
    """Another run in the same workspace."""
    return Run(workspace, "manual__2")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """People who can be asked, in place of the supervisor of a real task."""
    from perfproof_airflow.sensors import approval

    made = Desk()
    for name in ("open_run", "read_states", "read_act_of"):
        monkeypatch.setattr(approval, name, getattr(made, name))
    return made


@pytest.fixture
def ask(run: Run, desk: Desk) -> Callable[..., Any]:
    """Runs a waiting task once: its result, or the deferral."""
    from airflow.sdk.exceptions import TaskDeferred

    def once(sensor: Any, *, task_id: str | None = None, map_index: int = -1, try_number: int = 1) -> Any:
        try:
            return sensor.execute(run.context(task_id or sensor.task_id, map_index=map_index, try_number=try_number))
        except TaskDeferred as deferred:
            return deferred

    return once


@pytest.fixture
def tomorrow() -> str:
    """A date on which a waiver may end."""
    return f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"


@pytest.fixture
def authorized(run: Any, desk: Any, ask: Callable[..., Any]) -> Any:
    """A run whose load tests the SRE lead has authorized."""
    from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX, ProtocolApproval

    run.publish("prerequisites.json", {"status": "ok"})
    sensor = ProtocolApproval(task_id="await_prerequisite_approvals", step="load_test_authorization", evidence=["prerequisites.json"])
    index = PREREQUISITE_INDEX["load_test_authorization"]
    ask(sensor, map_index=index)
    desk.answer("sre_lead", "demo-sre")
    ask(sensor, map_index=index)
    return run


def measured_block(side: str, order: int, value: float) -> dict[str, Any]:
    figures = {"requests": 105, "errors": 0, "p50": value, "p95": value, "p99": value}
    return {
        "side": side,
        "order": order,
        "started_at": f"2025-02-16T10:{order:02d}:00Z",
        "build": f"build-{side}",
        "requests": 150,
        "errors": 0,
        "valid": True,
        "invalid_reasons": [],
        "p50": value,
        "p95": value,
        "p99": value,
        "by_transaction": {"orders": figures, "quote": figures},
        "guards": {},
        "rows": {"name": f"evidence/block-{order:02d}-{side}-rows.csv.gz", "sha256": "c" * 64},
    }


@pytest.fixture
def measured(run: Any) -> dict[str, dict[str, Any]]:
    """A validated measurement in which p95 fell from 200 to 100 ms."""
    blocks = [measured_block(side, n, 200.0 if side == "baseline" else 100.0) for n, side in enumerate(("baseline", "candidate") * 4)]
    builds = {"baseline": "build-baseline", "candidate": "build-candidate"}
    measurement = run.publish("evidence/measurement.json", {"service": "shop", "builds": builds, "blocks": blocks, "block_seconds": 5})
    report = {
        "target_metric": "orders_latency_p95",
        "improvement": {"percentage": 50.0},
        "optimization_id": "OPT-001",
        "optimizations": ["OPT-001"],
        "guards": [],
        "unguarded": [],
        "regression_count": 0,
    }
    return {"validation": run.publish("optimization-validation-report.json", report), "measurement": measurement}


@pytest.fixture
def approved(run: Any, desk: Any, ask: Callable[..., Any], measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The proposal, approved by product owner and SRE lead."""
    from perfproof_airflow.governance_steps import propose
    from perfproof_airflow.proposals import PROPOSAL
    from perfproof_airflow.sensors.questions import ProtocolApproval

    reference = propose(run.cycle("governance.propose_slo_updates"), **measured)
    sensor = ProtocolApproval(task_id="await_slo_approvals", step="slo_updates", evidence=[PROPOSAL])
    ask(sensor)
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre")
    ask(sensor)
    return reference


@pytest.fixture
def reported(run: Any, approved: dict[str, Any]) -> dict[str, Any]:
    """A report with everything that sharing reads."""
    from perfproof_airflow.governance_steps import record_slo

    record_slo(run.cycle("governance.record_slo_updates"), proposal=approved)
    run.publish("optimization-plan.json", {"tasks": [{"id": "OPT-001", "service": "shop", "title": "Index"}]})
    run.publish("evidence/hypotheses-checked.json", {"hypotheses": []})
    run.publish("load-test-results.json", {"bottlenecks": []})
    run.publish("PERFORMANCE-REPORT.html", b"<html></html>")
    found: dict[str, Any] = run.publish("PERFORMANCE-REPORT.md", "# Performance report\n", task_id="governance.publish_report")
    return found
