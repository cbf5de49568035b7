"""The text of cells as numbers and times. What a tool does not write is refused, never guessed."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from perfproof.load_files.refusals import malformed, no_measurement

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,20}")
# 1973 to 5138 in seconds; no test ran before, and a number of milliseconds of our time lies above.
_UNITS = ((1e8, 1e11, 1), (1e11, 1e14, 10**3), (1e14, 1e17, 10**6), (1e17, 1e20, 10**9))


def number(text: str, *, where: str) -> float:
    """`text` as a finite number. Raises ArtifactError 484 for anything else, among it NaN, spaces and underscores."""
    if _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
    raise no_measurement(where, "not a number", got=text)


def whole(text: str, *, where: str) -> int:
    """`text` as a whole number of 0 or more. Raises ArtifactError 484."""
    if _WHOLE.fullmatch(text):
        return int(text)
    raise no_measurement(where, "not a whole number", got=text)


def word(text: str, *, where: str) -> bool:
    """true or false. Raises ArtifactError 484 for another word."""
    lower = text.lower()
    if lower not in ("true", "false"):
        raise no_measurement(where, "neither true nor false", got=text)
    return lower == "true"


class Clock:
    """Times of one file as seconds since 1970: numbers in one unit, which their size tells, or dates. Never both, never two units."""

    def __init__(self) -> None:
        self.unit: int | None = None
        """How many make a second; 0 for dates, None before the first time."""
        self.whole = True
        """Whether no time so far had a fraction of its unit."""
        self._last: tuple[str, float] = ("", 0.0)

    def seconds(self, text: str, *, where: str) -> float:
        """Raises ArtifactError 484 for no time, and for a time in another unit than those before."""
        # Where times are whole seconds, thousands of neighbours have the same.
        if text == self._last[0] and text:
            return self._last[1]
        if _NUMBER.fullmatch(text):
            self._last = (text, self._number(text, where))
            return self._last[1]
        self._same(0, text, where)
        try:
            moment = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError:
            raise no_measurement(where, "no time", got=text, expected="a number since 1970, or a date as in 2026-01-31T10:00:00") from None
        # Only distances count, so the zone of a time without one does not matter.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()

    def _number(self, text: str, where: str) -> float:
        value: float | int = int(text) if text.isdecimal() else float(text)
        unit = next((per for low, high, per in _UNITS if low <= value < high), None)
        if unit is None:
            raise no_measurement(where, "no time since 1970", got=text, expected="seconds, ms, us or ns")
        self._same(unit, text, where)
        self.whole = self.whole and isinstance(value, int)
        return value / unit

    def _same(self, unit: int, text: str, where: str) -> None:
        if self.unit is None:
            self.unit = unit
        elif self.unit != unit:
            raise no_measurement(where, "a time in another unit than the ones before", got=text)


def text_of(record: bytes, *, where: str) -> str:
    """`record` as UTF-8 text without NUL. Raises ArtifactError 483."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed(where, "not UTF-8 text", got=error.reason) from None
    if "\0" in text:
        raise malformed(where, "holds a NUL character")
    return text
