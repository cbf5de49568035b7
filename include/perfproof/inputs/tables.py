"""Columns by name from CSV, JSON or Parquet, and what counts as a number in them.

What is empty or says nan or null is missing and becomes NaN; any other text in the place of a number is an error.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.inputs.shapes import decoded, refusal

TIMES = ("time", "timestamp", "date", "datetime", "start")
MISSING = ("", "nan", "null", "none", "na")

Table = dict[str, list[Any]]


def read_table(data: bytes, *, where: str, form: str) -> Table:
    """Columns by name in `data`, which is `form` csv, json (a list of objects, one object, or lists by name) or parquet.

    Raises ArtifactError for what is no table.
    """
    if form == "parquet":
        return parquet_columns(data, where=where)
    return csv_columns(data, where=where) if form == "csv" else _json_columns(read_json_text(data, where=where), where=where)


def csv_columns(data: bytes, *, where: str) -> Table:
    """The columns of a CSV file; without a header they are called 1, 2, …"""
    text = decoded(data, where=where)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except csv.Error as error:
        raise refusal(463, where, "not CSV", "write one row per measurement", got=str(error)) from None
    if not lines:
        raise refusal(463, where, "empty", "write one row per measurement")
    header = [cell.strip() for cell in lines[0]]
    if all(is_number(cell) for cell in header):
        header = [str(place) for place in range(1, len(header) + 1)]
    else:
        lines = lines[1:]
    if len(set(header)) != len(header):
        raise refusal(463, where, "two columns of one name", "rename one", got=", ".join(header))
    for place, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise refusal(
                463, f"{where} row {place}", "another number of fields than the header", "mend the row", got=len(line), expected=len(header)
            )
    return {name: [line[place] for line in lines] for place, name in enumerate(header)}


def parquet_columns(data: bytes, *, where: str) -> Table:
    """The columns of a Parquet file. Raises ArtifactError where pyarrow is not installed."""
    try:
        import pyarrow.parquet as parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise refusal(
            464, where, "Parquet needs the package pyarrow, which is not installed", "install perfproof[parquet], or give CSV"
        ) from None
    try:
        columns: Table = parquet.read_table(io.BytesIO(data)).to_pydict()
    except Exception as error:  # pyarrow has error classes of its own for each thing that can be wrong
        raise refusal(464, where, "not a Parquet file", "name the file that the tool wrote", got=str(error)) from None
    return columns


def read_json_text(data: bytes, *, where: str) -> Any:
    """The JSON value in `data`. NaN is taken for a missing number, as other tools write it; two equal keys are an error."""
    try:
        return json.loads(decoded(data, where=where), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise refusal(461, where, "not JSON", "give a list of numbers, or an object of lists", got=str(error)) from None


def records_to_columns(records: Sequence[Mapping[str, Any]]) -> Table:
    """Columns of a list of objects; what an object does not have is None."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def is_number(cell: Any) -> bool:
    """Whether `cell` is a number or says that one is missing."""
    try:
        number(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def number(cell: Any) -> float:
    """`cell` as a float, NaN if it is missing. TypeError or ValueError for anything else, truth values among it."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return math.nan
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        raise TypeError(cell)
    return float(cell)


def numbers(cells: Sequence[Any], *, where: str) -> tuple[float, ...]:
    """All of `cells` as floats. Raises ArtifactError with the place of the first that is none."""
    result = []
    for place, cell in enumerate(cells):
        try:
            result.append(number(cell))
        except (TypeError, ValueError, OverflowError):
            raise refusal(466, f"{where}[{place}]", "not a number", "correct it, or leave it empty", got=cell) from None
    return tuple(result)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"two entries of one name: {next(name for name in names if names.count(name) > 1)!r}")
    return result


def _json_columns(document: Any, *, where: str) -> Table:
    if isinstance(document, list) and all(isinstance(item, dict) for item in document):
        return records_to_columns(document)
    if not isinstance(document, dict):
        raise refusal(461, where, "no table", "give a list of objects, or one object", got=document)
    if all(isinstance(values, list) for values in document.values()):
        return dict(document)
    if any(isinstance(value, list | dict) for value in document.values()):
        raise refusal(461, where, "no table", "give numbers by name, or lists of numbers by name", got=document)
    return {name: [value] for name, value in document.items()}
