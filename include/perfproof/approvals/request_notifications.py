"""What people are told about a request: that it waits, that it still waits, and that an answer to it decided nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.announcements import one_line
from perfproof.approvals.reminders import Notice, notice_text
from perfproof.approvals.request import Request
from perfproof.moments import stamp
from perfproof.notifications import TITLES, Kind, Notification

SHOWN_LENGTH = 300
SHOWN_LINES = 20


def waiting(request: Request, *, link: str) -> Notification:
    """Who is waited for, what is asked, what is decided on, and on which evidence. Its lines are all ours."""
    question = request.question
    ids = ", ".join(who.id for asked in request.asked for who in asked.respondents(start=request.requested_at, end=request.expires_at))
    shown = [f"{one_line(name, limit=60)}: {_value(value)}" for name, value in question.shown.items()]
    more = [f"and {len(shown) - SHOWN_LINES} more"] if len(shown) > SHOWN_LINES else []
    lines = [
        f"Waiting for {one_line(ids)}: {question.step} ({request.request_id})",
        one_line(" ".join(question.question.split())),
        f"Options: {', '.join(question.options)}",
        *shown[:SHOWN_LINES],
        *more,
        *(f"Evidence: {one_line(e.name)} sha256:{e.sha256}" for e in question.evidence),
    ]
    return _about(request, Kind.WAITING, "\n".join(lines), link=link, roles=request.roles, at=request.requested_at)


def noticed(
    request: Request, *, roles: Sequence[str], notice: Notice, now: datetime, told: Mapping[str, str], link: str
) -> Notification:  # fmt: skip
    """A reminder to `roles`, or the escalation to `told` (name by id), as one line."""
    text = notice_text(request, roles=roles, notice=notice, now=now, told=told)
    return _about(request, Kind(str(notice.kind)), text, link=link, roles=roles, at=now)


def refused(request: Request, *, role: str, code: str, reason: str, link: str) -> Notification:
    """Why an answer decided nothing, as one line."""
    text = f"{code}: an answer to {request.question.step} as {role} was refused: {reason}. It is asked again."
    return _about(request, Kind.REFUSED, text, link=link, roles=[role], at=request.requested_at)


def _about(request: Request, kind: Kind, text: str, *, link: str, roles: Sequence[str], at: datetime) -> Notification:
    asked = [found for role in roles if (found := request.question.role(role)) is not None]
    return Notification(
        kind=kind, title=f"{TITLES[kind]}: {request.question.step}", text=text, run=request.question.run, step=request.question.step,
        link=link, until=stamp(request.expires_at), about=request.request_id,
        people=tuple(
            f"{who.name} ({who.id}) as {one.label}" for one in asked for who in one.respondents(start=at, end=request.expires_at)
        ),
    )  # fmt: skip


def _value(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), limit=SHOWN_LENGTH)
