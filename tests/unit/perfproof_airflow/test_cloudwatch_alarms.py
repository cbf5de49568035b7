"""The hook of CloudWatch's alarms against answers that botocore's Stubber compares with the service's own model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.cloudwatch_alarms import CloudWatchAlarmsHook
from perfproof_airflow.hooks.http_answers import Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

BEGIN = datetime(2025, 2, 16, 9, 0, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)
NOW = END + timedelta(minutes=30)
TYPES = ["MetricAlarm", "CompositeAlarm"]


@contextmanager
def stubbed() -> Iterator[tuple[CloudWatchAlarmsHook, Stubber]]:
    settings = client_settings()
    client = boto3.client("cloudwatch", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", config=settings)
    with Stubber(client) as stubber:
        yield CloudWatchAlarmsHook(client=client, sleep=lambda _: None), stubber
        stubber.assert_no_pending_responses()


def alarm(name: str, **more: Any) -> dict[str, Any]:
    watched = {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Threshold": 1.0, "Period": 60, "EvaluationPeriods": 1}
    return {"AlarmName": name, "StateValue": "OK", "ComparisonOperator": "GreaterThanThreshold", **watched, **more}


def change(name: str, minute: int, before: str, after: str) -> dict[str, Any]:
    data = json.dumps({"oldState": {"stateValue": before}, "newState": {"stateValue": after}})
    return {"AlarmName": name, "Timestamp": BEGIN + timedelta(minutes=minute), "HistoryItemType": "StateUpdate", "HistoryData": data}


def history(kind: str, **more: Any) -> dict[str, Any]:
    """The request for the history of one kind of alarm, until the fetch."""
    asked = {"HistoryItemType": "StateUpdate", "AlarmTypes": [kind], "ScanBy": "TimestampAscending", "MaxRecords": 100}
    return {**asked, "StartDate": BEGIN, "EndDate": NOW, **more}


def items(hook: CloudWatchAlarmsHook, query: str | None = None, *, start: datetime = BEGIN) -> tuple[list[dict[str, Any]], bytes]:
    found, raw = hook.items(query=query, start=start.timestamp(), end=END.timestamp(), fetched_at=NOW)
    assert list(found) == ["alerts"]
    return found["alerts"], raw


def test_alarms_and_their_history_are_paged_and_joined() -> None:
    """Two pages of alarms, two of history, composite alarms by themselves: spans first, then what is watched."""
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {"MetricAlarms": [alarm("a")], "NextToken": "t"}, {"AlarmTypes": TYPES, "MaxRecords": 100})
        composite = {"CompositeAlarms": [{"AlarmName": "c", "AlarmRule": "ALARM(a)", "StateValue": "OK"}], "MetricAlarms": [alarm("b")]}
        stubber.add_response("describe_alarms", composite, {"AlarmTypes": TYPES, "MaxRecords": 100, "NextToken": "t"})
        first = {"AlarmHistoryItems": [change("a", 5, "OK", "ALARM")], "NextToken": "h"}
        stubber.add_response("describe_alarm_history", first, history("MetricAlarm"))
        second = {"AlarmHistoryItems": [change("a", 8, "ALARM", "OK")]}
        stubber.add_response("describe_alarm_history", second, history("MetricAlarm", NextToken="h"))
        third = {"AlarmHistoryItems": [change("c", 6, "OK", "ALARM")]}
        stubber.add_response("describe_alarm_history", third, history("CompositeAlarm"))
        found, raw = items(hook)
    assert [(item["name"], item["state"], item["started_at"], item["ended_at"]) for item in found] == [
        ("a", "resolved", "2025-02-16T09:05:00Z", "2025-02-16T09:08:00Z"),
        ("c", "firing", "2025-02-16T09:06:00Z", None),
        ("a", "rule", None, None),
        ("b", "rule", None, None),
        ("c", "rule", None, None),
    ]
    assert {item["source"] for item in found} == {"cloudwatch_alarms"}
    assert [json.loads(line)["operation"] for line in raw.splitlines()].count("describe_alarm_history") == 3


def test_a_query_is_how_the_names_begin() -> None:
    """CloudWatch looks for alarms by prefix; its history does not, so what does not begin so is left out here."""
    with stubbed() as (hook, stubber):
        asked = {"AlarmTypes": TYPES, "MaxRecords": 100, "AlarmNamePrefix": "shop-"}
        stubber.add_response("describe_alarms", {"MetricAlarms": [alarm("shop-slow")]}, asked)
        both = [change("shop-slow", 1, "OK", "ALARM"), change("other", 1, "OK", "ALARM")]
        stubber.add_response("describe_alarm_history", {"AlarmHistoryItems": both})
        stubber.add_response("describe_alarm_history", {"AlarmHistoryItems": []})
        found, _ = items(hook, "shop-")
    assert [item["name"] for item in found] == ["shop-slow", "shop-slow"]


def test_no_alarms_are_no_alerts() -> None:
    """An account without alarms answers, and has none."""
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {})
        stubber.add_response("describe_alarm_history", {})
        stubber.add_response("describe_alarm_history", {})
        assert items(hook)[0] == []


def test_a_window_older_than_the_history_is_refused() -> None:
    """Nothing would be found in it, and that would look like a quiet time."""
    with stubbed() as (hook, _), pytest.raises(QueryRefused, match=r"TEL-728 .*got 31 days, expected at most 30 days"):
        items(hook, start=NOW - timedelta(days=31))


def test_a_missing_permission_says_which() -> None:
    """The two permissions of this source are named when they are missing."""
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {})
        stubber.add_client_error("describe_alarm_history", "AccessDenied", "no", http_status_code=403)
        with pytest.raises(TelemetryError, match=r"TEL-716 .*permit cloudwatch:DescribeAlarmHistory"):
            items(hook)


def test_throttling_that_stays_may_be_asked_later() -> None:
    """After all attempts it is Unreachable."""
    with stubbed() as (hook, stubber):
        for _ in range(4):
            stubber.add_client_error("describe_alarms", "Throttling", "Rate exceeded", http_status_code=400)
        with pytest.raises(Unreachable, match=r"TEL-718 .*Rate exceeded"):
            items(hook)


def test_too_many_alarms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole account is narrowed by the names' beginning."""
    monkeypatch.setattr("perfproof_airflow.hooks.cloudwatch_alarms.MAX_ALARMS", 1)
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {"MetricAlarms": [alarm("a"), alarm("b")]})
        with pytest.raises(QueryRefused, match=r"TEL-729 .*too many alarms .*name how the alarms begin"):
            items(hook)
