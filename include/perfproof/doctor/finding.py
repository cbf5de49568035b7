"""One finding: what was looked at, where, and whether it is right, wrong, or was not looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import PerfproofError


class Area(StrEnum):
    """What a finding is about, in the order in which findings are shown."""

    CONNECTIONS = "connections"
    ROLES = "roles"
    PERMISSIONS = "permissions"
    KEYS = "keys"
    CAPACITY = "capacity"
    CLOCK = "clock"
    STORAGE = "storage"


class State(StrEnum):
    """What is known. `not checked` is never taken for `ok`."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


class Misconfigured(PerfproofError):
    """A finding in the house's form of an error line. It is shown, never raised."""

    prefix = "DOC"


@dataclass(frozen=True, slots=True)
class Finding:
    """`code`, `got`, `expected` and `fix` belong to problems; what was not checked may have a `fix` too."""

    area: Area
    state: State
    where: str
    what: str
    code: str | None = None
    got: str | None = None
    expected: str | None = None
    fix: str | None = None

    @property
    def line(self) -> str:
        """The finding in one line, whatever stands in it."""
        if self.state is State.PROBLEM:
            number = int((self.code or "DOC-000").rpartition("-")[2])
            return str(
                Misconfigured(number, where=self.where, what=self.what, got=self.got, expected=self.expected, fix=self.fix or "see above")
            )
        # The words of a foreign program can stand in what was not checked.
        told = Misconfigured(0, where=self.where, what=self.what, got=self.got, fix=self.fix or "")
        line = str(told).removeprefix(f"{told.code} ")
        return line if self.fix else line.removesuffix(". Fix: ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking. `error`: why it failed, None if it did not; `unasked`: why nobody asked, None if somebody did."""

    error: PerfproofError | None = None
    unasked: str | None = None


def ok(area: Area, where: str, what: str) -> Finding:
    """Something is as it should be."""
    return Finding(area, State.OK, where, what)


def unchecked(area: Area, where: str, what: str, *, fix: str | None = None) -> Finding:
    """Nobody looked; `what` says why."""
    return Finding(area, State.NOT_CHECKED, where, what, fix=fix)


def problem(area: Area, number: int, *, where: str, what: str, fix: str, got: Any = None, expected: Any = None) -> Finding:
    """Something has to be mended; `number` tells scripts which."""
    return Finding(
        area, State.PROBLEM, where, what, code=f"{Misconfigured.prefix}-{number:03d}", fix=fix,
        got=None if got is None else str(got), expected=None if expected is None else str(expected),
    )  # fmt: skip


def told_by(area: Area, number: int, error: PerfproofError, *, where: str | None = None) -> Finding:
    """A problem in the words of the error that a part of perfproof gave, its own code kept in `got`."""
    got = error.code if error.got is None else f"{error.code}: {error.got}"
    return problem(area, number, where=where or error.where, what=error.what, got=got, expected=error.expected, fix=error.fix)
