"""The one form that spans of every store are read into, and what a value of a store's answer must be to become part of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from perfproof.errors import TelemetryError, quoted

MAX_NAME = 200
MAX_ID = 100
# Nanoseconds since the epoch, written as a number, have 19 digits; hashes in tags have 20.
LONGEST_INTEGER = 25
# A time before 2000 or after 2200 is one in another unit.
EARLIEST_NS = 946_684_800 * 10**9
LATEST_NS = 7_258_118_400 * 10**9


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a request. Times are nanoseconds since the epoch; `end_ns` is None while the step has not ended."""

    span_id: str
    parent_id: str | None
    service: str
    name: str
    start_ns: int
    end_ns: int | None
    error: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one request as the store gave them. `incomplete` if the store says that it has not all of them."""

    trace_id: str
    spans: tuple[Span, ...] = field(repr=False)
    incomplete: bool = False


def read_answer(body: bytes, *, where: str) -> Any:
    """The JSON value of a trace store's answer. Duplicate keys and NaN are errors, as everywhere.

    Unlike `perfproof.strict.read_json` it takes integers beyond 2^53-1: tags and nanoseconds have them, and none is computed as a
    float here.
    """
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_no_number, parse_float=_finite, parse_int=_integer
        )
    except (ValueError, RecursionError) as problem:
        raise not_a_trace(where, f"the answer is no JSON: {problem}", body[:80].decode("utf-8", "replace")) from None


def not_a_trace(where: str, what: str, got: Any = None) -> TelemetryError:
    """The error for an answer of a trace store that is not what its documentation says."""
    return TelemetryError(730, where=where, what=what, got=got, fix="check that the Connection names this kind of trace store")


def mapping(value: Any, *, where: str, what: str) -> dict[str, Any]:
    """`value` if it is a mapping."""
    if not isinstance(value, dict):
        raise not_a_trace(where, f"{what} is no mapping", value)
    return value


def sequence(value: Any, *, where: str, what: str) -> list[Any]:
    """`value` if it is a list; None is an empty one, as programs in Go write it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise not_a_trace(where, f"{what} is no list", value)
    return value


def plain(value: Any, *, where: str, what: str, length: int = MAX_NAME) -> str:
    """A name as text of at most `length` characters that can be written as UTF-8. It is data: who prints it escapes it."""
    if not isinstance(value, str):
        raise not_a_trace(where, f"{what} is no text", value)
    text = value[: length + 1].encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= length else text[: length - 1] + "…"


def identity(value: Any, *, where: str, what: str) -> str:
    """An id as its store writes it. A cut id could be another span's, so a long one is an error."""
    if not isinstance(value, str) or not value or len(value) > MAX_ID:
        raise not_a_trace(where, f"{what} is no id", value)
    return plain(value, where=where, what=what)


def nanoseconds(value: Any, *, unit_ns: int, where: str, what: str) -> int:
    """A moment in a store's unit of `unit_ns` nanoseconds, as nanoseconds since the epoch."""
    number = _number(value)
    if number is None or not EARLIEST_NS <= number * unit_ns <= LATEST_NS:
        raise not_a_trace(where, f"{what} is no moment", value)
    return round(number * unit_ns)


def duration(value: Any, *, unit_ns: int, where: str, what: str) -> int:
    """A duration in a store's unit as nanoseconds. A negative one is kept: the trace counts it."""
    number = _number(value)
    if number is None or abs(number) * unit_ns > LATEST_NS:
        raise not_a_trace(where, f"{what} is no duration", value)
    return round(number * unit_ns)


def _number(value: Any) -> int | float | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= LONGEST_INTEGER:
        return int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{quoted(text, 24)} is out of range")
    return value


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"integer {text[:24]} is too long")
    return int(text)
