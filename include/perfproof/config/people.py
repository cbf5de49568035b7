"""Who may answer, and which steps they answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may answer. `id` is the user name in Airflow; a role is not a person."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Role:
    """People who hold one role; `label` is what records and reports show."""

    label: str
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Approvals:
    """Which roles answer each step, and for how many days a request may be answered (30 at most).

    `task_owner` stands for the person who owns the optimization.
    """

    steps: dict[str, tuple[str, ...]]
    expires_after_days: float = 7.0
    poll_seconds: float = 2.0
