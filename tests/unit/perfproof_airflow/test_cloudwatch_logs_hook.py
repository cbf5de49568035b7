"""Logs Insights through botocore's own model of the service. Rows and states are written by hand in the documented form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from perfproof.answers.log_insights import log_queries, log_question
from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.cloudwatch_logs import CloudWatchLogsHook
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

START, END = 1_739_700_000.25, 1_739_703_599.5
QUERY = 'log_groups: /aws/ecs/checkout\nerror: level = "ERROR"\nlatency_ms: duration_ms'
QUERIES = log_queries(log_question(QUERY, where="logs"))
GOOD: dict[str, list[dict[str, str]]] = {
    "q1": [{"events": "100", "p50": "5", "p95": "9.5", "p99": "20"}],
    "q2": [{"errors": "3"}],
    "q3": [{"text": "timeout", "n": "2"}, {"text": "refused", "n": "1"}],
}


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


@pytest.fixture
def stub() -> Stubber:
    return Stubber(
        boto3.client("logs", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b", config=client_settings())
    )


def items_of(stub: Stubber, query: str | None = QUERY, *, clock: Clock | None = None, end: float = END, seconds: float = 60.0) -> Any:
    clock = clock or Clock()
    hook = CloudWatchLogsHook(
        source="logs", client=stub.client, sleep=clock.sleep, clock=clock, limits=Limits(total_seconds=seconds, answer_bytes=1 << 20)
    )
    with stub:
        return hook.items(query=query, start=START, end=end, fetched_at=datetime(2025, 2, 16, 12, tzinfo=UTC))


def started(stub: Stubber, *ids: str) -> None:
    for query_id, text in zip(ids, (QUERIES.totals, QUERIES.errors, QUERIES.top_errors), strict=False):
        window = {"startTime": 1_739_700_000, "endTime": 1_739_703_600}
        stub.add_response("start_query", {"queryId": query_id}, {"logGroupNames": ["/aws/ecs/checkout"], "queryString": text, **window})


def looked_at(stub: Stubber, query_id: str, status: str, rows: list[dict[str, str]] | None = None) -> None:
    results = [[{"field": field, "value": value} for field, value in row.items()] for row in rows or []]
    answer = {"status": status, "results": results, "statistics": {"recordsMatched": 1.0, "recordsScanned": 1.0, "bytesScanned": 1.0}}
    stub.add_response("get_query_results", answer, {"queryId": query_id})


def stopped(stub: Stubber, *ids: str) -> None:
    for query_id in ids:
        stub.add_response("stop_query", {"success": True}, {"queryId": query_id})


def test_three_queries_become_one_item(stub: Stubber) -> None:
    """Scheduled, then running with rows that do not count yet, then complete: the item by hand, and the window in whole seconds."""
    clock = Clock()
    started(stub, "q1", "q2", "q3")
    looked_at(stub, "q1", "Scheduled")
    looked_at(stub, "q1", "Running", [{"events": "1"}])
    for query_id, rows in GOOD.items():
        looked_at(stub, query_id, "Complete", rows)
    found, raw = items_of(stub, clock=clock)
    stub.assert_no_pending_responses()
    assert found == {
        "logs": [
            {
                "events": 100, "errors": 3, "latency_ms": {"p50": 5.0, "p95": 9.5, "p99": 20.0},
                "top_errors": [{"text": "timeout", "count": 2}, {"text": "refused", "count": 1}],
                "window": {"start": "2025-02-16T10:00:00Z", "end": "2025-02-16T11:00:00Z"},
            }
        ]
    }  # fmt: skip
    assert clock.pauses == [0.5, 1.0]
    assert [json.loads(line)["operation"] for line in raw.splitlines()] == ["start_query"] * 3 + ["get_query_results"] * 5


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout"])
def test_a_query_that_ends_otherwise_is_no_result(stub: Stubber, status: str) -> None:
    """Its rows are not read, however many there are; the others are stopped, it itself has nothing to stop."""
    started(stub, "q1", "q2", "q3")
    looked_at(stub, "q1", status, GOOD["q1"])
    stopped(stub, "q2", "q3")
    with pytest.raises(QueryRefused, match=f"TEL-741 .*{status}"):
        items_of(stub)
    stub.assert_no_pending_responses()


def test_an_unknown_state_is_stopped_too(stub: Stubber) -> None:
    """Unknown may still be running, and cost."""
    started(stub, "q1", "q2", "q3")
    looked_at(stub, "q1", "Unknown")
    stopped(stub, "q1", "q2", "q3")
    with pytest.raises(QueryRefused, match=r"TEL-741 .*Unknown"):
        items_of(stub)
    stub.assert_no_pending_responses()


def test_a_query_that_takes_too_long_is_given_up_and_stopped(stub: Stubber) -> None:
    """The pauses grow up to five seconds, the total time holds, and what still runs is stopped: AWS bills what it scans."""
    clock = Clock()
    started(stub, "q1", "q2", "q3")
    looked_at(stub, "q1", "Complete", GOOD["q1"])
    for _ in range(7):
        looked_at(stub, "q2", "Running")
    stopped(stub, "q2", "q3")
    with pytest.raises(Unreachable, match=r"TEL-742 .*Running.*20 s"):
        items_of(stub, clock=clock, seconds=20.0)
    stub.assert_no_pending_responses()
    assert (clock.pauses, clock.time <= 20) == ([0.5, 1.0, 2.0, 4.0, 5.0, 5.0], True)


def test_a_start_that_is_refused_stops_what_was_started(stub: Stubber) -> None:
    """The second query is malformed: the first one must not go on alone."""
    started(stub, "q1")
    stub.add_client_error("start_query", "MalformedQueryException", "unexpected symbol", http_status_code=400)
    stopped(stub, "q1")
    with pytest.raises(QueryRefused, match=r"TEL-719 .*MalformedQuery"):
        items_of(stub)
    stub.assert_no_pending_responses()


def test_a_stop_that_fails_hides_nothing(stub: Stubber) -> None:
    """A query may have ended by itself meanwhile; the first error is the one to tell."""
    started(stub, "q1", "q2", "q3")
    looked_at(stub, "q1", "Failed")
    stub.add_client_error("stop_query", "InvalidParameterException", "not running", http_status_code=400)
    stopped(stub, "q3")
    with pytest.raises(QueryRefused, match=r"TEL-741 "):
        items_of(stub)
    stub.assert_no_pending_responses()


def test_too_many_queries_at_once_is_unreachable(stub: Stubber) -> None:
    """The account's limit of concurrent queries passes; it is asked again, and then told as what may pass."""
    for _ in range(4):
        stub.add_client_error("start_query", "LimitExceededException", http_status_code=400)
    with pytest.raises(Unreachable, match=r"TEL-718 "):
        items_of(stub)
    stub.assert_no_pending_responses()


def test_a_missing_log_group_and_a_refused_account_are_told(stub: Stubber) -> None:
    """What no retry mends."""
    stub.add_client_error("start_query", "ResourceNotFoundException", "no such group", http_status_code=400)
    with pytest.raises(QueryRefused, match=r"TEL-719 .*no such group"):
        items_of(stub)
    stub.add_client_error("start_query", "AccessDeniedException", "no", http_status_code=400)
    with pytest.raises(TelemetryError, match=r"TEL-716 .*permit logs:StartQuery"):
        items_of(stub)


def test_logs_without_an_event_are_missing_logs(stub: Stubber) -> None:
    """Complete and empty: a wrong group or filter looks like that, and so does a service that lost its log."""
    started(stub, "q1", "q2", "q3")
    for query_id in ("q1", "q2", "q3"):
        looked_at(stub, query_id, "Complete")
    with pytest.raises(TelemetryError, match=r"TEL-744 .*/aws/ecs/checkout"):
        items_of(stub)


@pytest.mark.parametrize(
    ("query", "end", "number"), [(None, END, 740), ("fields @message", END, 740), (QUERY, START, 732), (QUERY, START + 91 * 86_400, 732)]
)
def test_question_and_window_are_checked_before_anything_is_asked(stub: Stubber, query: str | None, end: float, number: int) -> None:
    """No query is started for what is no question."""
    with pytest.raises(TelemetryError, match=f"TEL-{number} "):
        items_of(stub, query, end=end)
