"""Series of numbers in files of other tools: CSV, JSON, Parquet where pyarrow is installed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.inputs.shapes import refusal
from perfproof.inputs.tables import TIMES, csv_columns, is_number, numbers, parquet_columns, read_json_text, records_to_columns
from perfproof.load.rows import HEADER, MAX_UNPACKED
from perfproof.telemetry import Direction

SUFFIXES = (".csv", ".json", ".csv.gz", ".parquet")
VALUES = ("value", "measurement", "values")


@dataclass(frozen=True, slots=True)
class NumberSeries:
    """Numbers in their order, NaN where one is missing. `times` are texts as the file has them, none if it has none.

    `direction` is what is better, None where the file does not say.
    """

    name: str
    values: tuple[float, ...]
    times: tuple[str, ...] = ()
    direction: Direction | None = None


def read_series(data: bytes, *, where: str, form: str, metric: str | None = None) -> list[NumberSeries]:
    """The series in `data`, which is `form` csv, json or parquet. A JSON object holds several, everything else one.

    `metric` names the column, or the key; it can be left out where only one can be meant. Raises ArtifactError for what
    holds no numbers.
    """
    if form == "json":
        return _from_json(data, where=where, metric=metric)
    table = parquet_columns(data, where=where) if form == "parquet" else csv_columns(data, where=where)
    return [series_of(table, where=where, metric=metric)]


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


def series_of(table: Mapping[str, Sequence[Any]], *, where: str, metric: str | None) -> NumberSeries:
    """The one series of a table: the column `metric`, or the only one that can be meant. Raises ArtifactError."""
    if metric is not None and metric not in table:
        raise refusal(465, where, "no such column", "name one of them with --metric", got=metric, expected=", ".join(table))
    name = metric if metric is not None else _only_column(table, where=where)
    time = next((column for column in table if column.lower() in TIMES and column != name), None)
    times = tuple(str(cell) for cell in table[time]) if time else ()
    return NumberSeries(name, numbers(table[name], where=f"{where} column {name}"), times)


def _from_json(data: bytes, *, where: str, metric: str | None) -> list[NumberSeries]:
    document = read_json_text(data, where=where)
    if isinstance(document, list):
        if document and all(isinstance(item, dict) for item in document):
            return [series_of(records_to_columns(document), where=where, metric=metric)]
        return [NumberSeries(metric or "values", numbers(document, where=where))]
    if not isinstance(document, dict) or not all(isinstance(values, list) for values in document.values()):
        raise refusal(461, where, "no series", "give a list of numbers, or an object of lists", got=document)
    if metric is not None:
        if metric not in document:
            raise refusal(462, where, "no such series", "name one of them", got=metric, expected=", ".join(map(str, document)))
        document = {metric: document[metric]}
    return [NumberSeries(name, numbers(values, where=f"{where} {name}")) for name, values in document.items()]


def _only_column(table: Mapping[str, Sequence[Any]], *, where: str) -> str:
    """The column that must be meant: the one called value or measurement, else the only one with numbers beside the time."""
    named = [column for column in table if column.lower() in VALUES]
    numeric = [name for name, cells in table.items() if name.lower() not in TIMES and all(is_number(cell) for cell in cells)]
    found = named if len(named) == 1 else numeric
    if len(found) != 1:
        what = "several columns could be meant" if found else "no column of numbers"
        raise refusal(465, where, what, "name the column with --metric", got=", ".join(found or table))
    return found[0]
