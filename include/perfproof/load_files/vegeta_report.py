"""vegeta `report -type=json`: the tool's own figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.form import LoadFile, Part, Tool, ToolSummary
from perfproof.load_files.json_values import amount, count, inside
from perfproof.load_files.limits import NO_ROWS
from perfproof.load_files.refusals import empty, no_measurement
from perfproof.load_files.vegeta_results import LIMITS

_WORDS = {"50th": "p50", "90th": "p90", "95th": "p95", "99th": "p99", "mean": "mean", "min": "min", "max": "max"}


def read_vegeta_report(stream: ByteStream, document: Mapping[str, Any]) -> LoadFile:
    """The figures in `document`; latencies stand there in nanoseconds."""
    where = stream.where
    latencies = inside(document, "latencies", where=where)
    requests, success = count(document, "requests", where=where), amount(document, "success", where=where)
    if not requests:
        raise empty(where, "no requests", "give a report of a test that sent requests")
    if success > 1:
        raise no_measurement(f"{where}.success", "not a share", got=success, expected="0 to 1")
    latency = {name: amount(latencies, key, where=f"{where}.latencies") / 1e6 for key, name in _WORDS.items() if key in latencies}
    total = Part("all", requests, round(requests * (1 - success)), latency)
    summary = ToolSummary(total, seconds=amount(document, "duration", where=where) / 1e9, rate=amount(document, "rate", where=where))
    estimated = "percentiles are estimated by a t-digest, with no stated error (vegeta encode keeps every request)"
    return LoadFile(Tool.VEGETA, "report", None, summary, (NO_ROWS, estimated, *LIMITS, "the warm-up is in the figures"))
