"""baseline-metrics.csv: the six columns of the specification, read without guessing."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from perfproof.baseline.document import CSV_COLUMNS
from perfproof.errors import PerfproofError, quoted
from perfproof.moments import parse_stamp
from perfproof.telemetry import Unit

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,127}")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
MAX_BYTES = 8 << 20
COMPLAINTS_SHOWN = 20
UNITS = frozenset(unit.value for unit in Unit)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One metric of one service. `value` is None where the cell is empty: it was required, and not measured."""

    metric_name: str
    service: str
    value: Decimal | None
    unit: str
    collection_method: str
    timestamp: str


def read_baseline_csv(data: bytes) -> tuple[tuple[BaselineRow, ...], tuple[str, ...]]:
    """The rows of the table and what is wrong with it (20 are named), each with its line. A table with complaints is not to be trusted."""
    if len(data) > MAX_BYTES:
        return (), (f"{len(data)} bytes, at most {MAX_BYTES} are read",)
    if data.startswith(b"\xef\xbb\xbf"):
        return (), ("line 1: begins with a byte order mark",)
    if b"\0" in data:
        return (), ("holds a NUL byte",)
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        return (), (f"no CSV in UTF-8: {error}",)
    if not lines or tuple(lines[0]) != CSV_COLUMNS:
        return (), (f"line 1: the columns are {quoted(','.join(lines[0]) if lines else '')}, expected {','.join(CSV_COLUMNS)}",)
    rows: list[BaselineRow] = []
    complaints: list[str] = []
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines[1:], start=2):
        row = _row(line)
        if isinstance(row, str):
            complaints.append(f"line {number}: {row}")
            continue
        if (row.service, row.metric_name) in seen:
            complaints.append(f"line {number}: {row.service}/{row.metric_name} stands there twice")
        seen.add((row.service, row.metric_name))
        rows.append(row)
    if not any(row.value is not None for row in rows):
        complaints.append("no row has a value")
    return tuple(rows), tuple(complaints[:COMPLAINTS_SHOWN])


def _row(line: list[str]) -> BaselineRow | str:
    if len(line) != len(CSV_COLUMNS):
        return f"{len(line)} cells, expected {len(CSV_COLUMNS)}"
    name, service, value, unit, method, timestamp = line
    if not IDENTIFIER.fullmatch(name) or not IDENTIFIER.fullmatch(service):
        return f"{quoted(name)} or {quoted(service)} is no identifier"
    if unit not in UNITS:
        return f"unit {quoted(unit)} is unknown"
    if not method.strip():
        return "collection_method is empty"
    try:
        parse_stamp(timestamp)
    except PerfproofError:
        return f"timestamp {quoted(timestamp)} is no moment with a time zone"
    measured = _number(value)
    if value and measured is None:
        return f"value {quoted(value)} is no finite number"
    return BaselineRow(name, service, measured, unit, method, timestamp)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if NUMBER.fullmatch(text) and math.isfinite(float(text)) else None
    except (InvalidOperation, OverflowError):
        return None
