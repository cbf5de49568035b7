"""CloudWatch's alarms and what their history says, as alerts: a rule for each alarm, and a span for each time that it was in ALARM."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.moments import stamp

UNKNOWN = "UNKNOWN"
ALARM = "ALARM"
STATES = (ALARM, "OK", "INSUFFICIENT_DATA")
# The names of the dimension that says which service a metric belongs to.
SERVICE_DIMENSIONS = ("service", "Service", "ServiceName")
_SIGNS: Mapping[str, str] = {
    "GreaterThanOrEqualToThreshold": ">=",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
}
Item = dict[str, Any]


def alarm_items(alarms: Sequence[Mapping[str, Any]], history: Iterable[Mapping[str, Any]], *, end: float, source: str) -> list[Item]:
    """The alerts of a window that ends at `end` (seconds since the epoch): spans in the order of time, then the rules by name.

    `alarms` are MetricAlarms and CompositeAlarms; `history` are the StateUpdate items from the window's begin until now, so that
    what went on through the whole window and ended later is found. A span that began before the window has the start that
    CloudWatch still knows, or None. An alarm that is gone is a span without rule. CloudWatch knows no severity. Raises
    TelemetryError for a history item that is none.
    """
    rules = {str(alarm.get("AlarmName")): _rule(alarm, source) for alarm in alarms}
    spans: list[Item] = []
    firing: dict[tuple[str, str], Item] = {}
    seen: set[str] = set()
    for moment, name, contributor, before, after in sorted(_updates(history), key=lambda update: update[0]):
        key = (name, contributor)
        if key not in firing and (after == ALARM or before == ALARM):
            # Without a begin here it was in ALARM when the window began.
            firing[key] = _span(rules.get(name), name, source, started_at=stamp(moment) if after == ALARM else None)
            if after != ALARM or moment.timestamp() <= end:
                spans.append(firing[key])
        if after != ALARM and key in firing:
            firing.pop(key).update(ended_at=stamp(moment), state="resolved")
        seen.add(name)
    spans += [_span(rules[name], name, source, started_at=began) for name, began in _lasting(alarms, end=end) if name not in seen]
    spans.sort(key=lambda span: (span["started_at"] or "", span["name"]))
    return spans + [rules[name] for name in sorted(rules)]


def _updates(history: Iterable[Mapping[str, Any]]) -> Iterable[tuple[datetime, str, str, str | None, str]]:
    seen: set[tuple[str, ...]] = set()
    for item in history:
        # The histories of two kinds of alarm are asked for apart, and not every server keeps them apart.
        key = tuple(str(item.get(part)) for part in ("AlarmName", "AlarmContributorId", "Timestamp", "HistoryData"))
        if key in seen:
            continue
        seen.add(key)
        name, moment = item.get("AlarmName"), item.get("Timestamp")
        before, after = _states(item.get("HistoryData"))
        if not isinstance(name, str) or not isinstance(moment, datetime) or moment.tzinfo is None or after not in STATES:
            raise TelemetryError(
                726, where="alarm history", what="not a change of state", got=f"{name} {moment} {item.get('HistoryData')}",
                expected="a name, a moment and newState.stateValue", fix="check that endpoint_url of the Connection is CloudWatch",
            )  # fmt: skip
        if before != after:
            yield moment, name, str(item.get("AlarmContributorId") or ""), before, after


def _states(data: Any) -> tuple[str | None, str]:
    """State before and after, from the JSON text that CloudWatch keeps of a change."""
    try:
        document = json.loads(data)
        before, after = document.get("oldState"), document["newState"]["stateValue"]
        return (before.get("stateValue") if isinstance(before, dict) else None), str(after)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None, UNKNOWN


def _lasting(alarms: Sequence[Mapping[str, Any]], *, end: float) -> Iterable[tuple[str, str | None]]:
    """Alarms that are in ALARM, and have been since before the window's end, with the moment if CloudWatch tells it."""
    for alarm in alarms:
        since = alarm.get("StateTransitionedTimestamp")
        if alarm.get("StateValue") != ALARM:
            continue
        if not isinstance(since, datetime) or since.tzinfo is None:
            yield str(alarm.get("AlarmName")), None
        elif since.timestamp() <= end:
            yield str(alarm.get("AlarmName")), stamp(since)


def _span(rule: Item | None, name: str, source: str, *, started_at: str | None) -> Item:
    shown = rule or _item(name, source)
    return {**shown, "state": "firing", "started_at": started_at}


def _rule(alarm: Mapping[str, Any], source: str) -> Item:
    item = _item(str(alarm.get("AlarmName")), source)
    item["expression"] = _expression(alarm)
    period, periods = alarm.get("Period"), alarm.get("EvaluationPeriods")
    if isinstance(period, int) and isinstance(periods, int):
        item["for"] = f"{period * periods}s"
    services = {value for metric in _metrics(alarm) for name, value in _dimensions(metric) if name in SERVICE_DIMENSIONS}
    item["service"] = services.pop() if len(services) == 1 else None
    return item


def _item(name: str, source: str) -> Item:
    return {
        "name": name, "expression": UNKNOWN, "severity": UNKNOWN, "for": UNKNOWN, "service": None, "state": "rule", "started_at": None,
        "ended_at": None, "source": source,
    }  # fmt: skip


def _metrics(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if alarm.get("MetricName"):
        return [alarm]
    queries = alarm.get("Metrics") or []
    return [query["MetricStat"]["Metric"] for query in queries if isinstance((query.get("MetricStat") or {}).get("Metric"), dict)]


def _dimensions(metric: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(item.get("Name")), str(item.get("Value"))) for item in metric.get("Dimensions") or []]


def _metric_text(metric: Mapping[str, Any], statistic: Any) -> str:
    labels = ",".join(f"{name}={value}" for name, value in _dimensions(metric))
    return f"{metric.get('Namespace')} {metric.get('MetricName')}{f'{{{labels}}}' if labels else ''} {statistic}"


def _expression(alarm: Mapping[str, Any]) -> str:
    if alarm.get("AlarmRule"):
        return str(alarm["AlarmRule"])
    if alarm.get("MetricName"):
        left = _metric_text(alarm, alarm.get("ExtendedStatistic") or alarm.get("Statistic"))
    elif alarm.get("Metrics"):
        left = "; ".join(_query_text(query) for query in alarm["Metrics"])
    else:
        return UNKNOWN
    sign, threshold = _SIGNS.get(str(alarm.get("ComparisonOperator"))), alarm.get("Threshold")
    if sign is None or not isinstance(threshold, int | float) or not math.isfinite(threshold):
        # Bands of anomaly detection have no fixed threshold.
        return f"{left} {alarm.get('ComparisonOperator') or UNKNOWN}"
    return f"{left} {sign} {threshold:g}"


def _query_text(query: Mapping[str, Any]) -> str:
    statistic = query.get("MetricStat")
    if isinstance(statistic, dict):
        return f"{query.get('Id')} = {_metric_text(statistic.get('Metric') or {}, statistic.get('Stat'))}"
    return f"{query.get('Id')} = {query.get('Expression')}"
