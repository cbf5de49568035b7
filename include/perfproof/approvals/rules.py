"""The rules: whether an act is a decision. Every refusal has a code and a sentence that says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perfproof.approvals.act import Act, acts_in, read_act, sign
from perfproof.approvals.keys import KeyRing, SigningKey, ring_of
from perfproof.approvals.record import record_body, same_evidence
from perfproof.approvals.request import Asked, Decision, Note, Question, Request
from perfproof.config.people import Person
from perfproof.errors import ApprovalError
from perfproof.evidence.secrets import find_secrets
from perfproof.moments import parse_stamp, stamp

DAG_ID = "performance_approvals"
TASK_ID = "approve"
# Clocks of api-server and workers may differ by this much.
CLOCK_TOLERANCE = timedelta(seconds=300)
JUSTIFICATION_LENGTH = 20
# A commit, a pull request, a ticket or a build: whatever it is called, it has a digit in it.
CHANGE_REFERENCE = re.compile(r"\S*\d\S*")
GATE_NOTE = re.compile(r"\s*(retry|waiver|halt)\b[\s:,.-]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Granted:
    """The person decided, and may: `record` is the body of the log entry."""

    decision: Decision
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The person rejected, and may: the run does not go on."""

    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The act decides nothing. `actor` is None when nobody can be named."""

    code: str
    reason: str
    actor: str | None


def examine(
    request: Request,
    *,
    role: str,
    stored_act: object,
    key: SigningKey | KeyRing,
    question: Question,
    records: Iterable[Mapping[str, Any]],
    now: datetime,
    known_secrets: Sequence[str] | None = None,
) -> Granted | Rejected | Refused:
    """Whether `stored_act` decides `request` for `role`.

    `key` is the key that acts are signed with, or a ring with retired ones. `question` is what the step asks now: its evidence
    may have changed since the request was made. `records` are the bodies of the decisions that stand for this question already.
    An act that holds a secret is refused where `known_secrets` are given, since its record could never be taken back; what is in the
    log already is examined without them.
    """
    asked = request.question.role(role)
    if asked is None or role not in request.roles:
        return Refused("APR-404", f"the request does not ask the role {role}", None)
    try:
        act = read_act(stored_act, key=key, where=f"{request.request_id} {role}")
    except ApprovalError as error:
        return Refused(error.code if error.code == "APR-402" else "APR-401", f"{error.what}; {error.fix}", None)
    standing = list(records)
    problem = (
        _wrong_request(request, role, act)
        or _wrong_person(asked, act, (*request.question.forbidden, *question.forbidden))
        or _second_role(role, act, standing)
        or _wrong_time(request, act, now)
        or _changed(request, question)
    )
    if problem is not None:
        return Refused(*problem, act.actor_name)
    decision, comment = _decision(request, act)
    if decision is None:
        return Refused("APR-411", comment, act.actor_name)
    problem = _conflict(request, role, decision, standing) or _note(request, decision, comment) or _secret(stored_act, known_secrets)
    if problem is not None:
        return Refused(*problem, act.actor_name)
    signer = ring_of(key).key(act.key_id) or ring_of(key).current
    record = record_body(request, asked=asked, act=act, signed_act=sign(act, key=signer), decision=decision, comment=comment)
    return Rejected(record) if decision is Decision.REJECT else Granted(decision, record)


# Where two who hold the role decide differently before anybody has looked, the one who stops is heard.
STOPPING = (Decision.REJECT, Decision.HALT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all acts on one task come to, the act that says so as it is stored, and who decided otherwise in vain."""

    found: Granted | Rejected | Refused
    act: object
    conflicts: tuple[tuple[Refused, object], ...] = ()


def examine_all(
    request: Request,
    *,
    role: str,
    stored: object,
    key: SigningKey | KeyRing,
    question: Question,
    records: Sequence[Mapping[str, Any]],
    now: datetime,
    known_secrets: Sequence[str] | None = None,
) -> Outcome:
    """The first of the stored acts that counts, but a rejection or a halt before anything else; else why the newest does not count.

    Nobody has seen these acts yet, so a later one takes nothing back: it would be in the hands of everybody who may edit tasks.
    """
    examined = [
        (
            examine(request, role=role, stored_act=act, key=key, question=question, records=records, now=now, known_secrets=known_secrets),
            act,
        )
        for act in acts_in(stored, where=f"{request.request_id} {role}")
    ]
    counting = [(found, act) for found, act in examined if not isinstance(found, Refused)]
    if not counting:
        return Outcome(*examined[-1])
    found, act = next((pair for pair in counting if pair[0].record["decision"] in STOPPING), counting[0])
    who, decision = found.record["person"]["name"], found.record["decision"]
    others = [(other.record, kept) for other, kept in counting if other.record["decision"] != decision]
    conflicts = tuple(
        (
            Refused("APR-409", f"{record['person']['name']} decided {record['decision']}, and {who} {decision}", record["person"]["name"]),
            kept,
        )
        for record, kept in others
    )
    return Outcome(found, act, conflicts)


def _secret(stored_act: object, known: Sequence[str] | None) -> tuple[str, str] | None:
    if known is None or not find_secrets(json.dumps(stored_act, ensure_ascii=False).encode("utf-8", "surrogatepass"), known=known):
        return None
    return "APR-416", "the note holds what looks like a password or a token; change it where it is used, and answer again without it"


def _wrong_request(request: Request, role: str, act: Act) -> tuple[str, str] | None:
    found = (act.dag_id, act.run_id, act.task_id, act.map_index, act.conf_sha256)
    if found != (DAG_ID, request.request_id, TASK_ID, request.map_index_of(role), request.sha256):
        return "APR-404", "the act belongs to another request, or the request was changed after it was made"
    return None


def _wrong_person(asked: Asked, act: Act, forbidden: Iterable[str]) -> tuple[str, str] | None:
    return person_refusal(asked, person_id=act.actor_id, person_name=act.actor_name, at=parse_stamp(act.time), forbidden=forbidden)


def person_refusal(asked: Asked, *, person_id: str, person_name: str, at: datetime, forbidden: Iterable[str]) -> tuple[str, str] | None:
    """Why that person may not answer for the role at that moment, as code and sentence; None if they may.

    `forbidden` are the ids or names of those who asked for what is decided, or own it.
    """
    own = {name.casefold() for name in forbidden}
    if asked.person(person_id) is None:
        if asked.deputy(person_id, at=at) is None:
            return "APR-403", _no_holder(asked, person_id=person_id, person_name=person_name, at=at)
        # Else who asked for this, or owns it, would choose who answers in his place.
        if all(_is_one_of(person, own) for person in asked.people):
            return "APR-405", (
                f"{person_name} stands in for the only holder of the role {asked.label}, who asked for this or owns it; "
                "give the role to somebody else, who answers on their own"
            )
    if {person_id.casefold(), person_name.casefold()} & own:
        return "APR-405", f"{person_name} asked for this or owns it; somebody else who holds the role {asked.label} must answer"
    return None


def _is_one_of(person: Person, folded: Collection[str]) -> bool:
    return person.id.casefold() in folded or person.name.casefold() in folded


def _no_holder(asked: Asked, *, person_id: str, person_name: str, at: datetime) -> str:
    people = ", ".join(who.name for who in asked.respondents(start=at, end=at))
    days = ", ".join(f"{d.first_day} to {d.last_day}" for d in asked.deputies if d.id == person_id)
    if days:
        return f"{person_name} is a deputy for the role {asked.label} from {days}, and this is dated {stamp(at)}; {people} can answer"
    return f"{person_name} does not hold the role {asked.label}; {people} can answer"


def _second_role(role: str, act: Act, records: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    for record in records:
        if record["role"] != role and record["person"]["id"].casefold() == act.actor_id.casefold():
            return "APR-406", f"{act.actor_name} answered already as {record['role_label']}; the roles need two people"
    return None


def _wrong_time(request: Request, act: Act, now: datetime) -> tuple[str, str] | None:
    moment = parse_stamp(act.time)
    if moment < request.requested_at - CLOCK_TOLERANCE or moment > now + CLOCK_TOLERANCE:
        return "APR-407", "the act is dated before the request or in the future; check the clocks of this Airflow"
    if moment > request.expires_at:
        return "APR-407", "the answer came after the request had expired"
    return None


def _changed(request: Request, question: Question) -> tuple[str, str] | None:
    if not same_evidence(request.question.evidence, question.evidence) or request.question.subject_sha256 != question.subject_sha256:
        return "APR-408", "the evidence changed after the question was asked; the new evidence is asked about"
    return None


def _decision(request: Request, act: Act) -> tuple[Decision | None, str]:
    """The decision and the words beside it; or None and why it is not clear."""
    options = request.question.options
    note = (act.note or "").strip()
    if act.decision is not None:
        chosen = next((o for o in options if o == act.decision), None)
        return (chosen, note) if chosen else (None, f"{act.decision!r} is none of {', '.join(options)}")
    if act.state not in ("success", "failed"):
        return None, f"marking the task {act.state} decides nothing; mark it success or failed, or answer the form"
    if Decision.APPROVE in options:
        return (Decision.APPROVE if act.state == "success" else Decision.REJECT), note
    return _gate_decision(options, note, state=act.state)


def _gate_decision(options: Iterable[Decision], note: str, *, state: str) -> tuple[Decision | None, str]:
    if state == "failed":
        return None, "to decide about a gate mark the task success, and begin its note with retry, waiver: … or halt"
    found = GATE_NOTE.match(note)
    decision = next((o for o in options if found and o == found.group(1).lower()), None)
    if found is None or decision is None:
        return None, f"the note must begin with one of {', '.join(options)} (a waiver goes on with its justification)"
    return decision, note[found.end() :].strip()


def _conflict(request: Request, role: str, decision: Decision, records: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    for record in records:
        if record["role"] == role and record["round"] == request.question.round and record["decision"] != decision:
            return "APR-409", f"{record['person']['name']} decided {record['decision']} for the same role already"
    return None


def _note(request: Request, decision: Decision, comment: str) -> tuple[str, str] | None:
    if decision is Decision.WAIVER and len(comment) < JUSTIFICATION_LENGTH:
        return "APR-410", f"a waiver needs a justification of at least {JUSTIFICATION_LENGTH} characters"
    needs_reference = request.question.note is Note.CHANGE_REFERENCE and decision is Decision.APPROVE
    if needs_reference and not CHANGE_REFERENCE.search(comment):
        return "APR-410", "the note must hold the change reference (a commit, pull request, ticket or build)"
    return None
