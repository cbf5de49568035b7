"""A trace as an item of a source's document: where it began, how long it took, and which spans took the time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from perfproof.moments import stamp
from perfproof.traces.self_time import Anomaly, timed
from perfproof.traces.spans import Trace

MAX_TRACES = 20
MAX_SPANS = 50_000
TOP = 5


def trace_items(traces: Iterable[Trace], *, complete: bool) -> list[dict[str, Any]]:
    """The items of the slowest of `traces`, at most 20, the slowest first and what has not ended last.

    `complete` says that no slower trace of the window was left out by the store; the items then say `slowest`, else `some`.
    """
    items = [trace_item(trace) | {"selection": "slowest" if complete else "some"} for trace in traces if trace.spans]
    items.sort(key=lambda item: (item["duration_ms"] is None, -(item["duration_ms"] or 0.0), item["trace_id"]))
    return items[:MAX_TRACES]


def trace_item(trace: Trace) -> dict[str, Any]:
    """{trace_id, service, transaction, started_at, duration_ms, error, spans, self_time, self_ms, anomalies} of a trace with spans.

    service, transaction, started_at and duration_ms are the root span's: what the caller waited for; null for a root that has not
    ended. error says that a span of the trace failed. self_time holds the five (service, span) pairs with the most self time, over
    all their `count` spans; share_percent is of `self_ms`, the self time of all spans, which exceeds the duration where spans run
    side by side. anomalies are counts of what was not as it should be (see `self_time`). Of more than 50,000 spans no self time is
    computed.
    """
    if len(trace.spans) > MAX_SPANS:
        root = min(trace.spans, key=lambda span: (span.parent_id is not None, span.start_ns))
        count, anomalies = len(trace.spans), {Anomaly.TOO_MANY.value: len(trace.spans)}
        totals: dict[tuple[str, str], tuple[int, int]] = {}
    else:
        timing = timed(trace.spans)
        root, count, anomalies, totals = timing.spans[timing.root], len(timing.spans), dict(timing.anomalies), {}
        for span, own in zip(timing.spans, timing.self_ns, strict=True):
            before = totals.get((span.service, span.name), (0, 0))
            totals[span.service, span.name] = (before[0] + own, before[1] + 1)
    if trace.incomplete:
        anomalies[Anomaly.INCOMPLETE.value] = 1
    whole = sum(own for own, _ in totals.values())
    longest = sorted(((own, name, number) for name, (own, number) in totals.items() if own), key=lambda t: (-t[0], t[1]))[:TOP]
    return {
        "trace_id": trace.trace_id,
        "service": root.service,
        "transaction": root.name,
        "started_at": stamp(datetime.fromtimestamp(root.start_ns // 10**9, UTC)),
        "duration_ms": None if root.end_ns is None else _ms(max(0, root.end_ns - root.start_ns)),
        "error": any(span.error for span in trace.spans),
        "spans": count,
        "self_time": [
            {"service": service, "span": name, "ms": _ms(own), "share_percent": round(100 * own / whole, 1), "count": number}
            for own, (service, name), number in longest
        ],
        "self_ms": _ms(whole) if totals else None,
        "anomalies": dict(sorted(anomalies.items())),
    }


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)
