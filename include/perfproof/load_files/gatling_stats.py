"""Gatling's stats.json and global_stats.json, from the folder js of a report: the tool's own figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import number, whole
from perfproof.load_files.form import LoadFile, Part, Tool, ToolSummary
from perfproof.load_files.gatling_log import LIMITS
from perfproof.load_files.json_values import inside, mapping, text
from perfproof.load_files.limits import NO_ROWS
from perfproof.load_files.refusals import empty, malformed, no_measurement

COUNTS = "numberOfRequests"
DEEPEST = 16
_WORDS = {
    "percentiles1": "p50", "percentiles2": "p75", "percentiles3": "p95", "percentiles4": "p99",
    "meanResponseTime": "mean", "minResponseTime": "min", "maxResponseTime": "max",
}  # fmt: skip
_STATS_LIMITS = (
    NO_ROWS,
    "percentiles 1 to 4 are taken for p50, p75, p95 and p99, as Gatling is delivered; gatling.conf may say others and the file does not",
    *LIMITS,
    "the warm-up is in the figures",
)


def read_gatling_stats(stream: ByteStream, document: Mapping[str, Any]) -> LoadFile:
    """The figures in `document`, with those of each request. Numbers may stand there as text, and `-` for none."""
    where = stream.where
    whole_test = document if COUNTS in document else inside(document, "stats", where=where)
    total = _part(whole_test, where=where)
    if not total.requests:
        raise empty(where, "no requests", "give the report of a test that sent requests")
    parts = tuple(_requests(document, where=where, groups=())) if COUNTS not in document else ()
    rates = whole_test.get("meanNumberOfRequestsPerSecond")
    rate = _figure(mapping(rates, where=where).get("total"), where=f"{where}.meanNumberOfRequestsPerSecond") if rates is not None else None
    seconds = total.requests / rate if rate else None
    return LoadFile(Tool.GATLING, "stats.json", None, ToolSummary(total, parts, seconds, rate), _STATS_LIMITS)


def _requests(node: Mapping[str, Any], *, where: str, groups: tuple[str, ...]) -> Iterator[Part]:
    if len(groups) > DEEPEST:
        raise malformed(where, f"groups nested more than {DEEPEST} deep")
    contents = node.get("contents", {})
    for key, child in mapping(contents, where=f"{where}.contents").items():
        place = f"{where}.contents.{key}"
        child = mapping(child, where=place)
        name = text(child, "name", where=place)
        if child.get("type") == "REQUEST":
            yield _part(inside(child, "stats", where=place), where=place, name=" / ".join((*groups, name)))
        else:
            yield from _requests(child, where=place, groups=(*groups, name))


def _part(stats: Mapping[str, Any], *, where: str, name: str = "all") -> Part:
    counts = inside(stats, COUNTS, where=where)
    numbers = [_figure(counts.get(key), where=f"{where}.{COUNTS}.{key}") for key in ("total", "ko")]
    total, failed = (None if value is None else int(value) for value in numbers)
    if total is not None and (failed or 0) > total:
        raise no_measurement(f"{where}.{COUNTS}", "more failed requests than requests", got=(failed, total))
    latency = {}
    for key, word in _WORDS.items():
        value = _figure(mapping(stats.get(key, {}), where=f"{where}.{key}").get("total"), where=f"{where}.{key}")
        if value is not None:
            latency[word] = value
    return Part(name, total, failed, latency)


def _figure(value: Any, *, where: str) -> float | None:
    """A number, a number as text with its thousands, or None for a dash."""
    if value is None or (isinstance(value, str) and value.strip() == "-"):
        return None
    if isinstance(value, str):
        plain = value.strip().replace(",", "")
        value = number(plain, where=where) if "." in plain else whole(plain, where=where)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise no_measurement(where, "not a number of 0 or more", got=value)
    return float(value)
