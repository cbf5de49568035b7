"""The pages over made-up cycles: a person of the test's choice, and a reader of documents as the read model gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

RUN = "manual__1-b3dbc7a3e99a4548"
NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
AT = "2026-11-24T12:50:28.377Z"
LATER = "2026-12-01T13:02:06Z"
SHA = "ab" * 32
APPROVALS = "performance_approvals"
OPTIMIZATION = "performance_optimization"
PEOPLE = [{"id": "demo-owner", "name": "Demo Owner"}]


def summary(**changes: Any) -> dict[str, Any]:
    """A cycle that waits at gate 3."""
    return {
        "run": RUN, "dag_id": OPTIMIZATION, "run_id": "manual__1", "protocol": "demo", "objective": "Make the history fast.",
        "target_metric": "orders_latency_p95", "services": ["shop"], "environment": "test", "triggered_by": "demo-performance",
        "state": "waiting", "phase": 3, "phase_name": "Optimization", "started_at": AT, "updated_at": AT, "ended_at": None,
        "gates": [
            {"gate": gate, "name": f"Gate {gate} of the test", "outcome": outcome, "evaluated_at": AT if outcome else None}
            for gate, outcome in ((1, "PASS"), (2, "WAIVED"), (3, "FAIL"), (4, None))
        ],
        "improvement_percent": 81.8, "verdict": "proved",
        "waiting": [{"step": "gate_3_decision", "role": "product_owner", "role_label": "Product Owner"}],
        "waivers": [
            {"gate": 2, "criterion": "query_plans", "metric": None, "limit": 1, "reason": "no rights", "approver": "Demo Owner",
             "granted_at": AT, "expires_at": LATER, "in_use": True}
        ],
        "error": {"seq": 9, "at": AT, "step": "measure_blocks", "code": "LOD-104", "text": "[RAY ERROR] the target refused"},
        "assurance": "A1", "artifacts": 2, "entries": 30, "head": SHA, "problem": None, **changes,
    }  # fmt: skip


def approval(**changes: Any) -> dict[str, Any]:
    """What is asked at gate 3: of a person of the test."""
    task = {"dag_id": OPTIMIZATION, "run_id": "manual__1", "task_id": "optimization.gate_3_decision", "map_index": -1}
    return {
        "request_id": f"{RUN}__gate_3_decision__-1__r0a1", "run": RUN, "dag_id": OPTIMIZATION, "run_id": "manual__1",
        "step": "gate_3_decision", "map_index": -1, "round": 0, "attempt": 1, "seq": 20, "question": "Gate 3 failed.\nWhat now?",
        "options": ["retry", "waiver", "halt"], "note": "optional", "how": "Mark the task success.\nNote: retry, waiver or halt.",
        "shown": {"outcome": "FAIL"}, "facts": [{"name": "not met 1", "value": "regressions"}],
        "evidence": [{"name": "gate-3-result.json", "sha256": SHA, "live": True}], "asked_at": AT, "expires_at": LATER,
        "forbidden": ["demo-performance"], "state": "open", "asked_by": task,
        "roles": [
            {"role": "product_owner", "label": "Product Owner", "people": PEOPLE,
             "deputies": [{"id": "deputy", "name": "A Deputy", "stands_for": "demo-owner",
                           "first_day": "2026-11-01", "last_day": "2026-12-01"}],
             "state": "open", "asked": True,
             "mark": {"dag_id": APPROVALS, "run_id": f"{RUN}__gate_3_decision__-1__r0a1", "task_id": "approve", "map_index": 0},
             "answer": None, "reminders": 1, "escalated": True,
             "refusals": [{"seq": 21, "at": AT, "person_name": "Somebody", "code": "APR-403", "reason": "does not hold the role"}]},
            {"role": "sre_lead", "label": "SRE Lead", "people": PEOPLE, "deputies": [], "state": "granted", "asked": True, "mark": None,
             "answer": {"person": PEOPLE[0], "deputy_for": {"id": "x", "name": "X"}, "decision": "halt", "comment": "too risky",
                        "decided_at": AT, "channel": "mark", "assurance": "A1", "seq": 22},
             "refusals": [], "reminders": 0, "escalated": False},
        ],
        "unreadable": None, **changes,
    }  # fmt: skip


def item(kind: str, **more: Any) -> dict[str, Any]:
    """A fact of the time line."""
    return {
        "seq": 10, "at": AT, "kind": kind, "title": f"a {kind}", "task_id": "optimization.gate_3", "map_index": 2,
        "actor": {"kind": "task", "id": "optimization.gate_3"}, **more,
    }  # fmt: skip


def timeline() -> dict[str, Any]:
    """One fact of each kind."""
    criteria = [
        {"criterion": "regressions", "actual": 1, "threshold": 0, "comparison": "==", "met": False, "waivable": True, "reason": "memory"},
        {"criterion": "samples", "actual": None, "threshold": 5, "comparison": ">=", "met": None, "waivable": False, "reason": "none"},
    ]
    items = [
        item("opened"), item("closed", outcome="passed"), item("handoff", to="Protocol 22"), item("announcement", text="[PHASE 3] ..."),
        item("gate", gate=3, name="Optimization Validation", outcome="FAIL", criteria=criteria, reasons=["regressions: memory"],
             options=["Refine", "Waive", "Halt"], text="[RAY GATE FAILED]", result={"name": "gate-3-result.json", "sha256": SHA},
             evidence=[{"name": "optimization-plan.json", "sha256": SHA}]),
        item("decision", gate=3, decision="halt", result=SHA),
        item("waiver", gate=2, criterion="query_plans", metric=None, limit=1, reason="no rights", approver="Demo Owner", expires_at=LATER),
        item("asked", request_id="r", step="plan", roles=["SRE Lead"], question="Go?", expires_at=LATER),
        item("granted", request_id="r", step="plan", role="sre_lead", role_label="SRE Lead", person=PEOPLE[0], deputy_for=None,
             decision="approve", comment="fine", decided_at=AT, assurance="A1", channel="mark"),
        item("refused", request_id="r", step="plan", role="sre_lead", code="APR-403", reason="no role", person_name="Somebody"),
        item("expired", request_id="r", step="plan", role="sre_lead", reason="late"),
        item("load_tests", scenario="peak", tests=[
            {"test": "1", "target": "127.0.0.1:80", "started_at": AT, "ended_at": None, "outcome": None, "reason": "why", "build": "b1",
             "seq": 3}
        ]),
        item("error", step="plan", code="PAR-201", text="[RAY ERROR] no"),
        item("publications", count=2, until=AT, artifacts=[
            {"name": "evidence/a.json", "sha256": SHA, "seq": 4, "superseded": True},
            {"name": "evidence/b.json", "sha256": SHA, "seq": 5, "superseded": False},
        ]),
        item("notified", deliveries=[
            {"recipient": "a@b", "channel": "smtp", "artifact": "PERFORMANCE-REPORT.md", "sha256": SHA, "address": "a", "reason": None}
        ]),
        item("note", type="code.changed", body='{"ref": "v1"}'),
    ]  # fmt: skip
    items = [{**one, "seq": number} for number, one in enumerate(items)]
    return {"run": RUN, "phases": [{"phase": 3, "name": "Optimization", "started_at": AT, "ended_at": None, "items": items}]}


def artifact(**changes: Any) -> dict[str, Any]:
    """An artifact in the list of a cycle."""
    return {
        "name": "optimization-plan.json", "media_type": "application/json", "size": 9963, "sha256": SHA, "published_at": AT, "seq": 12,
        "task_id": "optimization.define_plan", "verified_by": {"kind": "gate", "id": "gate-3", "ref": 14}, "inputs": [],
        "used_by": [], "superseded": [], "group": "artifact", **changes,
    }  # fmt: skip


@dataclass
class Reader:
    """Answers from documents, as the reader of the evidence does; `change` is applied to each of them."""

    change: Any = field(default=lambda document: document)
    summaries: list[dict[str, Any]] = field(default_factory=lambda: [summary()])
    approvals: list[dict[str, Any]] = field(default_factory=lambda: [approval(), approval(state="decided", seq=25)])
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def list_cycles(self, *, page: int = 1, size: int = 25, state: str = "", text: str = "") -> Any:
        self.asked.append((page, size, state, text))
        total = None if state or text else 60
        return {**self.change({"items": self.summaries}), "page": page, "size": size, "more": page < 3, "total": total}

    def summary(self, run: str) -> Any:
        self._known(run)
        return self.change(self.summaries[0])

    def cycle(self, run: str) -> Any:
        self._known(run)
        return self.change(
            {"summary": self.summaries[0], "timeline": timeline(), "approvals": self.approvals, "artifacts": [artifact()]}
        )  # fmt: skip

    def run_of(self, dag_id: str, run_id: str) -> str | None:
        return RUN if (dag_id, run_id) == (OPTIMIZATION, "manual__1") else None

    def waiting(self, *, limit: int = 200) -> Any:
        cycle = {key: self.summaries[0][key] for key in ("run", "dag_id", "run_id", "protocol", "objective")}
        return [self.change({"cycle": cycle, "approval": one}) for one in self.approvals if one["state"] == "open"][:limit]

    def request(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        self.asked.append((dag_id, run_id, task_id, map_index))
        return self.change(self.approvals[0]) if task_id in ("approve", "optimization.gate_3_decision") else None

    def _known(self, run: str) -> None:
        from perfproof.evidence.backend import Missing

        if run != RUN:
            raise Missing(404, where=run, what="no such cycle", fix="look at the list")


@dataclass
class Pages:
    """The application, who looks, what they may, and what they read."""

    app: Any
    client: TestClient
    reader: Reader
    rights: set[tuple[str, str | None]]


def pages(
    *, reader: Reader | None = None, user: str = "demo-owner", name: str | None = None, rights: set[tuple[str, str | None]] | None = None
) -> Pages:
    """The pages as `user` sees them. `rights` are pairs of method and entity on the Dag; all that there are if none are given."""
    from airflow.api_fastapi.core_api.security import get_user

    from perfproof_airflow.web import cycles, reading, security
    from perfproof_airflow.web.app import create_app

    granted = {("GET", None), ("GET", "RUN"), ("PUT", "RUN")} if rights is None else rights
    read = reader or Reader()
    app = create_app()
    overrides = app.app.dependency_overrides
    overrides[get_user] = lambda: SimpleNamespace(get_id=lambda: user, get_name=lambda: name or user)
    overrides[security.airflow_rights] = lambda: (
        lambda _user, method, entity, dag_id: dag_id == OPTIMIZATION and (method, entity.value if entity else None) in granted
    )  # fmt: skip
    overrides[cycles.cycle_reader] = lambda: read
    overrides[reading.now] = lambda: NOW
    outer = FastAPI()
    outer.mount("/perfproof", app)
    return Pages(app, TestClient(outer, raise_server_exceptions=False, follow_redirects=False), read, granted)


@dataclass(frozen=True)
class Element:
    """A start tag as a browser reads it."""

    name: str
    attributes: Mapping[str, str | None]


class Elements(HTMLParser):
    """The start tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Element] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, name: str) -> list[Element]:
        """The elements of that name."""
        return [one for one in self.found if one.name == name]

    @property
    def words(self) -> str:
        """The text, with white space as one space."""
        return " ".join(" ".join(self.text).split())
