"""Locust `--csv`: the files _stats.csv, _stats_history.csv and _failures.csv, all of them the tool's own figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import number, whole
from perfproof.load_files.csv_records import csv_records, places
from perfproof.load_files.form import LoadFile, Part, Tool, ToolSummary
from perfproof.load_files.limits import AVERAGED, CLOSED, FROM_SENDING, NO_ROWS
from perfproof.load_files.refusals import damaged, empty, no_measurement

STATS = b"Type,Name,Request Count,Failure Count,"
HISTORY = b"Timestamp,User Count,Type,Name,"
FAILURES = b"Method,Name,Error,Occurrences"
EXCEPTIONS = b"Count,Message,Traceback,Nodes"
TOTAL = "Aggregated"
ROUNDED = "latencies are rounded to 1 ms below 100 ms and to two digits above (up to 5 %) before the percentiles are taken"
LIMITS = (NO_ROWS, CLOSED, FROM_SENDING, ROUNDED, "the warm-up is in the figures, and the last interval may be missing")
_PERCENTILES = {"50%": "p50", "75%": "p75", "90%": "p90", "95%": "p95", "99%": "p99"}
FIX = "give the file as locust --csv wrote it"


def read_locust_stats(stream: ByteStream) -> LoadFile:
    """The figures of the whole test, by name and together. Raises ArtifactError 486 for one without requests."""
    where = stream.where
    rows = _rows(stream, ("Type", "Name", "Request Count", "Failure Count", "Average Response Time", "Requests/s"))
    words = {"Average Response Time": "mean", "Min Response Time": "min", "Max Response Time": "max", **_PERCENTILES}
    parts: list[Part] = []
    total, rate = None, None
    for place, row in rows:
        part = _part(row, place, words, ("Request Count", "Failure Count"))
        if row["Name"] == TOTAL and not row["Type"]:
            total, rate = part, number(row["Requests/s"], where=place)
        else:
            parts.append(part)
    return _file(where, "_stats.csv", total, tuple(parts), rate, LIMITS)


def read_locust_history(stream: ByteStream) -> LoadFile:
    """The figures at the end of the test, from the last row of all requests. The windows before overlap and are not read."""
    where = stream.where
    rows = _rows(stream, ("Timestamp", "Name", "Total Request Count", "Total Failure Count", "Total Average Response Time"))
    words = {"Total Median Response Time": "p50", "Total Average Response Time": "mean", "Total Max Response Time": "max"}
    total, first, last = None, None, 0
    for place, row in rows:
        last = whole(row["Timestamp"], where=place)
        first = last if first is None else first
        if row["Name"] == TOTAL:
            total = _part(row, place, words, ("Total Request Count", "Total Failure Count"))
    seconds = last - first if first is not None else 0
    rate = (total.requests or 0) / seconds if total is not None and seconds > 0 else None
    limits = (*LIMITS, f"the percentiles of the file are of the last 10 s each, in windows that overlap: {AVERAGED}, so they are not shown")
    return _file(where, "_stats_history.csv", total, (), rate, limits)


def read_locust_failures(stream: ByteStream) -> LoadFile:
    """How many requests failed, by name. How many there were is not in the file."""
    failed: dict[str, int] = {}
    for place, row in _rows(stream, ("Name", "Error", "Occurrences")):
        failed[row["Name"]] = failed.get(row["Name"], 0) + whole(row["Occurrences"], where=place)
    parts = tuple(Part(name, None, errors) for name, errors in failed.items())
    only = "only failures: neither how many requests there were nor how long they took is in the file (give _stats.csv too)"
    return LoadFile(Tool.LOCUST, "_failures.csv", None, ToolSummary(Part("all", None, sum(failed.values())), parts), (NO_ROWS, only))


def _rows(stream: ByteStream, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    records = csv_records(stream)
    _, header = next(records, (0, []))
    places(header, needed, where=stream.where, fix=FIX)
    for line, row in records:
        yield f"{stream.where} record {line}", dict(zip(header, row, strict=True))
    if stream.incomplete():
        raise damaged(stream.where, "a summary that ends early", got=stream.incomplete()[0])


def _part(row: dict[str, str], place: str, words: dict[str, str], counts: tuple[str, str]) -> Part:
    requests, errors = (whole(row[column], where=place) for column in counts)
    if errors > requests:
        raise no_measurement(place, "more failed requests than requests", got=(errors, requests))
    latency = {}
    for column, word in words.items():
        if row.get(column, "N/A") != "N/A":
            latency[word] = number(row[column], where=place)
            if latency[word] < 0:
                raise no_measurement(place, f"{column} below zero", got=row[column])
    method = row.get("Type", "")
    return Part(f"{method} {row['Name']}" if method else row["Name"], requests, errors, latency if requests else {})


def _file(where: str, form: str, total: Part | None, parts: tuple[Part, ...], rate: float | None, limits: tuple[str, ...]) -> LoadFile:
    if total is None or not total.requests:
        raise empty(where, "no requests, or no row of all of them", FIX)
    named = Part("all", total.requests, total.errors, total.latency_ms)
    return LoadFile(Tool.LOCUST, form, None, ToolSummary(named, parts, total.requests / rate if rate else None, rate), limits)
