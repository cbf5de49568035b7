"""What is asked of whom: the question of a step, and a request that carries it to the people who may answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import rfc8785

from perfproof.config import Person
from perfproof.config.people import Deputy, respondents
from perfproof.errors import ApprovalError
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import build
from perfproof.telemetry import sha256_hex

CONF_VERSION = 1


class Decision(StrEnum):
    """What a person can decide. The first two answer a request for approval, the others a gate that did not pass."""

    APPROVE = "approve"
    REJECT = "reject"
    RETRY = "retry"
    WAIVER = "waiver"
    HALT = "halt"


class Note(StrEnum):
    """What the person must write beside the decision. A waiver always needs its justification."""

    OPTIONAL = "optional"
    CHANGE_REFERENCE = "change_reference"


APPROVAL = (Decision.APPROVE, Decision.REJECT)
GATE_DECISION = (Decision.RETRY, Decision.WAIVER, Decision.HALT)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of evidence that the decision is bound to."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A role that must answer, the people who hold it, and who may stand in for them on which days."""

    role: str
    label: str
    people: tuple[Person, ...]
    deputies: tuple[Deputy, ...] = ()

    def person(self, person_id: str) -> Person | None:
        """The person of that id who holds the role, or None."""
        return next((p for p in self.people if p.id == person_id), None)

    def deputy(self, person_id: str, *, at: datetime) -> Deputy | None:
        """The deputy of that id on the day of `at`, or None."""
        return next((d for d in self.deputies if d.id == person_id and d.stands_in_at(at)), None)

    def respondents(self, *, start: datetime, end: datetime) -> tuple[Person | Deputy, ...]:
        """Who may answer at some moment from `start` to `end`."""
        return respondents(self.people, self.deputies, start=start, end=end)

    def document(self) -> dict[str, Any]:
        """The role as it stands in a request. Without deputies it reads as it did before there were any."""
        people = [{"id": p.id, "name": p.name} for p in self.people]
        found: dict[str, Any] = {"role": self.role, "label": self.label, "people": people}
        return found | {"deputies": [asdict(d) for d in self.deputies]} if self.deputies else found


@dataclass(frozen=True, slots=True)
class Question:
    """What a step of a run must have answered, before it is known when and how often it was asked.

    `shown` is everything a person decides on, as a JSON document; `forbidden` are ids or names of people who may not
    answer (who triggered the run, who owns what is decided). `run` is the run key, `round` the run's clear number.
    """

    run: str
    dag_id: str
    run_id: str
    step: str
    map_index: int
    round: int
    question: str
    options: tuple[Decision, ...]
    roles: tuple[Asked, ...]
    evidence: tuple[Evidence, ...]
    shown: dict[str, Any]
    note: Note = Note.OPTIONAL
    forbidden: tuple[str, ...] = ()

    @property
    def subject_sha256(self) -> str:
        """Digest of what is decided: step, question, options, evidence and what is shown; not who, when or in which round."""
        return canonical_sha256(
            {
                "run": self.run,
                "step": self.step,
                "map_index": self.map_index,
                "question": self.question,
                "options": [str(o) for o in self.options],
                "evidence": [{"name": e.name, "sha256": e.sha256} for e in self.evidence],
                "shown": self.shown,
                "note": str(self.note),
            }
        )

    def role(self, name: str) -> Asked | None:
        """The role of that name if it is asked, or None."""
        return next((r for r in self.roles if r.role == name), None)


@dataclass(frozen=True, slots=True)
class Request:
    """A question as it was put to the people of `roles`: one run of `performance_approvals`, whose id is `request_id`.

    `roles` may be fewer than the question's: a role that was refused is asked again alone. `log_size` and `log_head` are
    the evidence log when the request was made, so that whoever answers is a witness of it.
    """

    request_id: str
    attempt: int
    roles: tuple[str, ...]
    question: Question
    log_size: int
    log_head: str
    requested_at: datetime
    expires_at: datetime

    def conf(self) -> dict[str, Any]:
        """The configuration of the run of `performance_approvals`; its digest is what an act is bound to."""
        question = self.question
        return {
            "version": CONF_VERSION,
            "request_id": self.request_id,
            "run": question.run,
            "dag_id": question.dag_id,
            "run_id": question.run_id,
            "step": question.step,
            "map_index": question.map_index,
            "round": question.round,
            "attempt": self.attempt,
            "question": question.question,
            "options": [str(o) for o in question.options],
            "asked": list(self.roles),
            "roles": [r.document() for r in question.roles],
            "evidence": [{"name": e.name, "sha256": e.sha256} for e in question.evidence],
            "shown": question.shown,
            "note": str(question.note),
            "forbidden": list(question.forbidden),
            "log": {"size": self.log_size, "head": self.log_head},
            "requested_at": stamp(self.requested_at),
            "expires_at": stamp(self.expires_at),
        }

    @property
    def asked(self) -> tuple[Asked, ...]:
        """The roles that this request asks, in the order of its tasks."""
        return tuple(asked for name in self.roles if (asked := self.question.role(name)) is not None)

    @property
    def sha256(self) -> str:
        """SHA-256 of the RFC 8785 form of `conf()`."""
        return canonical_sha256(self.conf())

    def map_index_of(self, role: str) -> int:
        """Index of the mapped task that asks `role`. ValueError if it is not asked."""
        return self.roles.index(role)


@dataclass(frozen=True, slots=True)
class _Log:
    size: int
    head: str


@dataclass(frozen=True, slots=True)
class _Conf:
    version: int
    request_id: str
    run: str
    dag_id: str
    run_id: str
    step: str
    map_index: int
    round: int
    attempt: int
    question: str
    options: tuple[Decision, ...]
    asked: tuple[str, ...]
    roles: tuple[Asked, ...]
    evidence: tuple[Evidence, ...]
    shown: dict[str, Any]
    note: Note
    forbidden: tuple[str, ...]
    log: _Log
    requested_at: str
    expires_at: str


def read_request(conf: object, *, where: str) -> Request:
    """The request in the configuration of a run. Raises ApprovalError for anything that `Request.conf` did not write."""
    shape = build(_Conf, conf, where=where, error=ApprovalError)
    question = Question(
        run=shape.run,
        dag_id=shape.dag_id,
        run_id=shape.run_id,
        step=shape.step,
        map_index=shape.map_index,
        round=shape.round,
        question=shape.question,
        options=shape.options,
        roles=shape.roles,
        evidence=shape.evidence,
        shown=shape.shown,
        note=shape.note,
        forbidden=shape.forbidden,
    )
    request = Request(
        request_id=shape.request_id,
        attempt=shape.attempt,
        roles=shape.asked,
        question=question,
        log_size=shape.log.size,
        log_head=shape.log.head,
        requested_at=parse_stamp(shape.requested_at, where=f"{where}.requested_at"),
        expires_at=parse_stamp(shape.expires_at, where=f"{where}.expires_at"),
    )
    unknown = [name for name in request.roles if question.role(name) is None]
    unknown += [day for r in question.roles for d in r.deputies for day in (d.first_day, d.last_day) if not _is_day(day)]
    unknown += [] if _has_digest(request) else ["what no digest can be made of"]
    if shape.version != CONF_VERSION or not request.roles or unknown or not request.question.options:
        raise ApprovalError(
            421, where=where, what="not a request that can be answered", got=unknown or shape.version,
            expected=f"version {CONF_VERSION}, options, and roles with people", fix="requests are opened by the protocol run, not by hand",
        )  # fmt: skip
    if request.request_id != request_id_of(question, attempt=request.attempt):
        raise ApprovalError(
            422, where=where, what="the request id does not belong to this step", got=request.request_id,
            expected=request_id_of(question, attempt=request.attempt), fix="requests are opened by the protocol run, not by hand",
        )  # fmt: skip
    return request


def _has_digest(request: Request) -> bool:
    """Whether what people are shown can be bound by a digest: a run that was made by hand may hold NaN, or half a character."""
    try:
        return bool(request.sha256)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError):
        return False


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def canonical_sha256(document: Any) -> str:
    """SHA-256 of the RFC 8785 form of a JSON document."""
    return sha256_hex(rfc8785.dumps(document))


def request_id_of(question: Question, *, attempt: int) -> str:
    """Id of the `attempt`-th request (from 1) for `question`: `<run key>__<step>__<map index>__r<round>a<attempt>`."""
    return f"{question.run}__{question.step}__{question.map_index}__r{question.round}a{attempt}"


def open_request(
    question: Question,
    *,
    attempt: int,
    roles: tuple[str, ...],
    log_size: int,
    log_head: str,
    now: datetime,
    expires_after_days: float,
) -> Request:
    """The `attempt`-th request for `question`, to `roles`, answerable until `expires_after_days` after `now`."""
    return Request(
        request_id=request_id_of(question, attempt=attempt),
        attempt=attempt,
        roles=roles,
        question=question,
        log_size=log_size,
        log_head=log_head,
        requested_at=now,
        expires_at=now + timedelta(days=expires_after_days),
    )
