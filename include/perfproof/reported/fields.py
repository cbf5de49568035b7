"""Fields of an answer: each is of the kind that it must be, or the answer is refused with the place in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import TelemetryError

UNKNOWN = "UNKNOWN"
MAX_TEXT = 2000
# Of "no time": what Go programs write for a moment that is not set.
NEVER = datetime(1, 1, 1, tzinfo=UTC)


def mapping(value: Any, *, where: str, number: int) -> Mapping[str, Any]:
    """`value` if it is a mapping. Raises TelemetryError with `number`."""
    if not isinstance(value, Mapping):
        raise unexpected(number, where, value, "an object")
    return value


def listed(value: Any, *, where: str, number: int) -> list[Any]:
    """`value` if it is a list. Raises TelemetryError with `number`."""
    if not isinstance(value, list):
        raise unexpected(number, where, value, "a list")
    return value


def unexpected(number: int, where: str, got: Any, expected: str) -> TelemetryError:
    """The error for an answer of another shape than the system's API has."""
    return TelemetryError(
        number, where=where, what="an answer of another shape", got=got, expected=expected, fix="check that the Connection names that API"
    )


def text(value: Any, *, absent: str = UNKNOWN) -> str:
    """`value` as text on one line, without spaces around it, cut at 2,000 characters; `absent` if it is no text or empty."""
    found = " ".join(value.split()) if isinstance(value, str) else ""
    return (found if len(found) <= MAX_TEXT else found[: MAX_TEXT - 1] + "…") or absent


def moment(value: Any, *, where: str) -> datetime:
    """The moment that `value` (ISO 8601 with a zone) names, in UTC. Raises TelemetryError 771, also for a number: its unit is not told."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        known = None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        known = None
    if known is None:
        raise TelemetryError(
            771,
            where=where,
            what="not a moment",
            got=value,
            expected="2025-02-16T10:00:00Z",
            fix="check that the Connection names that API",
        )
    return known


def overlaps(started: datetime, ended: datetime | None, *, start: float, end: float) -> bool:
    """Whether something that lasted from `started` to `ended` (None: it lasts) touches the window, in seconds since the epoch."""
    return started.timestamp() <= end and (ended is None or ended.timestamp() >= start)


def require_window(start: float, end: float, *, where: str) -> None:
    """Raises TelemetryError 783 unless `start` and `end` are seconds of the years 1970 to 9999, in this order."""
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end < 253_402_300_800):
        raise TelemetryError(
            783, where=where, what="not a window", got=f"{start} to {end}", expected="seconds since the epoch, start before end",
            fix="correct the window",
        )  # fmt: skip
