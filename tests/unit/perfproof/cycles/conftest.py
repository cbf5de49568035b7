"""Cycles as the protocol's tasks write them, through the store, so that their logs are what the real ones are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import APPROVAL, Asked, Decision, Evidence, Note, Question, Request, open_request
from perfproof.approvals.standing import requested_body
from perfproof.artifacts import gate_result_name
from perfproof.config import Person
from perfproof.config.people import Deputy
from perfproof.evidence import Actor, Attempt, Backend, Entry, EntryType, EvidenceStore, MemoryBackend, idempotency
from perfproof.gates.result import GATE_NAMES
from perfproof.moments import stamp
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes
from perfproof.waivers import Approver, Waiver

START = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
DAG_ID = "performance_optimization"
OWNER = Asked("product_owner", "Product Owner", (Person("ann", "Ann"),))
SRE = Asked("sre_lead", "SRE Lead", (Person("sam", "Sam"),), (Deputy("dee", "Dee", "sam", "2025-02-16", "2025-02-17"),))
GATE_TASKS = {1: "intake_and_baseline.gate_1", 2: "diagnostics.gate_2", 3: "optimization.gate_3", 4: "governance.gate_4"}
MET = {
    "criterion": "improvement", "actual": 40.0, "threshold": 15.0, "comparison": ">=", "met": True, "waivable": True,
    "reason": "40 % better",
}  # fmt: skip
UNMET = {**MET, "actual": 8.0, "met": False, "reason": "8 % better"}


@dataclass
class CycleLog:
    """Writes a cycle's log: each entry a second after the one before."""

    backend: Backend
    run_id: str = "manual__1"
    objective: str = "Make it fast"
    round: int = 0
    moment: datetime = START
    number: int = 0
    results: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = run_key(DAG_ID, self.run_id)
        self.store = EvidenceStore(self.backend, self.run)
        self.genesis = {
            "dag_id": DAG_ID, "run_id": self.run_id, "triggered_by": "tim", "schema_version": 1, "protocol_sha256": "0" * 64,
            "parameters": {
                "protocol": "demo", "objective": self.objective, "target_metric": "orders_latency_p95", "services": ["shop"],
                "environment": "demo", "optimizations": [], "load_profile": "demo",
            },
        }  # fmt: skip
        task = "prerequisites.open_cycle"
        self.store.open_run(genesis=self.genesis, time=self.moment, actor=Actor("task", task, "A1"), attempt=self.attempt(task))

    @property
    def entries(self) -> list[Entry]:
        return self.store.entries()

    def attempt(self, task: str, map_index: int = -1) -> Attempt:
        return Attempt(DAG_ID, task, map_index, self.round + 1, "ti")

    def add(self, kind: EntryType, body: dict[str, Any], *, task: str, actor: Actor | None = None, map_index: int = -1) -> Entry:
        self.number += 1
        self.moment += timedelta(seconds=1)
        return self.store.append(
            type=kind, body=body, idem=idempotency(kind, task, self.round, [], self.number), time=self.moment,
            actor=actor or Actor("task", task, "A1"), attempt=self.attempt(task, map_index),
        )  # fmt: skip

    def publish(
        self, name: str, content: Any = None, *, task: str = "intake_and_baseline.build_report", inputs: tuple[Any, ...] = ()
    ) -> str:
        self.number += 1
        self.moment += timedelta(seconds=1)
        data = content if isinstance(content, bytes) else document_bytes(content if content is not None else {"number": self.number})
        return self.store.publish(
            name, data, idem=idempotency("artifact", task, self.round, [], self.number), time=self.moment,
            actor=Actor("task", task, "A1"), attempt=self.attempt(task), inputs=inputs,
        ).sha256  # fmt: skip

    def announce(self, text: str, *, task: str) -> Entry:
        return self.add(EntryType.ANNOUNCE, {"text": text}, task=task)

    def gate(self, gate: int, outcome: str = "PASS", criteria: tuple[dict[str, Any], ...] | None = None) -> Entry:
        criteria = criteria or ((MET,) if outcome == "PASS" else (UNMET,))
        text = None if outcome == "PASS" else f"[RAY GATE FAILED: gate {gate}]"
        document = {"gate": gate, "name": GATE_NAMES[gate], "outcome": outcome, "criteria": list(criteria), "round": self.round}
        sha256 = self.results[gate] = self.publish(gate_result_name(gate), document, task=GATE_TASKS[gate])
        body = {
            "gate": gate, "name": GATE_NAMES[gate], "outcome": outcome, "criteria": list(criteria), "figures": {}, "text": text,
            "evidence": [], "result": {"name": gate_result_name(gate), "sha256": sha256},
        }  # fmt: skip
        return self.add(EntryType.GATE_EVALUATED, body, task=GATE_TASKS[gate])

    def ask(
        self, step: str = "plan", *, roles: tuple[Asked, ...] = (OWNER, SRE), options: tuple[Decision, ...] = APPROVAL, attempt: int = 1,
        asked: tuple[str, ...] | None = None, task: str = "optimization.await_plan_approvals", map_index: int = -1,
        evidence: tuple[Evidence, ...] = (), forbidden: tuple[str, ...] = ("tim",), note: Note = Note.OPTIONAL, words: str = "Approve?",
    ) -> Request:  # fmt: skip
        question = Question(
            run=self.run, dag_id=DAG_ID, run_id=self.run_id, step=step, map_index=map_index, round=self.round, question=words,
            options=options, roles=roles, evidence=evidence, shown={"objective": self.objective}, note=note, forbidden=forbidden,
        )  # fmt: skip
        size, head = self.store.head()
        request = open_request(
            question, attempt=attempt, roles=asked or tuple(r.role for r in roles), log_size=size, log_head=head, now=self.moment,
            expires_after_days=7,
        )  # fmt: skip
        self.add(EntryType.APPROVAL_REQUESTED, requested_body(request), task=task, map_index=map_index)
        return request

    def answer(self, request: Request, role: str, who: str, decision: str = "approve", *, comment: str = "fine") -> Entry:
        question = request.question
        asked = question.role(role)
        kind = EntryType.APPROVAL_REJECTED if decision == "reject" else EntryType.APPROVAL_GRANTED
        body = {
            **self._about(request), "run": self.run, "role": role, "role_label": asked.label if asked else role,
            "person": {"id": who, "name": who.title()}, "deputy_for": None, "decision": decision, "comment": comment,
            "decided_at": stamp(self.moment), "channel": "mark", "assurance": "A1",
            "evidence": [{"name": e.name, "sha256": e.sha256} for e in question.evidence], "request_sha256": request.sha256, "act": {},
        }  # fmt: skip
        return self.add(
            kind, body, task="optimization.await_plan_approvals", actor=Actor("person", who, "A1"), map_index=question.map_index
        )

    def refuse(
        self,
        request: Request,
        role: str,
        *,
        code: str = "APR-403",
        reason: str = "Eve does not hold the role",
        kind: str = "approval.refused",
    ) -> Entry:
        body = {**self._about(request), "role": role, "code": code, "reason": reason, "actor": "Eve", "found": None}
        return self.add(EntryType(kind), body, task="optimization.await_plan_approvals", map_index=request.question.map_index)

    def fail(self, task: str, *, code: str = "PRO-301", map_index: int = -1) -> Entry:
        step = task.rpartition(".")[2]
        body = {"step": step, "code": code, "text": f'[RAY ERROR] - "Failed at {step}."', "try": 1}
        return self.add(EntryType.ERROR, body, task=task, map_index=map_index)

    def decide(self, gate: int, decision: str) -> Entry:
        body = {"gate": gate, "decision": decision, "result": {"name": gate_result_name(gate), "sha256": self.results[gate]}, "round": 0}
        return self.add(EntryType.DECISION_RECORDED, body, task=f"{GATE_TASKS[gate]}_decision")

    def waive(self, gate: int, criterion: str, *, days: int = 7, result: str | None = None) -> Entry:
        waiver = Waiver(
            gate=gate, criterion=criterion, justification="The peak is in spring.", approvers=(Approver("ann", "Ann", "product_owner"),),
            requester="tim", run=self.run, result_sha256=result or self.results[gate], granted_at=self.moment.replace(microsecond=0),
            expires_at=self.moment.replace(microsecond=0) + timedelta(days=days),
        )  # fmt: skip
        return self.add(EntryType.WAIVER_GRANTED, waiver.document(), task=f"{GATE_TASKS[gate]}_decision")

    def validated(self, percentage: float | None = 40.0, label: str = "proved") -> str:
        report = {"improvement": {"percentage": percentage}, "verdict": {"label": label}}
        return self.publish("optimization-validation-report.json", report, task="optimization.validate")

    def close(self) -> Entry:
        return self.add(EntryType.RUN_CLOSED, {"outcome": "completed", "round": self.round}, task="governance.hand_off")

    @staticmethod
    def _about(request: Request) -> dict[str, Any]:
        question = request.question
        return {
            "request_id": request.request_id, "step": question.step, "map_index": question.map_index, "round": question.round,
            "attempt": request.attempt, "subject_sha256": question.subject_sha256,
        }  # fmt: skip


@pytest.fixture
def cycle() -> CycleLog:
    """A cycle that was just opened, in memory."""
    return CycleLog(MemoryBackend())


@pytest.fixture
def cycles() -> Callable[..., CycleLog]:
    """Makes cycles on any backend."""
    return CycleLog
