"""Tempo in trouble, on a real socket: each fault has its outcome, in the search and in the trace that it found."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from fault_server import JSON, Answer, fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.tempo import TempoHook

START = 1_739_700_000
SEARCH = b'{"traces": [{"traceID": "2f3e", "durationMs": 5}]}'
SPAN: dict[str, Any] = {
    "spanId": "a", "name": "GET /", "startTimeUnixNano": str(START * 10**9), "endTimeUnixNano": str(START * 10**9 + 5_000_000),
}  # fmt: skip


def trace(*spans: dict[str, Any]) -> bytes:
    return json.dumps({"trace": {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}}).encode()


def asked(mode: str, content: bytes = trace(SPAN), *, seen: list[bytes] | None = None, seconds: float = 1.0) -> list[dict[str, Any]]:
    def good(request: bytes) -> Answer:
        return (200, JSON, SEARCH if b"/api/search" in request.partition(b"\r\n")[0] else content)

    with fault_server(mode, good, seen=seen) as address:
        hook = TempoHook(
            source="tempo", connection=ConnectionValues(address), limits=Limits(total_seconds=seconds), sleep=lambda seconds: None
        )
        found, _ = hook.items(query="{}", start=START, end=START + 3600, fetched_at=datetime(2025, 2, 16, 12, tzinfo=UTC))
    return found["traces"]


def test_the_same_server_without_a_fault_gives_the_trace() -> None:
    """What the faults are measured against."""
    assert [item["duration_ms"] for item in asked("good")] == [5.0]


@pytest.mark.parametrize("mode", ["down", "slow", "http_429", "http_500", "truncated"])
def test_what_may_pass_is_unreachable(mode: str) -> None:
    """Asking later may help, so the task may be tried again; each ends within the total time."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match="TEL-270"):
        asked(mode)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("mode", "code"), [("redirect", "TEL-272"), ("html_200", "TEL-274")])
def test_what_does_not_pass_is_an_error_at_once(mode: str, code: str) -> None:
    """A redirect is not followed; a login page is no answer. One request each."""
    seen: list[bytes] = []
    with pytest.raises(TelemetryError, match=code) as caught:
        asked(mode, seen=seen)
    assert (isinstance(caught.value, Unreachable), len(seen)) == (False, 1)


@pytest.mark.parametrize("mode", ["endless", "gzip_bomb"])
def test_a_body_without_end_takes_little_memory(mode: str) -> None:
    """2 GiB are on offer; the limit is read and no more."""
    tracemalloc.start()
    try:
        with pytest.raises(TelemetryError, match="TEL-271"):
            # The size ends it, however busy the machine is.
            asked(mode, seconds=30.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The server, in this process, packs 64 MiB for the bomb.
    assert peak < 300 << 20


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("nan", trace(SPAN).replace(b'"a"', b"NaN")),
        ("gaps", trace({key: value for key, value in SPAN.items() if key != "startTimeUnixNano"})),
        ("unit_change", trace({**SPAN, "startTimeUnixNano": str(START * 10**6)})),
        ("truncated_trace", trace(SPAN)[:50]),
    ],
)
def test_what_is_no_measurement_is_refused(mode: str, content: bytes) -> None:
    """NaN, a span without its start, microseconds for nanoseconds, half a document that claims to be whole."""
    with pytest.raises(TelemetryError, match="TEL-730"):
        asked(mode if mode != "truncated_trace" else "good", content)


def test_duplicate_spans_count_once_and_order_does_not_matter() -> None:
    """A span that came twice and a child before its parent: the same item, with the repetition counted."""
    child = {**SPAN, "spanId": "b", "parentSpanId": "a", "endTimeUnixNano": str(START * 10**9 + 2_000_000)}
    plain = asked("good", trace(SPAN, child))
    assert asked("out_of_order", trace(child, SPAN)) == plain
    assert asked("duplicates", trace(SPAN, child, child)) == [{**plain[0], "anomalies": {"repeated_span": 1}}]
