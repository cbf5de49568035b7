"""Series of numbers in files of other tools: CSV, JSON, rows of a load test, Parquet where pyarrow is installed.

What is empty or says nan or null is missing and becomes NaN; any other text in the place of a number is an error.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.inputs.shapes import decoded, refusal
from perfproof.load.rows import HEADER, MAX_UNPACKED

SUFFIXES = (".csv", ".json", ".csv.gz", ".parquet")
TIMES = ("time", "timestamp", "date", "datetime", "start")
VALUES = ("value", "measurement", "values")
MISSING = ("", "nan", "null", "none", "na")


@dataclass(frozen=True, slots=True)
class NumberSeries:
    """Numbers in their order, NaN where one is missing. `times` are texts as the file has them, none if it has none."""

    name: str
    values: tuple[float, ...]
    times: tuple[str, ...] = ()


def read_series(data: bytes, *, where: str, form: str, metric: str | None = None) -> list[NumberSeries]:
    """The series in `data`, which is `form` csv, json or parquet. A JSON object holds several, everything else one.

    `metric` names the column, or the key; it can be left out where only one can be meant. Raises ArtifactError for what
    holds no numbers.
    """
    if form == "json":
        return _from_json(data, where=where, metric=metric)
    table = _parquet(data, where=where) if form == "parquet" else _csv(data, where=where)
    return [_from_columns(table, where=where, metric=metric)]


def form_of(name: str) -> str | None:
    """csv, json, rows or parquet by the end of a file name, None for others."""
    lower = name.lower()
    known = {".csv.gz": "rows", ".csv": "csv", ".json": "json", ".parquet": "parquet"}
    return next((form for suffix, form in known.items() if lower.endswith(suffix)), None)


def is_load_rows(data: bytes) -> bool:
    """Whether `data` is a gzip CSV with the header of a load test's rows."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(200).decode("utf-8", "replace").splitlines()[:1] == [",".join(HEADER)]
    except (OSError, EOFError, zlib.error):
        return False


def unpacked(data: bytes, *, where: str) -> bytes:
    """The bytes in a gzip file. Raises ArtifactError for another file, or more than 256 MiB."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise refusal(460, where, "not a gzip file", "name the file that the tool wrote", got=str(error)) from None
    if len(content) > MAX_UNPACKED:
        raise refusal(460, where, "more than 256 MiB", "give one value per run, not every request")
    return content


def _from_json(data: bytes, *, where: str, metric: str | None) -> list[NumberSeries]:
    try:
        document = json.loads(decoded(data, where=where))
    except (json.JSONDecodeError, RecursionError) as error:
        raise refusal(461, where, "not JSON", "give a list of numbers, or an object of lists", got=str(error)) from None
    if isinstance(document, list):
        if document and all(isinstance(item, dict) for item in document):
            return [_from_columns(_records(document), where=where, metric=metric)]
        return [NumberSeries(metric or "values", _numbers(document, where=where))]
    if not isinstance(document, dict) or not all(isinstance(values, list) for values in document.values()):
        raise refusal(461, where, "no series", "give a list of numbers, or an object of lists", got=document)
    if metric is not None:
        if metric not in document:
            raise refusal(462, where, "no such series", "name one of them", got=metric, expected=", ".join(map(str, document)))
        document = {metric: document[metric]}
    return [NumberSeries(name, _numbers(values, where=f"{where} {name}")) for name, values in document.items()]


def _records(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _csv(data: bytes, *, where: str) -> dict[str, list[Any]]:
    """Columns by name; without a header they are called 1, 2, …"""
    text = decoded(data, where=where)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except csv.Error as error:
        raise refusal(463, where, "not CSV", "write one row per measurement", got=str(error)) from None
    if not lines:
        raise refusal(463, where, "empty", "write one row per measurement")
    header = [cell.strip() for cell in lines[0]]
    if all(_looks_like_a_number(cell) for cell in header):
        header = [str(place) for place in range(1, len(header) + 1)]
    else:
        lines = lines[1:]
    if len(set(header)) != len(header):
        raise refusal(463, where, "two columns of one name", "rename one", got=", ".join(header))
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise refusal(
                463,
                f"{where} row {number}",
                "another number of fields than the header",
                "mend the row",
                got=len(line),
                expected=len(header),
            )
    return {name: [line[place] for line in lines] for place, name in enumerate(header)}


def _parquet(data: bytes, *, where: str) -> dict[str, list[Any]]:
    try:
        import pyarrow.parquet as parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise refusal(464, where, "Parquet needs the package pyarrow, which is not installed", "install pyarrow, or give CSV") from None
    try:
        columns: dict[str, list[Any]] = parquet.read_table(io.BytesIO(data)).to_pydict()
    except Exception as error:  # pyarrow has error classes of its own for each thing that can be wrong
        raise refusal(464, where, "not a Parquet file", "name the file that the tool wrote", got=str(error)) from None
    return columns


def _from_columns(table: Mapping[str, Sequence[Any]], *, where: str, metric: str | None) -> NumberSeries:
    if metric is not None and metric not in table:
        raise refusal(465, where, "no such column", "name one of them with --metric", got=metric, expected=", ".join(table))
    name = metric if metric is not None else _only_column(table, where=where)
    time = next((column for column in table if column.lower() in TIMES and column != name), None)
    times = tuple(str(cell) for cell in table[time]) if time else ()
    return NumberSeries(name, _numbers(table[name], where=f"{where} column {name}"), times)


def _only_column(table: Mapping[str, Sequence[Any]], *, where: str) -> str:
    """The column that must be meant: the one called value or measurement, else the only one with numbers beside the time."""
    named = [column for column in table if column.lower() in VALUES]
    numeric = [c for c, cells in table.items() if c.lower() not in TIMES and all(_looks_like_a_number(cell) for cell in cells)]
    found = named if len(named) == 1 else numeric
    if len(found) != 1:
        what = "several columns could be meant" if found else "no column of numbers"
        raise refusal(465, where, what, "name the column with --metric", got=", ".join(found or table))
    return found[0]


def _looks_like_a_number(cell: Any) -> bool:
    try:
        _number(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _number(cell: Any) -> float:
    """`cell` as a float, NaN if it is missing. TypeError or ValueError for anything else, truth values among it."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return math.nan
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        raise TypeError(cell)
    return float(cell)


def _numbers(cells: Sequence[Any], *, where: str) -> tuple[float, ...]:
    result = []
    for place, cell in enumerate(cells):
        try:
            result.append(_number(cell))
        except (TypeError, ValueError, OverflowError):
            raise refusal(466, f"{where}[{place}]", "not a number", "correct it, or leave it empty", got=cell) from None
    return tuple(result)
