"""Who is waited for: the requests of a log that somebody can still answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.approvals.request import Request, read_request
from perfproof.approvals.rules import DAG_ID, TASK_ID
from perfproof.approvals.standing import read_standing
from perfproof.cycles import bodies
from perfproof.errors import PerfproofError
from perfproof.evidence.inspection import is_closed
from perfproof.evidence.records import Entry, EntryType
from perfproof.moments import stamp

# What a log that perfproof did not write makes of code that reads it.
UNREADABLE = (PerfproofError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

_ENDED = (
    EntryType.APPROVAL_GRANTED,
    EntryType.APPROVAL_REJECTED,
    EntryType.APPROVAL_REFUSED,
    EntryType.APPROVAL_EXPIRED,
    EntryType.APPROVAL_VOID,
)


@dataclass(frozen=True, slots=True)
class Open:
    """A role that has to answer a request, and the entry that asked it."""

    entry: Entry
    request: Request
    role: str


def open_requests(entries: Sequence[Entry]) -> list[Open]:
    """What is asked and not answered, in the order in which it was asked.

    Only the last request of a step counts: an earlier one is about other evidence, or of an earlier round. Nothing waits in a
    closed run, nor for a task that failed after it had asked. The clock is not looked at: `expires_at` is in the request.
    """
    if is_closed(entries):
        return []
    approvals = [entry for entry in entries if entry.type.value.startswith("approval.")]
    last = {_step(entry): entry for entry in approvals if entry.type is EntryType.APPROVAL_REQUESTED}
    pending = _pending(approvals)
    found: list[Open] = []
    for step, asked in last.items():
        if step in pending and not _failed_since(asked, entries):
            found += _open(asked, approvals)
    return sorted(found, key=lambda one: one.entry.seq)


def waiting_document(one: Open) -> dict[str, Any]:
    """Who is waited for, since when, until when, the task that they mark, and the task of the protocol's run that waits."""
    request = one.request
    asked = request.question.role(one.role)
    who = asked.respondents(start=request.requested_at, end=request.expires_at) if asked else ()
    return {
        "request_id": request.request_id,
        "step": request.question.step,
        "role": one.role,
        "role_label": asked.label if asked else None,
        "people": [{"id": person.id, "name": person.name} for person in who],
        "asked_at": stamp(request.requested_at),
        "expires_at": stamp(request.expires_at),
        **task_to_mark(request, one.role),
        "asked_by": asking_task(one.entry),
    }


def task_to_mark(request: Request, role: str) -> dict[str, Any]:
    """Where in Airflow the role answers."""
    return {"dag_id": DAG_ID, "run_id": request.request_id, "task_id": TASK_ID, "map_index": request.map_index_of(role)}


def asking_task(entry: Entry) -> dict[str, Any] | None:
    """The task of the protocol's run that waits for the answer."""
    attempt = entry.attempt
    if attempt is None:
        return None
    run_id = entry.body["request"].get("run_id") if isinstance(entry.body.get("request"), dict) else None
    return {
        "dag_id": attempt.dag_id,
        "run_id": run_id if isinstance(run_id, str) else None,
        "task_id": attempt.task_id,
        "map_index": attempt.map_index,
    }


def _pending(approvals: Sequence[Entry]) -> set[tuple[str, str]]:
    """The steps with a role that was asked and got no answer: most have none, and need not be looked at closer."""
    asked: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in approvals:
        if entry.type is EntryType.APPROVAL_REQUESTED:
            asked |= {(_id(entry), role): _step(entry) for role in bodies.texts(entry.body, "request", "asked")}
        elif entry.type in _ENDED:
            asked.pop((_id(entry), str(entry.body.get("role"))), None)
    return set(asked.values())


def _id(entry: Entry) -> str:
    return str(entry.body.get("request_id"))


def _step(entry: Entry) -> tuple[str, str]:
    return str(entry.body.get("step")), str(entry.body.get("map_index"))


def _open(asked: Entry, approvals: Sequence[Entry]) -> list[Open]:
    try:
        question = read_request(asked.body["request"], where=f"entry {asked.seq}").question
        standing = read_standing(approvals, question, this_round=True)
        if standing.rejected is not None or (standing.granted and standing.decided):
            return []
        expired = {(_id(e), str(e.body.get("role"))) for e in approvals if e.type is EntryType.APPROVAL_EXPIRED}
        asked_in = {_id(e): e for e in approvals if e.type is EntryType.APPROVAL_REQUESTED}
        return [
            Open(asked_in[request.request_id], request, role)
            for role, request in standing.waiting.items()
            if (request.request_id, role) not in expired
        ]
    except UNREADABLE:
        # Nobody can be waited for in words that cannot be read; the time line shows the entry, and `perfproof verify` names it.
        return []


def _failed_since(asked: Entry, entries: Sequence[Entry]) -> bool:
    task = _task(asked)
    return task is not None and any(e.type is EntryType.ERROR and _task(e) == task for e in entries[asked.seq + 1 :])


def _task(entry: Entry) -> tuple[str, int] | None:
    return None if entry.attempt is None else (entry.attempt.task_id, entry.attempt.map_index)
