"""The requests of a cycle as people must see them: what is asked of whom, on what evidence, and who answered what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.approvals.request import Asked, Request, read_request
from perfproof.approvals.shown import facts, how_to_answer
from perfproof.approvals.standing import read_standing
from perfproof.cycles import bodies
from perfproof.cycles.answering import refusal_before_answering
from perfproof.cycles.waiting import UNREADABLE, asking_task, open_requests, task_to_mark
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import live_entries
from perfproof.moments import stamp

MAX_FACTS = 200
_ENDED = {
    EntryType.APPROVAL_GRANTED: "granted",
    EntryType.APPROVAL_REJECTED: "rejected",
    EntryType.APPROVAL_REFUSED: "refused",
    EntryType.APPROVAL_EXPIRED: "expired",
    EntryType.APPROVAL_VOID: "void",
}


def approval_documents(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every request of the log, in the order in which they were made."""
    waits = {(one.request.request_id, one.role) for one in open_requests(entries)}
    live = {name: entry.body["sha256"] for name, entry in live_entries(entries).items()}
    approvals = [entry for entry in entries if entry.type.value.startswith("approval.")]
    return [_document(entry, approvals, waits, live) for entry in approvals if entry.type is EntryType.APPROVAL_REQUESTED]


def can_answer(approval: Mapping[str, Any], *, person_id: str, person_name: str, at: datetime) -> tuple[bool, str, str | None]:
    """Whether that person may answer the request at that moment, why or why not in a sentence, and the role in which they may.

    `approval` is a document of `approval_documents`. The rules are those that judge the act itself.
    """
    if approval["unreadable"] is not None:
        return False, approval["unreadable"], None
    if approval["state"] != "open":
        return False, _STATES[approval["state"]], None
    request = read_request(approval["conf"], where=approval["request_id"])
    reasons = []
    for role in approval["roles"]:
        if role["state"] == "open":
            reason = refusal_before_answering(
                request, role=role["role"], person_id=person_id, person_name=person_name, answered=_answered(approval), at=at
            )
            if reason is None:
                return True, f"{person_name} may answer as {role['label']}", role["role"]
            reasons.append(reason)
    return False, "; ".join(dict.fromkeys(reasons)), None


_STATES = {
    "decided": "the request is decided",
    "rejected": "the request was rejected",
    "expired": "the request has expired",
    "void": "the request cannot be answered any more",
    "replaced": "the request was replaced by a later one",
}


def _answered(approval: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "role": role["role"],
            "role_label": role["label"],
            "person": role["answer"]["person"],
            "decision": role["answer"]["decision"],
            "round": role["answer"]["round"],
        }
        for role in approval["roles"]
        if role["answer"] is not None and role["answer"]["person"] is not None
    ]


def _document(entry: Entry, approvals: Sequence[Entry], waits: set[tuple[str, str]], live: Mapping[str, str]) -> dict[str, Any]:
    try:
        request = read_request(entry.body["request"], where=f"entry {entry.seq}")
        roles = _roles(request, approvals, waits)
    except UNREADABLE as problem:
        return _unreadable(entry, str(problem))
    question = request.question
    return {
        "request_id": request.request_id,
        "run": question.run,
        "dag_id": question.dag_id,
        "run_id": question.run_id,
        "step": question.step,
        "map_index": question.map_index,
        "round": question.round,
        "attempt": request.attempt,
        "seq": entry.seq,
        "question": question.question,
        "options": [str(option) for option in question.options],
        "note": str(question.note),
        "how": how_to_answer(request).replace("`", ""),
        "shown": question.shown,
        "facts": [{"name": name, "value": value} for name, value in facts("", question.shown)[:MAX_FACTS]],
        "evidence": [{"name": e.name, "sha256": e.sha256, "live": live.get(e.name) == e.sha256} for e in question.evidence],
        "asked_at": stamp(request.requested_at),
        "expires_at": stamp(request.expires_at),
        "forbidden": list(question.forbidden),
        "state": _state(entry, roles, approvals),
        "asked_by": asking_task(entry),
        "roles": roles,
        "conf": entry.body["request"],
        "unreadable": None,
    }


def _roles(request: Request, approvals: Sequence[Entry], waits: set[tuple[str, str]]) -> list[dict[str, Any]]:
    standing = read_standing(_until_next_round(request, approvals), request.question, this_round=False)
    return [_role(request, asked, approvals, standing.granted, waits) for asked in request.question.roles]


def _until_next_round(request: Request, approvals: Iterable[Entry]) -> list[Entry]:
    """What was known while this request was open: a later round may have decided otherwise."""
    return [entry for entry in approvals if bodies.whole(entry.body, "round") in (None, *range(request.question.round + 1))]


def _role(
    request: Request, asked: Asked, approvals: Sequence[Entry], granted: Mapping[str, Mapping[str, Any]], waits: set[tuple[str, str]]
) -> dict[str, Any]:
    own = [e for e in approvals if e.body.get("request_id") == request.request_id and e.body.get("role") == asked.role]
    is_asked = asked.role in request.roles
    ended = [(entry, _ENDED[entry.type]) for entry in own if entry.type in _ENDED]
    decided = next(((entry, state) for entry, state in ended if state in ("granted", "rejected")), None)
    earlier = None if is_asked else granted.get(asked.role)
    answer = None if decided is None else next(e for e in approvals if e.seq == decided[0].seq)
    if decided is not None:
        state = decided[1]
    elif earlier is not None:
        state = "granted"
    elif (request.request_id, asked.role) in waits:
        state = "open"
    else:
        state = ended[-1][1] if ended else "closed"
    return {
        "role": asked.role,
        "label": asked.label,
        "people": [{"id": person.id, "name": person.name} for person in asked.people],
        "deputies": [
            {"id": d.id, "name": d.name, "stands_for": d.stands_for, "first_day": d.first_day, "last_day": d.last_day}
            for d in asked.deputies
        ],
        "asked": is_asked,
        "state": state,
        "mark": task_to_mark(request, asked.role) if is_asked else None,
        "answer": _answer(answer.body, answer.seq) if answer is not None else None if earlier is None else _answer(earlier, None),
        "refusals": [_refusal(entry) for entry in own if entry.type in (EntryType.APPROVAL_REFUSED, EntryType.APPROVAL_CONFLICT)],
        **_reminded(request, asked.role, approvals),
    }


def _reminded(request: Request, role: str, approvals: Iterable[Entry]) -> dict[str, Any]:
    told = [e for e in approvals if e.body.get("request_id") == request.request_id and role in bodies.texts(e.body, "roles")]
    reminders = sum(entry.type is EntryType.APPROVAL_REMINDED for entry in told)
    return {"reminders": reminders, "escalated": any(entry.type is EntryType.APPROVAL_ESCALATED for entry in told)}


def _answer(body: Mapping[str, Any], seq: int | None) -> dict[str, Any]:
    words = {key: bodies.text(body, key) for key in ("decision", "comment", "decided_at", "channel", "assurance")}
    people = {"person": bodies.person(body, "person"), "deputy_for": bodies.person(body, "deputy_for")}
    return {**people, **words, "round": bodies.whole(body, "round"), "seq": seq}


def _refusal(entry: Entry) -> dict[str, Any]:
    words = {key: bodies.text(entry.body, key) for key in ("code", "reason")}
    return {"seq": entry.seq, "at": entry.time, "person_name": bodies.text(entry.body, "actor"), **words}


def _state(entry: Entry, roles: Sequence[Mapping[str, Any]], approvals: Sequence[Entry]) -> str:
    states = [role["state"] for role in roles]
    if "open" in states:
        return "open"
    if "rejected" in states:
        return "rejected"
    decisive = any(role["answer"] is not None and role["answer"]["decision"] in ("retry", "halt") for role in roles)
    if decisive or all(state == "granted" for state in states):
        return "decided"
    step = (entry.body.get("step"), entry.body.get("map_index"))
    later = [e for e in approvals if e.type is EntryType.APPROVAL_REQUESTED and e.seq > entry.seq]
    if any((e.body.get("step"), e.body.get("map_index")) == step for e in later):
        return "replaced"
    return "expired" if "expired" in states else "void"


def _unreadable(entry: Entry, problem: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("run", "dag_id", "run_id", "round", "attempt", "question", "note", "how", "asked_at", "expires_at", "asked_by", "conf")
    )
    known = {"request_id": bodies.text(entry.body, "request_id"), "step": bodies.text(entry.body, "step"), "seq": entry.seq}
    lists: dict[str, Any] = {name: [] for name in ("options", "facts", "evidence", "forbidden", "roles")}
    index = bodies.whole(entry.body, "map_index")
    return {**nothing, **known, **lists, "shown": {}, "map_index": index, "state": "void", "unreadable": problem}
