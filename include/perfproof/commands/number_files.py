"""What `perfproof judge` and `perfproof changes` read: a file, a directory of files, or standard input."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from perfproof.errors import ArtifactError, ParameterError
from perfproof.inputs.number_series import SUFFIXES, NumberSeries, form_of, is_load_rows, read_series, unpacked
from perfproof.load.block_latencies import block_latencies
from perfproof.load.rows import read_rows
from perfproof.telemetry import Direction

BLOCK_SECONDS = 60.0
LATENCY = "p95"
DIRECTIONS = {"lower": Direction.LOWER, "higher": Direction.HIGHER}


def series_in(path: Path, *, form: str | None, metric: str | None, block_seconds: float) -> list[NumberSeries]:
    """The series of a file, of all files of a directory that can hold some, or of standard input (`-`, with `form`)."""
    if str(path) == "-":
        if form is None:
            raise ParameterError(
                330, where="-", what="no format for standard input", expected="csv or json", fix="add --format json or --format csv"
            )
        return read_series(sys.stdin.buffer.read(), where="standard input", form=form, metric=metric)
    if not path.is_dir():
        return _file(path, form=form, metric=metric, block_seconds=block_seconds)
    files = sorted(file for file in path.iterdir() if file.is_file() and (form or form_of(file.name)))
    if not files:
        raise ArtifactError(467, where=str(path), what="no files with series", expected=", ".join(SUFFIXES), fix="name another directory")
    found = []
    for file in files:
        inside = _file(file, form=form, metric=metric, block_seconds=block_seconds)
        found += [replace(s, name=file.name if len(inside) == 1 else f"{file.name} {s.name}") for s in inside]
    return found


def runs_in(path: Path, *, metric: str | None, block_seconds: float) -> NumberSeries:
    """One side of a comparison: the one series of a file, or one latency per file for a directory of load-test rows."""
    rows = sorted(file for file in path.iterdir() if form_of(file.name) == "rows") if path.is_dir() else []
    if rows:
        values = []
        for file in rows:
            values += block_latencies(read_rows(_bytes(file), where=str(file)), name=metric or LATENCY, seconds=None, where=str(file))
        return NumberSeries(metric or LATENCY, tuple(values))
    if path.is_dir():
        raise ArtifactError(467, where=str(path), what="no rows of load tests", expected="*.csv.gz", fix="name a file, or that directory")
    found = series_in(path, form=None, metric=metric, block_seconds=block_seconds)
    if len(found) != 1:
        names = ", ".join(series.name for series in found)
        raise ArtifactError(468, where=str(path), what="several series", got=names, fix="name one with --metric")
    return found[0]


def is_rows(path: Path) -> bool:
    """Whether a side of a comparison is latencies of load tests, in ms."""
    return path.is_dir() or (form_of(path.name) == "rows" and is_load_rows(_bytes(path)))


def _file(path: Path, *, form: str | None, metric: str | None, block_seconds: float) -> list[NumberSeries]:
    form, data = form or form_of(path.name), _bytes(path)
    if form is None:
        raise ArtifactError(
            467,
            where=str(path),
            what="not a format that is known by its name",
            expected=", ".join(SUFFIXES),
            fix="add --format, or rename it",
        )
    if form != "rows":
        return read_series(data, where=str(path), form=form, metric=metric)
    if not is_load_rows(data):
        return read_series(unpacked(data, where=str(path)), where=str(path), form="csv", metric=metric)
    name = metric or LATENCY
    values = block_latencies(read_rows(data, where=str(path)), name=name, seconds=block_seconds, where=str(path))
    return [NumberSeries(name, tuple(values))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(469, where=str(path), what="cannot be read", got=error.strerror, fix="name an existing file") from None
