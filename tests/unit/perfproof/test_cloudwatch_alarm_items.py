"""CloudWatch's alarms and their history as alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.cloudwatch.alarm_items import alarm_items
from perfproof.errors import TelemetryError

BEGIN = datetime(2025, 2, 16, 9, 0, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)
SLOW = {
    "AlarmName": "slow", "Namespace": "AWS/ApplicationELB", "MetricName": "TargetResponseTime", "ExtendedStatistic": "p95",
    "Dimensions": [{"Name": "LoadBalancer", "Value": "app/x/1"}, {"Name": "service", "Value": "orders"}], "Period": 60,
    "EvaluationPeriods": 3, "Threshold": 0.5, "ComparisonOperator": "GreaterThanThreshold", "StateValue": "OK",
}  # fmt: skip
RULE = {
    "name": "slow", "expression": "AWS/ApplicationELB TargetResponseTime{LoadBalancer=app/x/1,service=orders} p95 > 0.5",
    "severity": "UNKNOWN", "for": "180s", "service": "orders", "state": "rule", "started_at": None, "ended_at": None, "source": "cw",
}  # fmt: skip


def change(minute: float, before: str | None, after: str, *, name: str = "slow", **more: Any) -> dict[str, Any]:
    """A StateUpdate so many minutes after the window's begin."""
    data = {"version": "1.0", "oldState": {"stateValue": before}, "newState": {"stateValue": after}}
    return {"AlarmName": name, "Timestamp": BEGIN + timedelta(minutes=minute), "HistoryData": json.dumps(data), **more}


def found(alarms: list[dict[str, Any]], *history: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    """Name, state, begin and end (the minutes' part) of the items that are no rules."""
    items = alarm_items(alarms, history, end=END.timestamp(), source="cw")
    cut = [(item["started_at"], item["ended_at"]) for item in items]
    shown = [tuple(None if moment is None else moment[11:16] for moment in pair) for pair in cut]
    return [(item["name"], item["state"], *pair) for item, pair in zip(items, shown, strict=True) if item["state"] != "rule"]


def test_an_alarm_is_a_rule_with_what_it_watches() -> None:
    """Metric, statistic, threshold, time, and the service where a dimension names it."""
    assert alarm_items([SLOW], [], end=END.timestamp(), source="cw") == [RULE]


@pytest.mark.parametrize(
    ("changes", "expression", "service"),
    [
        ({"AlarmRule": "ALARM(a) AND ALARM(b)", "MetricName": None}, "ALARM(a) AND ALARM(b)", None),
        ({"Dimensions": [], "Statistic": "Sum", "ExtendedStatistic": None}, "AWS/ApplicationELB TargetResponseTime Sum > 0.5", None),
        (
            {
                "MetricName": None,
                "Metrics": [
                    {
                        "Id": "e",
                        "MetricStat": {
                            "Metric": {"Namespace": "N", "MetricName": "E", "Dimensions": [{"Name": "ServiceName", "Value": "pay"}]},
                            "Stat": "Sum",
                        },
                    },
                    {"Id": "r", "Expression": "e / 2"},
                ],
            },
            "e = N E{ServiceName=pay} Sum; r = e / 2 > 0.5",
            "pay",
        ),
        (
            {"ComparisonOperator": "GreaterThanUpperThreshold", "Threshold": None},
            "AWS/ApplicationELB TargetResponseTime{LoadBalancer=app/x/1,service=orders} p95 GreaterThanUpperThreshold",
            "orders",
        ),
        ({"MetricName": None}, "UNKNOWN", None),
    ],
)
def test_every_kind_of_alarm_has_words(changes: dict[str, Any], expression: str, service: str | None) -> None:
    """Composite alarms, arithmetic, bands, and a kind that is not known."""
    (item,) = alarm_items([{**SLOW, **changes}], [], end=END.timestamp(), source="cw")
    assert (item["expression"], item["service"]) == (expression, service)


@pytest.mark.parametrize(
    ("history", "spans"),
    [
        ([], []),
        ([change(5, "OK", "ALARM"), change(9, "ALARM", "OK")], [("slow", "resolved", "09:05", "09:09")]),
        ([change(9, "ALARM", "OK"), change(5, "OK", "ALARM")], [("slow", "resolved", "09:05", "09:09")]),
        ([change(5, "OK", "ALARM"), change(9, "ALARM", "OK")] * 2, [("slow", "resolved", "09:05", "09:09")]),
        ([change(5, "OK", "ALARM")], [("slow", "firing", "09:05", None)]),
        ([change(5, "ALARM", "INSUFFICIENT_DATA")], [("slow", "resolved", None, "09:05")]),
        (
            [change(1, "ALARM", "OK"), change(2, "OK", "ALARM"), change(3, "ALARM", "OK")],
            [("slow", "resolved", None, "09:01"), ("slow", "resolved", "09:02", "09:03")],
        ),
        ([change(5, "OK", "INSUFFICIENT_DATA"), change(6, "INSUFFICIENT_DATA", "OK")], []),
        ([change(1, "INSUFFICIENT_DATA", "INSUFFICIENT_DATA")], []),
        ([change(61, "OK", "ALARM"), change(62, "ALARM", "OK")], []),
        ([change(61, "ALARM", "OK")], [("slow", "resolved", None, "10:01")]),
        ([change(59, "OK", "ALARM"), change(70, "ALARM", "OK")], [("slow", "resolved", "09:59", "10:10")]),
        ([change(5, "OK", "ALARM", name="gone")], [("gone", "firing", "09:05", None)]),
        (
            [change(1, "OK", "ALARM", AlarmContributorId="a"), change(2, "OK", "ALARM", AlarmContributorId="b"),
             change(3, "ALARM", "OK", AlarmContributorId="a")],
            [("slow", "resolved", "09:01", "09:03"), ("slow", "firing", "09:02", None)],
        ),
    ],
)  # fmt: skip
def test_changes_of_state_become_spans(history: list[dict[str, Any]], spans: list[Any]) -> None:
    """Each time in ALARM is one span; what began before the window has no begin, what began after it is left out."""
    assert found([SLOW], *history) == spans


def test_an_alarm_without_a_change_in_the_window_may_still_be_in_alarm() -> None:
    """Since before the window: it has no history there, and is no quiet alarm."""
    since = BEGIN - timedelta(hours=20)
    assert found([{**SLOW, "StateValue": "ALARM", "StateTransitionedTimestamp": since}]) == [("slow", "firing", "13:00", None)]
    assert found([{**SLOW, "StateValue": "ALARM"}]) == [("slow", "firing", None, None)]
    assert found([{**SLOW, "StateValue": "ALARM", "StateTransitionedTimestamp": END + timedelta(minutes=1)}]) == []


def test_the_span_of_an_alarm_that_is_gone_says_what_is_not_known() -> None:
    """Nothing about it is invented."""
    items = alarm_items([], [change(5, "OK", "ALARM", name="gone")], end=END.timestamp(), source="cw")
    assert items == [
        {
            "name": "gone", "expression": "UNKNOWN", "severity": "UNKNOWN", "for": "UNKNOWN", "service": None, "state": "firing",
            "started_at": "2025-02-16T09:05:00Z", "ended_at": None, "source": "cw",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "item",
    [
        {**change(1, "OK", "ALARM"), "HistoryData": None},
        {**change(1, "OK", "ALARM"), "HistoryData": "{"},
        {**change(1, "OK", "ALARM"), "HistoryData": "[]"},
        {**change(1, "OK", "ALARM"), "HistoryData": '{"newState": {"stateValue": "<script>"}}'},
        {**change(1, "OK", "ALARM"), "HistoryData": "[" * 100_000},
        {**change(1, "OK", "ALARM"), "Timestamp": "yesterday"},
        {**change(1, "OK", "ALARM"), "AlarmName": None},
    ],
)
def test_a_history_that_cannot_be_read_is_refused(item: dict[str, Any]) -> None:
    """A change that is not understood could be the one that matters."""
    with pytest.raises(TelemetryError, match=r"TEL-726 alarm history: not a change of state"):
        alarm_items([SLOW], [item], end=END.timestamp(), source="cw")
