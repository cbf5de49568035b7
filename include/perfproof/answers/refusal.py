"""The errors of a source's answer that cannot be measured, raised by pure readers in the class that the hook chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perfproof.errors import TelemetryError


@dataclass(frozen=True, slots=True)
class AnswerRefusal:
    """Makes errors of class `error` at `where`; call it and raise what it returns."""

    where: str
    error: type[TelemetryError] = TelemetryError

    def __call__(self, what: str, got: Any, fix: str, *, expected: Any = None, number: int = 276) -> TelemetryError:
        """The error: what is wrong, what was got, and how to mend it."""
        return self.error(number, where=self.where, what=what, got=got, expected=expected, fix=fix)
