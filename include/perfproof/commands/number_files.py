"""What `perfproof judge` and `perfproof changes` read: a file, a directory of files, or standard input."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from perfproof.baseline import read_baseline
from perfproof.capture_changes import capture_series
from perfproof.errors import ArtifactError, ParameterError
from perfproof.history import entry_interval
from perfproof.input_file import read_input
from perfproof.inputs.number_series import SUFFIXES, NumberSeries, form_of, is_load_rows, read_series, series_of, unpacked
from perfproof.inputs.request_rows import has_requests, request_rows
from perfproof.inputs.tables import Table, csv_columns, parquet_columns, read_table
from perfproof.load.block_latencies import block_latencies
from perfproof.load.figures import SHARES
from perfproof.load.rows import Rows, read_rows
from perfproof.telemetry import Direction

BLOCK_SECONDS = 60.0
LATENCY = "p95"
DIRECTIONS = {"lower": Direction.LOWER, "higher": Direction.HIGHER}
STANDARD_INPUT = "-"
# Values are read whole: what is larger is for a reader that streams.
MAX_BYTES = 1 << 30


def series_in(path: Path, *, form: str | None, metric: str | None, block_seconds: float) -> list[NumberSeries]:
    """The series of a file, of all files of a directory that can hold some, or of standard input (`-`, with `form`).

    A directory of recurring captures gives each metric over the captures.
    """
    if str(path) == STANDARD_INPUT:
        if form is None:
            raise ParameterError(
                330, where="-", what="no format for standard input", expected="csv or json", fix="add --format json or --format csv"
            )
        return read_series(sys.stdin.buffer.read(), where="standard input", form=form, metric=metric)
    if not path.is_dir():
        return _file(path, form=form, metric=metric, block_seconds=block_seconds)
    captures = sorted(file for file in path.iterdir() if entry_interval(file.name))
    if captures:
        return _captured(captures, metric=metric)
    files = sorted(file for file in path.iterdir() if file.is_file() and (form or form_of(file.name)))
    if not files:
        raise ArtifactError(467, where=str(path), what="no files with series", expected=", ".join(SUFFIXES), fix="name another directory")
    found = []
    for file in files:
        inside = _file(file, form=form, metric=metric, block_seconds=block_seconds)
        found += [replace(s, name=file.name if len(inside) == 1 else f"{file.name} {s.name}") for s in inside]
    return found


def runs_in(path: Path, *, metric: str | None, block_seconds: float) -> NumberSeries:
    """One side of a comparison: one value per run. Of single requests, the latency of each block, or of each file of a directory.

    Raises ArtifactError 471 for single requests without the latency that they are to be summed up by.
    """
    if not path.is_dir():
        found = _file(path, form=None, metric=metric, block_seconds=block_seconds, one_side=True)
        if len(found) != 1:
            names = ", ".join(series.name for series in found)
            raise ArtifactError(468, where=str(path), what="several series", got=names, fix="name one with --metric")
        return found[0]
    values: list[float] = []
    for file in sorted(file for file in path.iterdir() if file.is_file() and form_of(file.name) in ("rows", "csv", "parquet")):
        rows = _requests(file, _bytes(file), form_of(file.name))
        if rows is not None:
            values += block_latencies(rows, name=metric or LATENCY, seconds=None, where=str(file))
    if not values:
        raise ArtifactError(467, where=str(path), what="no rows of load tests", expected="*.csv.gz", fix="name a file, or that directory")
    return NumberSeries(metric or LATENCY, tuple(values))


def columns_in(path: Path) -> Table:
    """All columns of a CSV, JSON or Parquet file by name. Raises ArtifactError for another file."""
    form, data = form_of(path.name), _bytes(path)
    if form is None:
        raise _unknown_form(path)
    if form == "rows":
        return csv_columns(unpacked(data, where=str(path)), where=str(path))
    return read_table(data, where=str(path), form=form)


def file_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises ArtifactError 469 where it cannot be read."""
    return _bytes(path)


def is_rows(path: Path) -> bool:
    """Whether a side of a comparison is latencies of load tests, in ms."""
    return path.is_dir() or (form_of(path.name) == "rows" and is_load_rows(_bytes(path)))


def _file(path: Path, *, form: str | None, metric: str | None, block_seconds: float, one_side: bool = False) -> list[NumberSeries]:
    form, data = form or form_of(path.name), _bytes(path)
    if form is None:
        raise _unknown_form(path)
    if form == "json":
        return read_series(data, where=str(path), form=form, metric=metric)
    if form == "rows" and is_load_rows(data):
        return [_blocks(read_rows(data, where=str(path)), path, metric=metric or LATENCY, block_seconds=block_seconds)]
    table = _columns(path, data, form)
    if has_requests(table) and metric not in table:
        if metric in SHARES:
            return [_blocks(request_rows(table, where=str(path)), path, metric=str(metric), block_seconds=block_seconds)]
        if one_side and metric is None:
            raise ArtifactError(
                471, where=str(path), what="a time and a latency per row: single requests are no units to compare",
                expected="--metric p50, p95 or p99", fix="name one of these, or the column itself if each row is a whole run",
            )  # fmt: skip
    return [series_of(table, where=str(path), metric=metric)]


def _captured(files: list[Path], *, metric: str | None) -> list[NumberSeries]:
    documents = [read_baseline(_bytes(file), where=str(file)) for file in files]
    series = [NumberSeries(s.name, s.values, s.starts, s.direction) for s in capture_series(documents)]
    found = [one for one in series if metric in (None, one.name)]
    if not found:
        names = ", ".join(one.name for one in series)
        raise ArtifactError(462, where=str(files[0].parent), what="no such series", got=metric, expected=names, fix="name one of them")
    return found


def _blocks(rows: Rows, path: Path, *, metric: str, block_seconds: float) -> NumberSeries:
    return NumberSeries(metric, tuple(block_latencies(rows, name=metric, seconds=block_seconds, where=str(path))))


def _columns(path: Path, data: bytes, form: str) -> Table:
    if form == "parquet":
        return parquet_columns(data, where=str(path))
    return csv_columns(unpacked(data, where=str(path)) if form == "rows" else data, where=str(path))


def _requests(path: Path, data: bytes, form: str | None) -> Rows | None:
    """The requests in a file of a directory, None for a file of something else."""
    if form == "rows" and is_load_rows(data):
        return read_rows(data, where=str(path))
    table = _columns(path, data, str(form))
    return request_rows(table, where=str(path)) if has_requests(table) else None


def _unknown_form(path: Path) -> ArtifactError:
    return ArtifactError(
        467, where=str(path), what="not a format that is known by its name", expected=", ".join(SUFFIXES), fix="add --format, or rename it"
    )


def _bytes(path: Path) -> bytes:
    data = read_input(path, limit=MAX_BYTES, error=ArtifactError, number=469)
    if len(data) > MAX_BYTES:
        raise ArtifactError(469, where=str(path), what="too large", expected=f"at most {MAX_BYTES} bytes", fix="give a part of it")
    return data
