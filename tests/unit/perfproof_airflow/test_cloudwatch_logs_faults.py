"""Logs Insights in trouble, on a real socket: each fault has its outcome, and none is a result."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from fault_server import Answer, fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.cloudwatch_logs import CloudWatchLogsHook
from perfproof_airflow.hooks.http_answers import Limits, Unreachable

START = 1_739_700_000
AWS_JSON = {"Content-Type": "application/x-amz-json-1.1"}
QUERY = "log_groups: /api\nerror: level = 'ERROR'\nlatency_ms: ms"
TOTALS = {"events": "100", "p50": "5", "p95": "9", "p99": "20"}


class Insights:
    """A service that numbers the queries of an account and answers them by their text."""

    def __init__(self, totals: dict[str, str], errors: dict[str, str], top: list[dict[str, str]], *, status: str = "Complete") -> None:
        self.status = status
        self.rows: dict[str, list[dict[str, str]]] = {"as events": [totals], "as errors": [errors], "as text": top}
        self.started: dict[str, list[dict[str, str]]] = {}
        self.stopped: list[str] = []

    def __call__(self, request: bytes) -> Answer:
        head, _, body = request.partition(b"\r\n\r\n")
        asked = json.loads(body)
        if b"Logs_20140328.StartQuery" in head:
            query_id = f"q{len(self.started)}"
            self.started[query_id] = next(rows for mark, rows in self.rows.items() if mark in asked["queryString"])
            return self._said({"queryId": query_id})
        if b"Logs_20140328.StopQuery" in head:
            self.stopped.append(asked["queryId"])
            return self._said({"success": True})
        results = [[{"field": field, "value": value} for field, value in row.items()] for row in self.started[asked["queryId"]]]
        return self._said({"status": self.status, "results": results})

    def _said(self, document: Any) -> Answer:
        return 200, AWS_JSON, json.dumps(document).encode()


def insights(totals: dict[str, str] | None = None, **more: Any) -> Insights:
    return Insights(TOTALS if totals is None else totals, {"errors": "3"}, [{"text": "timeout", "n": "3"}], **more)


def asked(mode: str, server: Insights, *, seconds: float = 10.0) -> list[dict[str, Any]]:
    with fault_server(mode, server, retry_after="0") as address:
        client = boto3.client(
            "logs",
            region_name="eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            endpoint_url=address,
            config=client_settings(),
        )
        limits = Limits(total_seconds=seconds, answer_bytes=1 << 20)
        hook = CloudWatchLogsHook(source="logs", client=client, limits=limits, sleep=lambda pause: None)
        found, _ = hook.items(query=QUERY, start=START, end=START + 60, fetched_at=datetime(2025, 2, 16, 12, tzinfo=UTC))
    return found["logs"]


def test_the_same_server_without_a_fault_gives_the_item() -> None:
    """What the faults are measured against; nothing is left to stop."""
    server = insights()
    [item] = asked("good", server)
    assert (item["events"], item["errors"], item["latency_ms"]) == (100, 3, {"p50": 5.0, "p95": 9.0, "p99": 20.0})
    assert (sorted(server.started), server.stopped) == (["q0", "q1", "q2"], [])


@pytest.mark.parametrize("mode", ["down", "slow", "http_429", "http_500", "truncated"])
def test_what_may_pass_is_unreachable(mode: str) -> None:
    """Asking later may help, so the task may be tried again; each ends within the total time."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match="TEL-718"):
        asked(mode, insights(), seconds=1.0 if mode == "slow" else 10.0)
    assert time.monotonic() - began < 9


def test_a_query_that_never_ends_is_given_up_and_stopped() -> None:
    """Running for longer than there is time for: all three are stopped on the wire."""
    server = insights(status="Running")
    with pytest.raises(Unreachable, match="TEL-742"):
        asked("good", server, seconds=0.6)
    assert server.stopped == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("mode", "code"), [("redirect", "TEL-715"), ("html_200", "TEL-714"), ("endless", "TEL-717"), ("gzip_bomb", "TEL-714")]
)
def test_what_does_not_pass_is_an_error_in_little_memory(mode: str, code: str) -> None:
    """A redirect, a login page, 2 GiB, and 2 GiB packed."""
    tracemalloc.start()
    try:
        with pytest.raises(TelemetryError, match=code) as caught:
            asked(mode, insights())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not isinstance(caught.value, Unreachable)
    # The server, in this process, packs 64 MiB for the bomb.
    assert peak < 300 << 20


@pytest.mark.parametrize(
    ("mode", "totals"),
    [
        ("nan", {**TOTALS, "p95": "NaN"}),
        ("gaps", {"events": "100", "p95": "9"}),
        ("out_of_order", {**TOTALS, "p50": "15"}),
        ("duplicates", {**TOTALS, "events": "2"}),
    ],
)
def test_what_is_no_measurement_is_refused(mode: str, totals: dict[str, str]) -> None:
    """NaN, a percentile that is missing, percentiles out of order, fewer events than errors."""
    with pytest.raises(TelemetryError, match="TEL-743"):
        asked(mode, insights(totals))
