"""What a protected step does before it acts: it verifies the approval records again, never a task state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfproof.approvals import Decision, Granted, KeyRing, Request, examine, read_request
from perfproof.config_checks import TASK_OWNER
from perfproof.errors import ApprovalError
from perfproof.evidence import EntryType
from perfproof_airflow.api.signing_key import worker_ring
from perfproof_airflow.cycle import Cycle, now

if TYPE_CHECKING:
    from perfproof.evidence import Entry


@dataclass(frozen=True, slots=True)
class Approved:
    """A record that was verified just now, the request it answers, and the digest of its log entry."""

    record: Mapping[str, Any]
    request: Request
    entry_sha256: str

    def citation(self) -> dict[str, Any]:
        """The record with the digest under which the log holds it."""
        return {**self.record, "record_sha256": self.entry_sha256}


def verified_approvals(cycle: Cycle, step: str, *, map_index: int = -1, roles: Sequence[str] | None = None) -> list[Approved]:
    """One verified approval for each role that `step` requires, bound to the evidence as it is now.

    Raises ApprovalError 431 if one is missing, 432 if a record does not verify, 433 if its evidence has changed since.
    """
    required = [r for r in (roles or cycle.protocol.approvals.steps[step]) if r != TASK_OWNER] or [TASK_OWNER]
    entries = cycle.store.entries()
    requests = {e.body["request_sha256"]: e for e in entries if e.type == EntryType.APPROVAL_REQUESTED}
    key = worker_ring()
    found: dict[str, Approved] = {}
    for entry in entries:
        body = entry.body
        about = entry.type == EntryType.APPROVAL_GRANTED and (body["step"], body["map_index"]) == (step, map_index)
        if about and body["role"] in required and body["decision"] == Decision.APPROVE:
            found[body["role"]] = _verify(entry, requests, key)
    for role in required:
        if role not in found:
            raise ApprovalError(
                431,
                where=step,
                what=f"no approval of the role {role} is recorded",
                fix="clear the task that waits for it, and have it answered",
            )
    for approved in found.values():
        _require_current(cycle, step, approved)
    return [found[role] for role in required]


def verified_records(cycle: Cycle) -> list[dict[str, Any]]:
    """Every granted record of the cycle, each verified now. Raises ApprovalError 432 for one that does not verify."""
    entries = cycle.store.entries()
    requests = {e.body["request_sha256"]: e for e in entries if e.type == EntryType.APPROVAL_REQUESTED}
    granted = [entry for entry in entries if entry.type == EntryType.APPROVAL_GRANTED]
    if not granted:
        return []
    key = worker_ring()
    return [_verify(entry, requests, key).citation() for entry in granted]


def _verify(entry: Entry, requests: Mapping[str, Entry], key: KeyRing) -> Approved:
    body = entry.body
    asked = requests.get(body["request_sha256"])  # a mapping, not the library  # nosec B113
    if asked is None:
        raise ApprovalError(432, where=f"log entry {entry.seq}", what="the record answers no recorded request", fix="run perfproof verify")
    request = read_request(asked.body["request"], where=body["request_id"])
    verdict = examine(request, role=body["role"], stored_act=body["act"], key=key, question=request.question, records=(), now=now())
    if not isinstance(verdict, Granted):
        reason = getattr(verdict, "reason", "the recorded act is a rejection")
        raise ApprovalError(432, where=f"log entry {entry.seq}", what=f"the record does not verify: {reason}", fix="run perfproof verify")
    if dict(verdict.record) != {name: body.get(name) for name in verdict.record}:
        raise ApprovalError(
            432,
            where=f"log entry {entry.seq}",
            what="the record says something else than the act it was made from",
            fix="run perfproof verify",
        )
    return Approved(record=body, request=request, entry_sha256=entry.sha256)


def _require_current(cycle: Cycle, step: str, approved: Approved) -> None:
    for evidence in approved.record["evidence"]:
        live = cycle.store.live(evidence["name"])
        if live is None or live.body["sha256"] != evidence["sha256"]:
            raise ApprovalError(
                433, where=step, what="the approval is bound to other evidence than there is now", got=evidence["name"],
                fix="clear the task that waits for this approval: the new evidence is asked about",
            )  # fmt: skip
