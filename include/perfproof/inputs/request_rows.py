"""The requests of other tools' load tests, one a row of a CSV with a time and a latency, as rows of this project.

Columns are known by name, whatever their case: a time (timestamp, time, start), in seconds or milliseconds since 1970, or ISO 8601;
a latency (latency, elapsed, response_time, duration: milliseconds; with the ending _s or _seconds: seconds); and, where there
is one, success or ok (true or false), or status (an HTTP status).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from perfproof.inputs.shapes import refusal
from perfproof.inputs.tables import TIMES, numbers
from perfproof.load.rows import NoAnswer, Rows, make_rows

LATENCIES = ("latency", "elapsed", "response_time", "duration")
SECONDS = ("_s", "_seconds")
SUCCESS = ("success", "ok")
STATUS = ("status", "responsecode", "status_code")
WORDS = {"true": True, "1": True, "false": False, "0": False}
# No test ran before 1973; a larger number of seconds lies beyond the year 5000.
MILLISECONDS_FROM = 1e11


def has_requests(table: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a table has a time and a latency, so that its rows can be single requests."""
    return _time(table) is not None and _latency(table) is not None


def request_rows(table: Mapping[str, Sequence[Any]], *, where: str) -> Rows:
    """The requests of `table`, with times from the earliest one. A request without a latency counts as failed.

    Raises ArtifactError for a table without the columns, or a cell that is neither.
    """
    time, latency = _time(table), _latency(table)
    if time is None or latency is None:
        raise refusal(
            470, where, "no rows of requests", "name the columns timestamp and latency", got=", ".join(table), expected="a time, a latency"
        )
    moments = _moments(table[time], where=f"{where} column {time}")
    column, factor = latency
    lasted = [value * factor for value in numbers(table[column], where=f"{where} column {column}")]
    if any(value < 0 for value in lasted):
        raise refusal(470, f"{where} column {column}", "a latency below zero", "correct the column", got=min(lasted))
    first = min(moments, default=0.0)
    starts = [moment - first for moment in moments]
    good = _good(table, len(starts), where=where)
    status = [200 if fine and math.isfinite(t) else int(NoAnswer.CONNECTION) for fine, t in zip(good, lasted, strict=True)]
    ends = [begin + t if math.isfinite(t) else begin for begin, t in zip(starts, lasted, strict=True)]
    return make_rows(intended_start=starts, start=starts, end=ends, status=status, transaction=[""] * len(starts))


def _named(table: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str | None:
    return next((column for column in table if column.strip().lower() in names), None)


def _time(table: Mapping[str, Sequence[Any]]) -> str | None:
    return _named(table, TIMES)


def _latency(table: Mapping[str, Sequence[Any]]) -> tuple[str, float] | None:
    """The column, and what turns it into seconds."""
    for column in table:
        name = column.strip().lower()
        if name.removesuffix("_ms") in LATENCIES:
            return column, 0.001
        if any(name.removesuffix(ending) in LATENCIES for ending in SECONDS):
            return column, 1.0
    return None


def _moments(cells: Sequence[Any], *, where: str) -> list[float]:
    """Seconds. Numbers are seconds or milliseconds; any other text is ISO 8601, in UTC unless it says otherwise."""
    try:
        plain = [float(cell) for cell in cells]
    except (TypeError, ValueError):
        plain = [_iso(cell, where=f"{where}[{place}]") for place, cell in enumerate(cells)]
    if not all(math.isfinite(moment) for moment in plain):
        raise refusal(470, where, "a row without a time", "correct the column")
    return [moment / 1000 for moment in plain] if plain and max(plain) >= MILLISECONDS_FROM else plain


def _iso(cell: Any, *, where: str) -> float:
    try:
        moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell).strip())
    except ValueError:
        raise refusal(470, where, "no time", "write seconds since 1970, or ISO 8601", got=cell) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _good(table: Mapping[str, Sequence[Any]], length: int, *, where: str) -> list[bool]:
    """Which requests succeeded; all of them where no column says."""
    column = _named(table, SUCCESS)
    if column is not None:
        words = [str(cell).strip().lower() for cell in table[column]]
        unknown = next((word for word in words if word not in WORDS), None)
        if unknown is not None:
            raise refusal(470, f"{where} column {column}", "neither true nor false", "correct the column", got=unknown)
        return [WORDS[word] for word in words]
    column = _named(table, STATUS)
    if column is not None:
        # Not every tool writes a number where there was no answer; no number is no success.
        return [str(cell).strip().isdecimal() and 200 <= int(str(cell).strip()) < 400 for cell in table[column]]
    return [True] * length
