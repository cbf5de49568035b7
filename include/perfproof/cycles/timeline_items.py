"""One entry of the log as one item of a time line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfproof.announcements import one_line
from perfproof.cycles import bodies
from perfproof.evidence.canonical import canonical_bytes
from perfproof.evidence.records import Entry, EntryType
from perfproof.gates.figures import mappings
from perfproof.gates.result import GATE_NAMES
from perfproof.gates.text import options

TITLE_LENGTH = 300
MAX_BODY = 2000
CRITERION = ("criterion", "actual", "threshold", "comparison", "met", "waivable", "reason")
DELIVERY = ("recipient", "channel", "artifact", "sha256", "address", "reason")
DELIVERIES = {EntryType.NOTIFY_DELIVERED: "notified", EntryType.NOTIFY_FAILED: "notify_failed"}
Facts = tuple[str, str, dict[str, Any]]


def item_of(entry: Entry) -> dict[str, Any]:
    """The item: number, time, kind, a title of one line, the task and who wrote it, and the facts of its kind."""
    kind, title, facts = _READ.get(entry.type, _note)(entry)
    return {
        "seq": entry.seq,
        "at": entry.time,
        "kind": kind,
        "title": one_line(title, limit=TITLE_LENGTH),
        "task_id": entry.attempt.task_id if entry.attempt else None,
        "map_index": entry.attempt.map_index if entry.attempt else -1,
        "actor": {"kind": entry.actor.kind, "id": entry.actor.id},
        **facts,
    }


def published(entry: Entry) -> dict[str, Any]:
    """A publication as a part of its item."""
    body = entry.body
    return {"name": body["name"], "sha256": body["sha256"], "seq": entry.seq, "superseded": entry.type is EntryType.ARTIFACT_SUPERSEDED}


def delivered(entry: Entry) -> dict[str, Any]:
    """A delivery as a part of its item."""
    return _words(entry, *DELIVERY)


def _words(entry: Entry, *keys: str) -> dict[str, Any]:
    return {key: bodies.text(entry.body, key) for key in keys}


def _opened(_entry: Entry) -> Facts:
    return "opened", "The cycle was opened", {}


def _closed(entry: Entry) -> Facts:
    return "closed", "The cycle was closed", _words(entry, "outcome")


def _handoff(entry: Entry) -> Facts:
    to = bodies.text(entry.body, "to")
    return "handoff", f"Handed off to {to or 'unknown'}", {"to": to}


def _announcement(entry: Entry) -> Facts:
    text = bodies.text(entry.body, "text")
    return "announcement", text or "", {"text": text}


def _gate(entry: Entry) -> Facts:
    body = entry.body
    gate, outcome = bodies.whole(body, "gate"), bodies.text(body, "outcome")
    criteria = [{key: one.get(key) for key in CRITERION} for one in mappings(body, "criteria")]
    open_ = [one for one in criteria if one["met"] is not True]
    passed = outcome == "PASS"
    return "gate", f"Gate {gate} ({bodies.text(body, 'name')}): {outcome}", {
        "gate": gate,
        "name": bodies.text(body, "name"),
        "outcome": outcome,
        "criteria": criteria,
        "reasons": [f"{one['criterion']}: {one['reason']}" for one in open_],
        "options": [] if passed or gate not in GATE_NAMES else list(options(gate)),
        "text": bodies.text(body, "text"),
        "result": bodies.reference(body, "result"),
        "evidence": bodies.references(body, "evidence"),
    }  # fmt: skip


def _decision(entry: Entry) -> Facts:
    gate, decision = bodies.whole(entry.body, "gate"), bodies.text(entry.body, "decision")
    facts = {"gate": gate, "decision": decision, "result": bodies.reference(entry.body, "result")}
    return "decision", f"Gate {gate}: {decision} was decided", facts


def _waiver(entry: Entry) -> Facts:
    granted = entry.type is EntryType.WAIVER_GRANTED
    gate = bodies.whole(entry.body, "gate")
    words = _words(entry, "criterion", "metric", "reason", "approver", "expires_at")
    title = f"Gate {gate}: {words['criterion']} {'waived' if granted else 'not waived'}"
    return "waiver" if granted else "waiver_refused", title, {"gate": gate, "limit": bodies.figure(entry.body, "limit"), **words}


def _asked(entry: Entry) -> Facts:
    request = entry.body.get("request")
    asked = bodies.texts(request, "asked")
    roles = [bodies.text(role, "label") or bodies.text(role, "role") for role in mappings(request, "roles") if role.get("role") in asked]
    facts = {
        **_words(entry, "request_id", "step"),
        "roles": roles,
        "question": bodies.text(request, "question"),
        "expires_at": bodies.text(request, "expires_at"),
    }
    return "asked", f"Asked {', '.join(map(str, roles)) or 'nobody'}: {_spaced(facts['step'])}", facts


def _answered(entry: Entry) -> Facts:
    kind = "granted" if entry.type is EntryType.APPROVAL_GRANTED else "rejected"
    who = bodies.person(entry.body, "person")
    facts = {
        **_words(entry, "request_id", "step", "role", "role_label", "decision", "comment", "decided_at", "assurance", "channel"),
        "person": who,
        "deputy_for": bodies.person(entry.body, "deputy_for"),
    }
    return kind, f"{who['name'] if who else 'somebody'} ({facts['role_label']}): {facts['decision']}, {_spaced(facts['step'])}", facts


def _refused(entry: Entry) -> Facts:
    facts = {**_words(entry, "request_id", "step", "role", "code", "reason"), "person_name": bodies.text(entry.body, "actor")}
    return "refused", f"An answer to {_spaced(facts['step'])} decided nothing: {facts['reason']}", facts


def _news_of_request(entry: Entry) -> Facts:
    kind = entry.type.value.removeprefix("approval.")
    facts = _words(entry, "request_id", "step", "role", "reason")
    return kind, f"{_REQUEST_WORDS[kind]}: {_spaced(facts['step'])}", facts


_REQUEST_WORDS = {
    "expired": "Nobody answered in time",
    "void": "The request cannot be answered any more",
    "conflict": "Another one decided otherwise, in vain",
    "reminded": "Reminded",
    "escalated": "Escalated",
}


def _error(entry: Entry) -> Facts:
    facts = _words(entry, "step", "code", "text")
    return "error", facts["text"] or f"{facts['step']} failed", facts


def _slo(entry: Entry) -> Facts:
    return "slo_updated", "Objectives updated", {key: bodies.reference(entry.body, key) for key in ("record", "proposal")}


def _load_test(entry: Entry) -> Facts:
    return "load_tests", f"Load test: {bodies.text(entry.body, 'scenario')}", {}


def _note(entry: Entry) -> Facts:
    body = canonical_bytes(entry.body).decode()
    return "note", entry.type.value, {"type": entry.type.value, "body": body if len(body) <= MAX_BODY else body[: MAX_BODY - 1] + "…"}


def _spaced(step: Any) -> str:
    return str(step).replace("_", " ")


_READ: dict[EntryType, Callable[[Entry], Facts]] = {
    EntryType.RUN_OPENED: _opened,
    EntryType.RUN_CLOSED: _closed,
    EntryType.HANDOFF_COMPLETED: _handoff,
    EntryType.ANNOUNCE: _announcement,
    EntryType.GATE_EVALUATED: _gate,
    EntryType.DECISION_RECORDED: _decision,
    EntryType.WAIVER_GRANTED: _waiver,
    EntryType.WAIVER_REFUSED: _waiver,
    EntryType.APPROVAL_REQUESTED: _asked,
    EntryType.APPROVAL_GRANTED: _answered,
    EntryType.APPROVAL_REJECTED: _answered,
    EntryType.APPROVAL_REFUSED: _refused,
    EntryType.APPROVAL_EXPIRED: _news_of_request,
    EntryType.APPROVAL_VOID: _news_of_request,
    EntryType.APPROVAL_CONFLICT: _news_of_request,
    EntryType.APPROVAL_REMINDED: _news_of_request,
    EntryType.APPROVAL_ESCALATED: _news_of_request,
    EntryType.ERROR: _error,
    EntryType.SLO_UPDATED: _slo,
    EntryType.ARTIFACT_PUBLISHED: lambda entry: ("publications", f"Published {entry.body['name']}", {}),
    EntryType.ARTIFACT_SUPERSEDED: lambda entry: ("publications", f"Published {entry.body['name']} anew", {}),
    EntryType.NOTIFY_DELIVERED: lambda entry: ("notified", f"Told {bodies.text(entry.body, 'recipient')}", {}),
    EntryType.NOTIFY_FAILED: lambda entry: ("notify_failed", f"Could not tell {bodies.text(entry.body, 'recipient')}", {}),
    EntryType.LOADTEST_STARTED: _load_test,
    EntryType.LOADTEST_FINISHED: _load_test,
    EntryType.LOADTEST_ABORTED: _load_test,
}
