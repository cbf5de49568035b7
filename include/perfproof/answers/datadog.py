"""What Datadog's answer to a query of timeseries points says: one series in the asked interval and unit, bucket by bucket.

The form is that of GET /api/v1/query as its reference describes it. Recorded answers show what the reference leaves open: a point is
stamped with the beginning of its bucket, buckets begin at multiples of the interval, and the last one may reach beyond the asked end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfproof.errors import PerfproofError
from perfproof.telemetry import MetricSpec, Unit

# What each unit is called there: names of the first part, and of what it is divided by.
NAMED: Mapping[Unit, tuple[frozenset[str], str | None]] = {
    Unit.MILLISECONDS: (frozenset({"millisecond"}), None),
    Unit.SECONDS: (frozenset({"second"}), None),
    Unit.PERCENT: (frozenset({"percent"}), None),
    Unit.MEBIBYTES: (frozenset({"mebibyte"}), None),
    Unit.CORES: (frozenset({"core", "cpu"}), None),
    Unit.CPU_PER_REQUEST: (frozenset({"millisecond"}), "request"),
    Unit.QUERIES_PER_REQUEST: (frozenset({"query"}), "request"),
    Unit.ROWS_PER_REQUEST: (frozenset({"row"}), "request"),
}
SCALES = {"millisecond": 1e-3, "second": 1.0, "mebibyte": float(1 << 20)}
# Families whose units are no counts of things.
DIMENSIONS = frozenset({"bytes", "time", "percentage", "frequency", "temperature", "cpu", "money"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: buckets of `step` seconds, the first begins at `first`, the last ends at `last` (seconds since the epoch).

    `rate` says that the query divides by the bucket's seconds (`.as_rate()`), which the answer's unit does not show.
    """

    spec: MetricSpec
    first: int
    last: int
    step: int
    rate: bool = False


def series_of(document: Any, *, where: str, error: type[PerfproofError]) -> list[dict[str, Any]]:
    """The series of an answer that reports success. Raises `error` 752 for a refusal, 751 for another form."""
    if not isinstance(document, dict):
        raise error(751, where=where, what="not an answer of Datadog", got=document, fix="let the host of the Connection name a site")
    told = document.get("error") or document.get("errors")
    if document.get("status") != "ok" or told:
        raise error(
            752, where=where, what="Datadog refuses the query", got=told or document.get("message") or document.get("status"),
            fix="correct the query in the protocol file",
        )  # fmt: skip
    found = document.get("series")
    if document.get("res_type", "time_series") != "time_series" or not isinstance(found, list):
        raise error(
            751, where=where, what="not a time series", got=document.get("res_type"), expected="time_series", fix="ask for a metric"
        )
    if not all(isinstance(item, dict) for item in found):
        raise error(751, where=where, what="a series that is no object", got=found, fix="check that the host is a Datadog site")
    return found


def points_of(series: list[dict[str, Any]], asked: Asked, *, where: str, error: type[PerfproofError]) -> list[tuple[float, float]]:
    """The samples (end of the bucket, value) of the only series; none is an empty list, and a bucket without value is left out.

    A bucket that begins where the asked range ends is of the next range and left out. Raises `error` 754 for several series, 753
    for another interval, 756 for another unit, 755 for points that are out of order, outside the range or between two buckets.
    """
    name = asked.spec.name
    if len(series) > 1:
        raise error(
            754, where=where, what=f"the query of {name} returns several series", got=f"{len(series)} series",
            fix="aggregate it to one: no `by {…}`, or the tags of one service",
        )  # fmt: skip
    if not series or not series[0].get("pointlist"):
        return []
    _check_interval(series[0], asked, where=where, error=error)
    _check_unit(series[0], asked, where=where, error=error)
    samples: list[tuple[float, float]] = []
    previous = -math.inf
    for pair in _pairs(series[0]["pointlist"], where=where, error=error):
        begin, value = pair[0] / 1000, pair[1]
        if not asked.first <= begin <= asked.last or (begin - asked.first) % asked.step:
            raise error(
                755, where=where, what=f"a point of {name} that is in none of the asked buckets", got=pair[0],
                expected=f"{asked.first * 1000} to {asked.last * 1000} by {asked.step * 1000}", fix="ask for whole buckets in UTC",
            )  # fmt: skip
        if begin < previous:
            raise error(755, where=where, what=f"points of {name} out of order", got=pair[0], fix="report it to Datadog")
        previous = begin
        if value is not None and begin < asked.last:
            samples.append((begin + asked.step, float(value)))
    return samples


def answering(series: list[dict[str, Any]], *, where: str, error: type[PerfproofError]) -> int:
    """How many series have a point with a value."""
    found = [_pairs(item.get("pointlist") or [], where=where, error=error) for item in series]
    return sum(any(value is not None for _, value in pairs) for pairs in found)


def _pairs(found: Any, *, where: str, error: type[PerfproofError]) -> list[tuple[float, float | None]]:
    if not isinstance(found, list):
        raise error(751, where=where, what="a series without points", got=found, fix="check that the host is a Datadog site")
    for pair in found:
        proper = isinstance(pair, list) and len(pair) == 2 and _is_number(pair[0]) and (pair[1] is None or _is_number(pair[1]))
        if not proper:
            raise error(
                751, where=where, what="not a point", got=pair, expected="[milliseconds, number or null]",
                fix="check that the host is a Datadog site",
            )  # fmt: skip
    return [(pair[0], pair[1]) for pair in found]


def _check_interval(series: dict[str, Any], asked: Asked, *, where: str, error: type[PerfproofError]) -> None:
    interval = series.get("interval")
    if not _is_number(interval) or interval != asked.step:
        raise error(
            753, where=where, what=f"Datadog rolled {asked.spec.name} up to another interval than the step", got=interval,
            expected=asked.step, fix=f"add .rollup(avg, {asked.step}) to the query, or choose a step that Datadog keeps",
        )  # fmt: skip


def _check_unit(series: dict[str, Any], asked: Asked, *, where: str, error: type[PerfproofError]) -> None:
    """A metric without a unit in Datadog cannot be compared; what its values are is then the protocol file's word."""
    found = series.get("unit")
    parts = found if isinstance(found, list) else [found]
    if not parts or parts[0] is None:
        return
    if len(parts) > 2 or not all(part is None or isinstance(part, dict) for part in parts):
        raise error(
            751, where=where, what="not a unit", got=found, expected="[unit, per unit]", fix="check that the host is a Datadog site"
        )
    of, per = parts[0], (parts[1] if len(parts) == 2 else None) or {}
    name, family, scale = of.get("name"), of.get("family"), of.get("scale_factor")
    wrong_scale = name in SCALES and scale is not None and not (_is_number(scale) and math.isclose(scale, SCALES[name], rel_tol=1e-6))
    if wrong_scale or not _fits(asked, name, family, per.get("name")):
        shown = f"{name}{'/' + str(per.get('name')) if per else ''}{f' of scale {scale}' if wrong_scale else ''}"
        raise error(
            756, where=where, what=f"{asked.spec.name} has another unit in the protocol file than in Datadog", got=shown,
            expected=asked.spec.unit.value, fix="convert it in the query, or correct the unit in the metric's metadata",
        )  # fmt: skip


def _fits(asked: Asked, name: Any, family: Any, per: Any) -> bool:
    unit = asked.spec.unit
    if unit in NAMED:
        names, expected_per = NAMED[unit]
        return name in names and per == expected_per
    if family in DIMENSIONS:
        return False
    return (per == "second" or (per is None and asked.rate)) if unit is Unit.PER_SECOND else per is None and not asked.rate


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
