"""k6 `--summary-export`, and what handleSummary is given when it is written as JSON: the tool's own figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.form import LoadFile, Part, Tool, ToolSummary
from perfproof.load_files.json_values import amount, count, inside
from perfproof.load_files.k6_points import DROPPED, DURATION, MODEL, NO_HTTP, WITHOUT_CONNECTING
from perfproof.load_files.limits import FROM_SENDING, NO_ROWS
from perfproof.load_files.refusals import empty

_PERCENTILE = re.compile(r"p\(([0-9]{1,2}(?:\.[0-9]{1,4})?)\)")
_WORDS = {"avg": "mean", "med": "p50", "min": "min", "max": "max"}


def read_k6_summary(stream: ByteStream, document: Mapping[str, Any]) -> LoadFile:
    """The figures of HTTP requests in `document`. Raises ArtifactError 486 where there are none."""
    where = stream.where
    metrics = inside(document, "metrics", where=where)
    if DURATION not in metrics or "http_reqs" not in metrics:
        raise empty(where, "no requests", NO_HTTP)
    duration, requests = (_values(metrics, name, where) for name in (DURATION, "http_reqs"))
    latency = {}
    for key in duration:
        found = _PERCENTILE.fullmatch(key)
        name = f"p{float(found[1]):g}" if found else _WORDS.get(key)
        if name:
            latency[name] = amount(duration, key, where=f"{where}.{DURATION}")
    errors = None
    if "http_req_failed" in metrics:
        # The metric is "did it fail": k6 counts as passes those that did.
        errors = count(_values(metrics, "http_req_failed", where), "passes", where=f"{where}.http_req_failed")
    dropped = count(_values(metrics, DROPPED, where), "count", where=f"{where}.{DROPPED}") if DROPPED in metrics else 0
    total, rate = (count(requests, "count", where=f"{where}.http_reqs"), amount(requests, "rate", where=f"{where}.http_reqs"))
    summary = ToolSummary(Part("all", total, errors, latency), seconds=total / rate if rate else None, rate=rate)
    limits = (NO_ROWS, MODEL, FROM_SENDING, WITHOUT_CONNECTING, "the warm-up, setup() and teardown() are in the figures")
    return LoadFile(Tool.K6, "summary", None, summary, limits, dropped=dropped)


def _values(metrics: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    metric = inside(metrics, name, where=where)
    return inside(metric, "values", where=f"{where}.{name}") if "values" in metric else metric
