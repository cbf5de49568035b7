"""Who may answer, who stands in for them and when, and which steps they answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may answer. `id` is the user name in Airflow; a role is not a person."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Deputy:
    """Somebody who may answer in a role from `first_day` to `last_day`, both included, for the person with the id `stands_for`.

    The days are UTC and written `2026-12-01`. A deputy answers as himself: his own identity is what every rule looks at.
    """

    id: str
    name: str
    stands_for: str
    first_day: str
    last_day: str

    def stands_in_at(self, moment: datetime) -> bool:
        """Whether `moment` lies within the days."""
        return self.stands_in_between(moment, moment)

    def stands_in_between(self, start: datetime, end: datetime) -> bool:
        """Whether any moment from `start` to `end` lies within the days."""
        return self.first_day <= _day(end) and _day(start) <= self.last_day


def _day(moment: datetime) -> str:
    # ISO dates sort as text.
    return moment.astimezone(UTC).date().isoformat()


def respondents(people: Iterable[Person], deputies: Iterable[Deputy], *, start: datetime, end: datetime) -> tuple[Person | Deputy, ...]:
    """Who may answer at some moment from `start` to `end`: everybody who holds the role, then the deputies of those days, each once."""
    found: dict[str, Person | Deputy] = {person.id: person for person in people}
    for deputy in deputies:
        if deputy.stands_in_between(start, end):
            found.setdefault(deputy.id, deputy)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Role:
    """People who hold one role, and who may stand in for them; `label` is what records and reports show."""

    label: str
    people: tuple[Person, ...]
    deputies: tuple[Deputy, ...] = ()

    def may_answer(self, person_id: str, *, at: datetime) -> bool:
        """Whether that person holds the role, or stands in for somebody who does on the day of `at`."""
        return any(who.id == person_id for who in respondents(self.people, self.deputies, start=at, end=at))


@dataclass(frozen=True, slots=True)
class Approvals:
    """Which roles answer each step, and for how many days a request may be answered (30 at most).

    `task_owner` stands for the person who owns the optimization. People who have not answered are reminded
    `remind_after_hours` after the request was made; `escalate_to` is a role that is told once, `escalate_after_hours`
    after it. Being told gives nobody the right to answer.
    """

    steps: dict[str, tuple[str, ...]]
    expires_after_days: float = 7.0
    poll_seconds: float = 2.0
    remind_after_hours: tuple[float, ...] = (24.0, 72.0)
    escalate_after_hours: float | None = None
    escalate_to: str | None = None
