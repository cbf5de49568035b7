"""Jaeger in trouble, on a real socket: each fault has its outcome, and none is a result."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from fault_server import JSON, fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.jaeger import JaegerHook

START = 1_739_700_000
SPAN: dict[str, Any] = {
    "traceID": "t", "spanID": "a", "operationName": "GET /", "references": [], "startTime": START * 10**6, "duration": 5000, "tags": [],
    "processID": "p1",
}  # fmt: skip


def body(*spans: dict[str, Any]) -> bytes:
    trace = {"traceID": "t", "spans": list(spans), "processes": {"p1": {"serviceName": "api"}}}
    return json.dumps({"data": [trace], "errors": None}).encode()


def asked(mode: str, content: bytes = body(SPAN), *, seen: list[bytes] | None = None, seconds: float = 1.0) -> list[dict[str, Any]]:
    with fault_server(mode, (200, JSON, content), seen=seen) as address:
        hook = JaegerHook(
            source="jaeger", connection=ConnectionValues(address), limits=Limits(total_seconds=seconds), sleep=lambda seconds: None
        )
        found, _ = hook.items(query="service=api", start=START, end=START + 3600, fetched_at=datetime(2025, 2, 16, 12, tzinfo=UTC))
    return found["traces"]


def test_the_same_server_without_a_fault_gives_the_trace() -> None:
    """What the faults are measured against."""
    assert [item["duration_ms"] for item in asked("good")] == [5.0]


@pytest.mark.parametrize(
    ("mode", "code"),
    [("down", "TEL-270"), ("slow", "TEL-270"), ("http_429", "TEL-270"), ("http_500", "TEL-270"), ("truncated", "TEL-270")],
)
def test_what_may_pass_is_unreachable(mode: str, code: str) -> None:
    """Asking later may help, so the task may be tried again; each ends within the total time."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match=code):
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
    """2 GiB are on offer; both sizes of question read their limit and no more."""
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
    ("mode", "content", "code"),
    [
        ("nan", body(SPAN).replace(b"5000", b"NaN"), "TEL-730"),
        ("gaps", body({key: value for key, value in SPAN.items() if key != "duration"}), "TEL-730"),
        ("unit_change", body({**SPAN, "startTime": START * 1000}), "TEL-730"),
    ],
)
def test_what_is_no_measurement_is_refused(mode: str, content: bytes, code: str) -> None:
    """NaN, a span without its duration, milliseconds for microseconds."""
    with pytest.raises(TelemetryError, match=code):
        asked(mode, content)


def test_duplicate_spans_count_once_and_order_does_not_matter() -> None:
    """A span that came twice and a child before its parent: the same item, with the repetition counted."""
    child = {**SPAN, "spanID": "b", "duration": 2000, "references": [{"refType": "CHILD_OF", "traceID": "t", "spanID": "a"}]}
    plain = asked("good", body(SPAN, child))
    assert asked("out_of_order", body(child, SPAN)) == plain
    assert asked("duplicates", body(SPAN, child, child)) == [{**plain[0], "anomalies": {"repeated_span": 1}}]
