"""X-Ray through botocore's own model of the service: its Stubber refuses parameters and answers that the service does not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks import xray
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.xray import XRayHook

NOW = datetime(2025, 2, 16, 12, tzinfo=UTC)
START, END = 1_739_700_000.0, 1_739_703_600.0


@pytest.fixture
def stub() -> Stubber:
    client = boto3.client(
        "xray", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b", config=client_settings()
    )  # fmt: skip
    return Stubber(client)


def asked_for(first: float = START, last: float = END, **more: Any) -> dict[str, Any]:
    return {"StartTime": datetime.fromtimestamp(first, UTC), "EndTime": datetime.fromtimestamp(last, UTC), "Sampling": False, **more}


def trace(key: str, seconds: float) -> dict[str, Any]:
    document = {"id": f"{key}0", "name": "checkout", "trace_id": key, "start_time": START, "end_time": START + seconds}
    return {"Id": key, "Duration": seconds, "Segments": [{"Id": f"{key}0", "Document": json.dumps(document)}]}


def items_of(stub: Stubber, query: str | None = None, *, end: float = END, **options: Any) -> tuple[list[dict[str, Any]], bytes]:
    hook = XRayHook(source="xray", client=stub.client, sleep=lambda seconds: None, **options)
    with stub:
        found, raw = hook.items(query=query, start=START, end=end, fetched_at=NOW)
    stub.assert_no_pending_responses()
    return found["traces"], raw


def test_pages_of_summaries_and_batches_of_five(stub: Stubber) -> None:
    """22 traces on two pages: the 20 slowest are fetched, five at a time, and what was answered is kept."""
    seconds = {f"1-{n:02d}": float(n) for n in range(1, 23)}
    summaries = [{"Id": key, "ResponseTime": value, "Duration": value + 100} for key, value in seconds.items()]
    stub.add_response("get_trace_summaries", {"TraceSummaries": summaries[:11], "NextToken": "more"}, asked_for(FilterExpression="fault"))
    stub.add_response("get_trace_summaries", {"TraceSummaries": summaries[11:]}, asked_for(FilterExpression="fault", NextToken="more"))
    slowest = [f"1-{n:02d}" for n in range(22, 2, -1)]
    for place in range(0, 20, 5):
        batch = slowest[place : place + 5]
        stub.add_response("batch_get_traces", {"Traces": [trace(key, seconds[key]) for key in batch]}, {"TraceIds": batch})
    items, raw = items_of(stub, "fault")
    assert [item["trace_id"] for item in items] == slowest
    assert ({item["selection"] for item in items}, items[0]["duration_ms"]) == ({"slowest"}, 22_000.0)
    assert [json.loads(line)["operation"] for line in raw.splitlines()] == ["get_trace_summaries"] * 2 + ["batch_get_traces"] * 4


def test_a_trace_over_several_pages_is_asked_for_to_the_end(stub: Stubber) -> None:
    """BatchGetTraces has pages too; a segment on the second one belongs to the same trace."""
    child = {"id": "c", "name": "db", "parent_id": "1-a0", "start_time": START, "end_time": START + 1}
    stub.add_response("get_trace_summaries", {"TraceSummaries": [{"Id": "1-a", "ResponseTime": 3.0}]}, asked_for())
    stub.add_response("batch_get_traces", {"Traces": [trace("1-a", 3.0)], "NextToken": "t"}, {"TraceIds": ["1-a"]})
    second = {"Traces": [{"Id": "1-a", "Segments": [{"Id": "c", "Document": json.dumps(child)}]}]}
    stub.add_response("batch_get_traces", second, {"TraceIds": ["1-a"], "NextToken": "t"})
    [item] = items_of(stub)[0]
    assert [(row["span"], row["ms"]) for row in item["self_time"]] == [("checkout", 2000.0), ("db", 1000.0)]


def test_a_long_window_is_asked_day_by_day(stub: Stubber) -> None:
    """The service takes 24 hours at most; a trace in two answers is one trace."""
    day = 86_400.0
    for first, last in ((START, START + day), (START + day, START + 2 * day), (START + 2 * day, START + 2.5 * day)):
        stub.add_response("get_trace_summaries", {"TraceSummaries": [{"Id": "1-a", "Duration": 1.0}]}, asked_for(first, last))
    stub.add_response("batch_get_traces", {"Traces": [trace("1-a", 1.0)]}, {"TraceIds": ["1-a"]})
    assert len(items_of(stub, end=START + 2.5 * day)[0]) == 1


def test_a_trace_that_is_gone_makes_the_others_some(stub: Stubber) -> None:
    """UnprocessedTraceIds, or a trace that expired since: what is left is no longer surely the slowest."""
    summaries = [{"Id": "1-a", "Duration": 2.0}, {"Id": "1-b", "Duration": 1.0, "IsPartial": True}]
    stub.add_response("get_trace_summaries", {"TraceSummaries": summaries}, asked_for())
    answer = {"Traces": [trace("1-b", 1.0)], "UnprocessedTraceIds": ["1-a"]}
    stub.add_response("batch_get_traces", answer, {"TraceIds": ["1-a", "1-b"]})
    [item] = items_of(stub)[0]
    assert (item["trace_id"], item["selection"], item["anomalies"]) == ("1-b", "some", {"incomplete": 1})


def test_no_trace_is_an_error_unless_the_query_leaves_some_out(stub: Stubber) -> None:
    """An empty answer without a filter is a source that is not there."""
    stub.add_response("get_trace_summaries", {"TraceSummaries": []}, asked_for(FilterExpression="responsetime > 1"))
    assert items_of(stub, "responsetime > 1")[0] == []
    stub.add_response("get_trace_summaries", {"TraceSummaries": []}, asked_for())
    with pytest.raises(TelemetryError, match=r"TEL-734 "):
        items_of(stub)


def test_throttling_is_asked_again_and_then_unreachable(stub: Stubber) -> None:
    """One refusal is waited for; four are told as what may pass later."""
    stub.add_client_error("get_trace_summaries", "ThrottledException", http_status_code=429)
    stub.add_response("get_trace_summaries", {"TraceSummaries": []}, asked_for(FilterExpression="fault"))
    assert items_of(stub, "fault")[0] == []
    for _ in range(4):
        stub.add_client_error("get_trace_summaries", "ThrottledException", http_status_code=429)
    with pytest.raises(Unreachable, match=r"TEL-718 .*Throttled"):
        items_of(stub)


@pytest.mark.parametrize(
    ("aws_code", "status", "error", "number"),
    [("InvalidRequestException", 400, QueryRefused, 719), ("AccessDeniedException", 403, TelemetryError, 716)],
)
def test_what_aws_refuses_is_told_at_once(stub: Stubber, aws_code: str, status: int, error: type[TelemetryError], number: int) -> None:
    """A filter that X-Ray cannot read, an account that may not ask: one question."""
    stub.add_client_error("get_trace_summaries", aws_code, "Invalid filter", http_status_code=status)
    with pytest.raises(error, match=f"TEL-{number} .*{aws_code}"):
        items_of(stub, "responsetime >")
    stub.assert_no_pending_responses()


def test_a_window_is_checked_before_anything_is_asked(stub: Stubber) -> None:
    """Reversed, or longer than X-Ray keeps traces."""
    for end in (START, START - 5, START + 31 * 86_400, float("nan")):
        with pytest.raises(TelemetryError, match=r"TEL-732 "):
            items_of(stub, end=end)


def test_pages_without_end_are_refused(stub: Stubber) -> None:
    """The same token twice is a circle."""
    stub.add_response("get_trace_summaries", {"TraceSummaries": [], "NextToken": "x"}, asked_for())
    stub.add_response("get_trace_summaries", {"TraceSummaries": [], "NextToken": "x"}, asked_for(NextToken="x"))
    with pytest.raises(QueryRefused, match=r"TEL-725 "):
        items_of(stub)


def test_answers_are_bounded_together(stub: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for the digest has a limit over all pages."""
    monkeypatch.setattr(xray, "MAX_ALL_BYTES", 100)
    stub.add_response("get_trace_summaries", {"TraceSummaries": [{"Id": "1-" + "a" * 90, "Duration": 1.0}]}, asked_for())
    with pytest.raises(QueryRefused, match=r"TEL-739 "):
        items_of(stub)


def test_the_total_time_is_for_all_questions(stub: Stubber) -> None:
    """Throttling near the end of the time is not waited for."""
    clock = iter([0.0, 0.9, 5.0, 5.0, 5.0])
    stub.add_client_error("get_trace_summaries", "ThrottledException", http_status_code=429)
    with pytest.raises(Unreachable, match=r"TEL-718 .*1 s"):
        items_of(stub, limits=Limits(total_seconds=1.0), clock=lambda: next(clock))
