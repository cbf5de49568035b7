"""Samples of one metric from a file of metrics: rows of metric and value, or one column a metric.

Long form: timestamp, metric, service, value, and unit and instance where they are given. Wide form: timestamp and a column for each
metric, and service and instance where they are given. Bad rows are errors with their place, whichever metric they are of; nothing is
repaired, sorted or filled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.errors import PerfproofError
from perfproof.inputs.metric_file_rows import rows_of
from perfproof.telemetry import Unit

TIMESTAMP, METRIC, SERVICE, INSTANCE, VALUE, UNIT = "timestamp", "metric", "service", "instance", "value", "unit"
LONG = (TIMESTAMP, METRIC, SERVICE, VALUE)
DESCRIBING = frozenset({*LONG, INSTANCE, UNIT})
MAX_SAMPLES = 200_000
MAX_NAMES = 20
MISSING = frozenset({"", "null"})
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?i:inf)|(?i:nan)")
EPOCH = re.compile(r"[0-9]{9,14}(?:\.[0-9]{1,9})?")
# From 2000 to 2100, so that seconds, milliseconds and finer units cannot be taken for each other.
SECONDS = (946_684_800, 4_102_444_800)


class Clock(StrEnum):
    """How a file writes moments; one file, one way."""

    ISO = "ISO 8601 with a time zone"
    SECONDS = "seconds since the epoch"
    MILLISECONDS = "milliseconds since the epoch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which samples: `after` < moment <= `until` (seconds since the epoch). A moment beyond `latest` is in the future."""

    metric: str
    service: str
    instance: str
    unit: Unit
    after: float
    until: float
    latest: float


@dataclass(slots=True)
class MetricRows:
    """Samples in the order of the file, and the rows that they are from, one line of JSON each.

    `of_metric` counts the rows of the metric, whatever their service and moment.
    """

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    of_metric: int = 0


def read_samples(data: bytes, *, form: str, wanted: Wanted, where: str, error: type[PerfproofError]) -> MetricRows:
    """The samples of `wanted` in `data`, which is `form` csv, json or parquet. An empty cell is no sample.

    Raises `error` 765 for another file, 766 for a bad row, 767 for a metric that the file does not have, 768 for another unit,
    769 for moments that are in the future, out of order, without a time zone or written in two ways.
    """
    found = MetricRows()
    names: dict[str, None] = {}
    clock: Clock | None = None
    previous: dict[tuple[str, str], float] = {}
    for place, row in rows_of(data, form=form, columns=DESCRIBING | {wanted.metric}, where=where, error=error):
        at = f"{where} {place}"
        long = METRIC in row or (VALUE in row and wanted.metric not in row)
        _check_columns(row, long=long, where=at, error=error)
        moment, way = _moment(row[TIMESTAMP], where=at, error=error)
        clock = clock or way
        if way is not clock:
            raise error(769, where=at, what="moments written in two ways", got=row[TIMESTAMP], expected=clock.value, fix="write one way")
        if moment > wanted.latest:
            raise error(769, where=at, what="a moment in the future", got=row[TIMESTAMP], fix="correct the clock that wrote it")
        cell = row[VALUE] if long else row.get(wanted.metric)
        value = _value(cell, where=at, error=error)
        for name in [row[METRIC]] if long else row:
            if len(names) < MAX_NAMES and (long or name not in DESCRIBING):
                names[str(name)] = None
        if (row[METRIC] != wanted.metric) if long else wanted.metric not in row:
            continue
        found.of_metric += 1
        owner = (str(row.get(SERVICE)), str(row.get(INSTANCE)))
        if moment < previous.get(owner, -math.inf):
            raise error(769, where=at, what=f"rows of {wanted.metric} out of order", got=row[TIMESTAMP], fix="sort the file by timestamp")
        if len(previous) >= MAX_SAMPLES and owner not in previous:
            raise error(765, where=where, what="too many services and instances", fix="give one file a service")
        previous[owner] = moment
        if not all(row.get(key, own) == own for key, own in ((SERVICE, wanted.service), (INSTANCE, wanted.instance))):
            continue
        if row.get(UNIT, wanted.unit.value) != wanted.unit.value:
            raise error(
                768, where=at, what=f"{wanted.metric} has another unit than in the protocol file", got=row[UNIT],
                expected=wanted.unit.value, fix="convert the values, or correct the unit",
            )  # fmt: skip
        if wanted.after < moment <= wanted.until:
            _keep(found, place, row[TIMESTAMP], cell, moment, value, where=where, error=error)
    if clock is None:
        raise error(765, where=where, what="no row in the file", fix="write one row a moment")
    if not found.of_metric:
        raise error(
            767, where=where, what="no such metric in the file", got=wanted.metric, expected=", ".join(names), fix="correct the query"
        )
    return found


def _keep(
    found: MetricRows, place: str, stamp: Any, cell: Any, moment: float, value: float | None, *, where: str, error: type[PerfproofError]
) -> None:
    if len(found.lines) >= MAX_SAMPLES:
        raise error(765, where=where, what=f"more than {MAX_SAMPLES} rows in the window", fix="choose a shorter window, or a larger step")
    found.lines.append(json.dumps([place, str(stamp), None if cell is None else str(cell)], ensure_ascii=False))
    if value is not None:
        found.times.append(moment)
        found.values.append(value)


def _check_columns(row: Mapping[str, Any], *, long: bool, where: str, error: type[PerfproofError]) -> None:
    missing = [name for name in (LONG if long else (TIMESTAMP,)) if name not in row]
    if missing:
        raise error(
            766, where=where, what=f"no {', '.join(missing)}", got=", ".join(map(str, row)),
            expected="timestamp, metric, service, value[, unit], or timestamp and one column a metric", fix="correct the header",
        )  # fmt: skip


def _moment(cell: Any, *, where: str, error: type[PerfproofError]) -> tuple[float, Clock]:
    if isinstance(cell, str) and not EPOCH.fullmatch(cell.strip()):
        try:
            cell = datetime.fromisoformat(cell.strip())
        except ValueError:
            raise error(769, where=where, what="not a moment", got=cell, expected="2025-02-16T10:00:00Z", fix="correct it") from None
    if isinstance(cell, datetime):
        if cell.tzinfo is None:
            raise error(769, where=where, what="a moment without a time zone", got=cell.isoformat(), fix="write UTC, with a Z")
        if SECONDS[0] <= cell.timestamp() < SECONDS[1]:
            return cell.timestamp(), Clock.ISO
    elif isinstance(cell, str | int | float) and not isinstance(cell, bool):
        number = float(cell) if not isinstance(cell, int) or abs(cell) < 2**63 else math.nan
        if SECONDS[0] <= number < SECONDS[1]:
            return number, Clock.SECONDS
        if SECONDS[0] * 1000 <= number < SECONDS[1] * 1000:
            return number / 1000, Clock.MILLISECONDS
    raise error(
        769, where=where, what="not a moment between 2000 and 2100", got=cell,
        expected="ISO 8601 with a time zone, or seconds or milliseconds since the epoch", fix="correct it",
    )  # fmt: skip


def _value(cell: Any, *, where: str, error: type[PerfproofError]) -> float | None:
    """None for an empty cell; not finite numbers are handed on, for the cell to say so."""
    text = cell.strip() if isinstance(cell, str) else cell
    if text is None or (isinstance(text, str) and text.lower() in MISSING):
        return None
    proper = isinstance(text, int | float) and not isinstance(text, bool)
    if proper or (isinstance(text, str) and NUMBER.fullmatch(text)):
        try:
            return float(text)
        except OverflowError:
            return math.inf
    raise error(766, where=where, what="not a number", got=cell, fix="correct it, or leave it empty")
