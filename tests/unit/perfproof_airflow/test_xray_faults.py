"""X-Ray in trouble, on a real socket: each fault has its outcome, and none is a result."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from fault_server import JSON, Answer, fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.xray import XRayHook

START = 1_739_700_000
SUMMARIES = {"TraceSummaries": [{"Id": "1-a", "ResponseTime": 2.0}]}
SEGMENT = {"id": "a", "name": "api", "start_time": START, "end_time": START + 2.0}


def traces(*segments: Any) -> bytes:
    documents = [{"Id": "s", "Document": segment if isinstance(segment, str) else json.dumps(segment)} for segment in segments]
    return json.dumps({"Traces": [{"Id": "1-a", "Segments": documents}]}).encode()


def asked(mode: str, content: bytes = traces(SEGMENT), *, seconds: float = 10.0) -> list[dict[str, Any]]:
    def good(request: bytes) -> Answer:
        return (200, JSON, json.dumps(SUMMARIES).encode() if b"/TraceSummaries" in request.partition(b"\r\n")[0] else content)

    with fault_server(mode, good, retry_after="0") as address:
        client = boto3.client(
            "xray",
            region_name="eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            endpoint_url=address,
            config=client_settings(),
        )
        limits = Limits(total_seconds=seconds, answer_bytes=1 << 20)
        hook = XRayHook(source="xray", client=client, limits=limits, sleep=lambda pause: None)
        found, _ = hook.items(query=None, start=START, end=START + 60, fetched_at=datetime(2025, 2, 16, 12, tzinfo=UTC))
    return found["traces"]


def test_the_same_server_without_a_fault_gives_the_trace() -> None:
    """What the faults are measured against."""
    assert [item["duration_ms"] for item in asked("good")] == [2000.0]


@pytest.mark.parametrize("mode", ["down", "slow", "http_429", "http_500", "truncated"])
def test_what_may_pass_is_unreachable(mode: str) -> None:
    """Asking later may help, so the task may be tried again; each ends within the total time."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match="TEL-718"):
        asked(mode, seconds=1.0 if mode == "slow" else 10.0)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("mode", "code"), [("redirect", "TEL-715"), ("html_200", "TEL-714"), ("endless", "TEL-717"), ("gzip_bomb", "TEL-714")]
)
def test_what_does_not_pass_is_an_error_in_little_memory(mode: str, code: str) -> None:
    """A redirect, a login page, 2 GiB, and 2 GiB packed."""
    tracemalloc.start()
    try:
        with pytest.raises(TelemetryError, match=code) as caught:
            asked(mode)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not isinstance(caught.value, Unreachable)
    # The server, in this process, packs 64 MiB for the bomb.
    assert peak < 300 << 20


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("nan", traces('{"id": "a", "name": "api", "start_time": NaN, "end_time": 1}')),
        ("gaps", traces({"id": "a", "name": "api", "start_time": START})),
        ("unit_change", traces({**SEGMENT, "start_time": START * 1000})),
        ("good", traces("{")),
    ],
)
def test_what_is_no_measurement_is_refused(mode: str, content: bytes) -> None:
    """NaN, a segment that ended at no time, milliseconds for seconds, half a document."""
    with pytest.raises(TelemetryError, match="TEL-730"):
        asked(mode, content)


def test_duplicate_segments_count_once_and_order_does_not_matter() -> None:
    """A segment that came twice and a child before its parent: the same item, with the repetition counted."""
    child = {"id": "b", "name": "db", "parent_id": "a", "start_time": START, "end_time": START + 1.0}
    plain = asked("good", traces(SEGMENT, child))
    assert asked("out_of_order", traces(child, SEGMENT)) == plain
    assert asked("duplicates", traces(SEGMENT, child, child)) == [{**plain[0], "anomalies": {"repeated_span": 1}}]
