"""Reminders of a request that nobody has answered: which is due now, when to look again, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from perfproof.announcements import one_line
from perfproof.approvals.record import about
from perfproof.approvals.request import Asked, Request
from perfproof.approvals.standing import LogEntry
from perfproof.moments import stamp

REMINDED = "approval.reminded"
ESCALATED = "approval.escalated"


class NoticeKind(StrEnum):
    """To whom a notice goes: a reminder to who may answer, an escalation to another role."""

    REMINDER = "reminder"
    ESCALATION = "escalation"


@dataclass(frozen=True, slots=True)
class Schedule:
    """After how long a request is reminded of (rising), and after how long it is escalated; None: never."""

    remind_after: tuple[timedelta, ...] = ()
    escalate_after: timedelta | None = None

    @classmethod
    def of_hours(cls, remind: Iterable[float], escalate: float | None) -> Schedule:
        """The schedule in hours, as the protocol file writes it."""
        return cls(tuple(timedelta(hours=h) for h in remind), None if escalate is None else timedelta(hours=escalate))


@dataclass(frozen=True, slots=True)
class Sent:
    """What the log says was sent about a request: numbers of reminders, from 1, and whether it was escalated."""

    reminders: frozenset[int] = frozenset()
    escalated: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice that is due. It stands for all of `covers`: an overslept reminder is not sent on its own any more."""

    kind: NoticeKind
    number: int
    covers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What to send now, a notice of each kind at most, and when the next one is due; None if there is none before the expiry."""

    notices: tuple[Notice, ...]
    next_at: datetime | None


def due_now(schedule: Schedule, *, requested_at: datetime, expires_at: datetime, now: datetime, sent: Sent) -> Due:
    """What is due at `now` about a request that waits. Nothing is from its expiry on: then the step fails, and says so itself."""
    moments = {number: requested_at + after for number, after in enumerate(schedule.remind_after, start=1)}
    last = max(sent.reminders, default=0)
    open_ = {number: moment for number, moment in moments.items() if moment < expires_at and number > last}
    late = sorted(number for number, moment in open_.items() if moment <= now < expires_at)
    notices = [Notice(NoticeKind.REMINDER, late[-1], tuple(late))] if late else []
    coming = [moment for moment in open_.values() if moment > now]
    if schedule.escalate_after is not None and not sent.escalated:
        moment = requested_at + schedule.escalate_after
        if moment <= now < expires_at:
            notices.append(Notice(NoticeKind.ESCALATION, 1, (1,)))
        elif now < moment < expires_at:
            coming.append(moment)
    return Due(tuple(notices), min(coming, default=None))


def read_sent(entries: Iterable[LogEntry], request_id: str) -> Sent:
    """What a run's log says was sent about the request."""
    reminders: set[int] = set()
    escalated = False
    for entry in entries:
        if entry.type in (REMINDED, ESCALATED) and entry.body.get("request_id") == request_id:
            escalated = escalated or entry.type == ESCALATED
            reminders |= set(entry.body["covers"]) if entry.type == REMINDED else set()
    return Sent(frozenset(reminders), escalated)


def notice_body(request: Request, *, roles: Sequence[str], notice: Notice) -> dict[str, Any]:
    """The body of approval.reminded or approval.escalated: which request, of which roles, and which numbers it covers."""
    return {
        **about(request),
        "roles": list(roles),
        "number": notice.number,
        "covers": list(notice.covers),
        "waiting_since": stamp(request.requested_at),
        "expires_at": stamp(request.expires_at),
    }


def notice_text(request: Request, *, roles: Sequence[str], notice: Notice, now: datetime, told: Mapping[str, str] | None = None) -> str:
    """One line: who is waited for, in which role, since when, until when, and the request's id.

    `told` are name by id of those to whom it is escalated.
    """
    asked = [found for role in roles if (found := request.question.role(role)) is not None]
    waited = "; ".join(f"{_people(one, now)} as {one.label}" for one in asked)
    about = (
        f"{waited}: {request.question.step}, asked {stamp(request.requested_at)}, open until {stamp(request.expires_at)} "
        f"({request.request_id})"
    )
    if notice.kind is NoticeKind.ESCALATION:
        return one_line(f"For {_names(told or {})}: nobody has answered. Waiting for {about}")
    return one_line(f"Reminder {notice.number}: still waiting for {about}")


def _people(asked: Asked, now: datetime) -> str:
    return _names({who.id: who.name for who in asked.respondents(start=now, end=now)})


def _names(people: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({person_id})" for person_id, name in people.items()) or "nobody"
