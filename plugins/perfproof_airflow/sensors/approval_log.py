"""The approval entries of a run's log, each committed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perfproof.approvals.record import refusal_body
from perfproof.approvals.reminders import Notice, NoticeKind, notice_body
from perfproof.approvals.request import Question, Request
from perfproof.approvals.rules import Refused
from perfproof.evidence import Actor, Attempt, Entry, EntryType, EvidenceStore, Reference, idempotency
from perfproof.evidence.secrets import find_secrets, masked
from perfproof.telemetry import document_bytes
from perfproof_airflow.checkpoints import checkpoint

if TYPE_CHECKING:
    from airflow.sdk import Context

# What somebody else wrote.
FOREIGN = frozenset(("reason", "actor", "found"))


@dataclass(frozen=True, slots=True)
class ApprovalLog:
    """What one task writes about its question. The keys hold the request id, so a retry finds what an earlier try wrote."""

    store: EvidenceStore
    question: Question
    actor: Actor
    attempt: Attempt

    @classmethod
    def of(cls, context: Context, store: EvidenceStore, question: Question) -> ApprovalLog:
        """The log as the running task writes it."""
        ti = context["ti"]
        attempt = Attempt(
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            try_number=ti.try_number,
            ti_id=str(ti.id),
        )
        return cls(store=store, question=question, actor=Actor(kind="task", id=ti.task_id, auth="A1"), attempt=attempt)

    @staticmethod
    def now() -> datetime:
        """The clock of the task."""
        return datetime.now(UTC)

    def entries(self) -> list[Entry]:
        """The run's log."""
        return self.store.entries()

    def head(self) -> tuple[int, str]:
        """Number of entries and digest of the last one."""
        return self.store.head()

    def requested(self, request: Request, body: Mapping[str, Any]) -> None:
        """The request is about to be opened."""
        self._append(EntryType.APPROVAL_REQUESTED, body, request.request_id)

    def decided(self, kind: EntryType, record: Mapping[str, Any]) -> None:
        """Somebody decided. One decision per request and role: the first one stands."""
        person = Actor(kind="person", id=record["person"]["id"], auth=record["assurance"])
        idem = self._idem("decided", record["request_id"], record["role"])
        self.store.append(type=kind, body=record, idem=idem, time=self.now(), actor=person, attempt=self.attempt)

    def refused(self, request: Request, role: str, refused: Refused, stored_act: object) -> bool:
        """An act decided nothing. False if an earlier try has written so already."""
        idem = self._idem("refused", request.request_id, role)
        if self.store.find(idem) is not None:
            return False
        body = refusal_body(request, role=role, code=refused.code, reason=refused.reason, actor=refused.actor, signed_act=stored_act)
        self._append(EntryType.APPROVAL_REFUSED, self._without_secrets(body), request.request_id, role, idem=idem)
        return True

    def conflicting(self, request: Request, role: str, refused: Refused, stored_act: object) -> None:
        """Another one who holds the role decided otherwise before anybody had looked; the decision stands."""
        body = refusal_body(request, role=role, code=refused.code, reason=refused.reason, actor=refused.actor, signed_act=stored_act)
        self._append(EntryType.APPROVAL_CONFLICT, self._without_secrets(body), request.request_id, role, str(refused.actor))

    def _without_secrets(self, body: Mapping[str, Any]) -> dict[str, Any]:
        # A refusal must be recorded whatever somebody wrote, else a token in a note would stop the wait for good. It decides nothing, so
        # that it may hold less than was found.
        known = tuple(self.store.known_secrets())
        kept = {key: masked(value, known=known) if isinstance(value, str) and key in FOREIGN else value for key, value in body.items()}
        return {**kept, "found": None} if find_secrets(document_bytes(kept), known=known) else kept

    def void(self, request: Request, role: str, reason: str) -> None:
        """The request cannot be answered; another one takes its place."""
        body = refusal_body(request, role=role, code="APR-404", reason=reason, actor=None, signed_act=None)
        self._append(EntryType.APPROVAL_VOID, body, request.request_id, role)

    def outdated(self, request: Request, role: str, reason: str) -> bool:
        """The request is about other evidence than there is now. False if an earlier try has written so already."""
        idem = self._idem(str(EntryType.APPROVAL_VOID), request.request_id, role)
        if self.store.find(idem) is not None:
            return False
        body = refusal_body(request, role=role, code="APR-408", reason=reason, actor=None, signed_act=None)
        self._append(EntryType.APPROVAL_VOID, body, request.request_id, role)
        return True

    def expired(self, request: Request, role: str) -> None:
        """Nobody answered in time."""
        body = refusal_body(request, role=role, code="APR-412", reason="nobody answered in time", actor=None, signed_act=None)
        self._append(EntryType.APPROVAL_EXPIRED, body, request.request_id, role)

    def noticed(self, request: Request, *, roles: Sequence[str], notice: Notice) -> bool:
        """A reminder or an escalation is about to be sent. False if an earlier try has written so already: it is sent once.

        Not keyed by the roles that still wait: two tries that overlap may differ in them, and both would send.
        """
        kind = EntryType.APPROVAL_REMINDED if notice.kind is NoticeKind.REMINDER else EntryType.APPROVAL_ESCALATED
        idem = self._idem(str(kind), request.request_id, str(notice.number))
        if self.store.find(idem) is not None:
            return False
        self._append(kind, notice_body(request, roles=roles, notice=notice), request.request_id, idem=idem)
        return True

    def keep(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Reference to the record as a file of its own, `approvals/<request>.<role>.json`; the log that holds it is signed."""
        name = f"approvals/{record['request_id']}.{record['role']}.json"
        inputs = [Reference(name=e["name"], sha256=e["sha256"], uri="") for e in record["evidence"]]
        reference = self.store.publish(
            name,
            document_bytes(dict(record)),
            idem=self._idem("record", record["request_id"], record["role"]),
            time=self.now(),
            actor=self.actor,
            attempt=self.attempt,
            inputs=inputs,
            verified_by={"kind": "person", "id": record["person"]["id"]},
        )
        checkpoint(self.store)
        return reference.as_dict()

    def _append(self, kind: EntryType, body: Mapping[str, Any], *key: str, idem: str | None = None) -> None:
        key_ = idem or self._idem(str(kind), *key)
        self.store.append(type=kind, body=body, idem=key_, time=self.now(), actor=self.actor, attempt=self.attempt)

    def _idem(self, kind: str, *key: str) -> str:
        # The request id names step, map index, round and attempt.
        return idempotency(f"approval.{kind}", "/".join(key), self.question.round, [], self.question.map_index)
