"""Who is reminded how often, and never twice of the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import APPROVAL, Asked, Question, Request, open_request
from perfproof.approvals.reminders import (
    ESCALATED,
    REMINDED,
    Due,
    Notice,
    NoticeKind,
    Schedule,
    Sent,
    due_now,
    notice_body,
    notice_text,
    read_sent,
)
from perfproof.config import Person
from perfproof.config.people import Deputy
from perfproof.evidence import EntryType

START = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
USUAL = Schedule.of_hours([24, 72], None)
ESCALATING = Schedule.of_hours([24, 72], 120)


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def look(schedule: Schedule, at: float, *, sent: Sent = Sent(), days: float = 7) -> Due:  # noqa: B008  frozen
    return due_now(schedule, requested_at=START, expires_at=START + timedelta(days=days), now=hours(at), sent=sent)


def reminder(*covers: int) -> Notice:
    return Notice(NoticeKind.REMINDER, covers[-1], covers)


ESCALATION = Notice(NoticeKind.ESCALATION, 1, (1,))


@pytest.mark.parametrize(
    ("schedule", "at", "sent", "notices", "next_at"),
    [
        (USUAL, 0, Sent(), (), 24),
        (USUAL, 23.999, Sent(), (), 24),
        (USUAL, 24, Sent(), (reminder(1),), 72),
        (USUAL, 24.1, Sent(frozenset({1})), (), 72),
        (USUAL, 72, Sent(frozenset({1})), (reminder(2),), None),
        (USUAL, 100, Sent(frozenset({1, 2})), (), None),
        # Overslept: one reminder, which covers both.
        (USUAL, 73, Sent(), (reminder(1, 2),), None),
        # A later one was sent: an earlier one is not made up for.
        (USUAL, 80, Sent(frozenset({2})), (), None),
        (ESCALATING, 100, Sent(frozenset({1, 2})), (), 120),
        (ESCALATING, 120, Sent(frozenset({1, 2})), (ESCALATION,), None),
        (ESCALATING, 130, Sent(frozenset({1, 2}), escalated=True), (), None),
        (ESCALATING, 130, Sent(frozenset({1})), (reminder(2), ESCALATION), None),
        # From the expiry on nothing is due: the step fails.
        (ESCALATING, 168, Sent(), (), None),
        (ESCALATING, 500, Sent(), (), None),
        (Schedule(), 50, Sent(), (), None),
        # What would come after the expiry never does.
        (Schedule.of_hours([24, 200], 300), 30, Sent(frozenset({1})), (), None),
    ],
)
def test_what_is_due_and_when_to_look_again(schedule: Schedule, at: float, sent: Sent, notices: tuple[Notice, ...], next_at: Any) -> None:
    """A request of seven days."""
    found = look(schedule, at, sent=sent)
    assert found == Due(notices, None if next_at is None else hours(next_at))


@dataclass(frozen=True)
class Line:
    type: str
    body: dict[str, Any]


def asked() -> Request:
    deputy = Deputy("dora", "Dora", "ann", "2026-12-02", "2026-12-03")
    question = Question(
        run="run-0123456789abcdef", dag_id="d", run_id="run", step="plan", map_index=-1, round=0, question="Approve?", options=APPROVAL,
        roles=(Asked("po", "PO", (Person("ann", "Ann\nA."),), (deputy,)), Asked("sre", "SRE", (Person("sam", "Sam"),))),
        evidence=(), shown={},
    )  # fmt: skip
    return open_request(question, attempt=1, roles=("po", "sre"), log_size=1, log_head="b" * 64, now=START, expires_after_days=7)


@pytest.mark.parametrize(
    ("days", "remind", "escalate", "reminders", "escalations"),
    [
        (7, [24, 72], None, 2, 0),
        (7, [24, 72], 120, 2, 1),
        (30, [24, 72], None, 2, 0),
        (30, [24, 72, 168, 336, 504, 672], 336, 6, 1),
        (7, [24, 72, 168, 336], 160, 2, 1),
        (1, [24, 72], None, 0, 0),
        (7, [], None, 0, 0),
    ],
)
@pytest.mark.parametrize("step", [0.25, 1.0, 5.0])
def test_a_wait_of_days_is_reminded_of_as_often_as_the_schedule_says(
    days: float, remind: list[float], escalate: float | None, reminders: int, escalations: int, step: float
) -> None:
    """However often somebody looks, and also if each look happens twice; from the expiry on nothing more."""
    request, schedule, log = asked(), Schedule.of_hours(remind, escalate), []
    expires_at = START + timedelta(days=days)
    at = 0.0
    while hours(at) < expires_at + timedelta(days=1):
        for _ in range(2):
            sent = read_sent(log, request.request_id)
            due = due_now(schedule, requested_at=START, expires_at=expires_at, now=hours(at), sent=sent)
            for notice in due.notices:
                kind = REMINDED if notice.kind is NoticeKind.REMINDER else ESCALATED
                log.append(Line(kind, notice_body(request, roles=("po",), notice=notice)))
            assert due.next_at is None or hours(at) < due.next_at < expires_at
        at += step
    assert [sum(line.type == kind for line in log) for kind in (REMINDED, ESCALATED)] == [reminders, escalations]


def test_a_triggerer_that_slept_sends_one_reminder_and_says_which_it_stands_for() -> None:
    """Two days late: the second number, covering both, and never again."""
    due = look(USUAL, 24 + 48 + 1)
    assert due.notices == (reminder(1, 2),)
    body = notice_body(asked(), roles=("po", "sre"), notice=due.notices[0])
    assert (body["number"], body["covers"], body["roles"]) == (2, [1, 2], ["po", "sre"])
    assert look(USUAL, 80, sent=read_sent([Line(REMINDED, body)], asked().request_id)).notices == ()


def test_what_was_sent_about_another_request_does_not_count() -> None:
    """A role that was refused is asked anew, and its time begins anew."""
    body = notice_body(asked(), roles=("po",), notice=reminder(1))
    assert read_sent([Line(REMINDED, body)], "another__plan__-1__r0a2") == Sent()
    assert read_sent([Line("approval.refused", body)], asked().request_id) == Sent()


def test_the_entry_types_are_those_of_the_log() -> None:
    """The log is a closed set."""
    assert (REMINDED, ESCALATED) == (EntryType.APPROVAL_REMINDED, EntryType.APPROVAL_ESCALATED)


def test_a_reminder_says_in_one_line_who_is_waited_for_since_when_until_when() -> None:
    """With the deputies of the day, the request's id, and no line break of anybody's name."""
    text = notice_text(asked(), roles=("po", "sre"), notice=reminder(1), now=hours(24))
    for part in ("Reminder 1", "(ann)", "Dora (dora) as PO", "Sam (sam) as SRE", "plan", "2026-12-01T10:00:00Z", "2026-12-08T10:00:00Z"):
        assert part in text
    assert asked().request_id in text and "\n" not in text
    later = notice_text(asked(), roles=("po",), notice=reminder(2), now=hours(72))
    assert "dora" not in later and "sam" not in later


def test_an_escalation_names_whom_it_is_for() -> None:
    """They are told; they do not get the right to answer."""
    text = notice_text(asked(), roles=("sre",), notice=ESCALATION, now=hours(120), told={"max": "Max"})
    assert text.startswith("For Max (max): nobody has answered. Waiting for Sam (sam) as SRE")
