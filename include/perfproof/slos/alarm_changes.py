"""What differs between the alarms that were approved and those that CloudWatch has, and what is needed to go back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Alarm = Mapping[str, Any]
METRIC, COMPOSITE = "metric", "composite"
# What put_metric_alarm and put_composite_alarm take, without tags: what else CloudWatch tells of an alarm is its state.
SETTINGS = {
    METRIC: (
        "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName",
        "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm",
        "Threshold", "ComparisonOperator", "TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId",
    ),
    COMPOSITE: (
        "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "AlarmRule",
        "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod",
    ),
}  # fmt: skip
# Settings that the approved alarms say nothing about: people may have made them, and they stay.
KEPT = ("OKActions", "InsufficientDataActions", "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """What became of one alarm: `created`, `changed` or `unchanged`, and the settings that differed."""

    name: str
    arn: str
    state: str
    settings: tuple[str, ...] = ()


def wanted_alarms(export: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Kind and settings of each alarm in `slo-cloudwatch.json`, in the order in which they can be made: composite ones come last."""
    document = json.loads(export)
    return [(METRIC, alarm) for alarm in document["metric_alarms"]] + [(COMPOSITE, alarm) for alarm in document["composite_alarms"]]


def settings_of(kind: str, alarm: Alarm) -> dict[str, Any]:
    """The settings in CloudWatch's description of an alarm, as it could be put again."""
    return {name: alarm[name] for name in SETTINGS[kind] if alarm.get(name) not in (None, [], "") or name == "ActionsEnabled"}


def differing(wanted: Alarm, found: Alarm | None) -> tuple[str, ...]:
    """The settings of `wanted` that `found` has not, all of them where there is no such alarm. Others are not looked at."""
    if found is None:
        return tuple(sorted(set(wanted) - {"AlarmName"}))
    return tuple(sorted(name for name, value in wanted.items() if _plain(value) != _plain(found.get(name, [] if value == [] else None))))


def put_again(wanted: Alarm, found: Alarm | None) -> dict[str, Any]:
    """What to put so that an alarm becomes `wanted` and keeps the settings that `wanted` says nothing about."""
    kept = {name: found[name] for name in KEPT if name not in wanted and found.get(name)} if found is not None else {}
    return {**wanted, **kept}


def _plain(value: Any) -> Any:
    """`value` in a form in which equal settings are equal: numbers as floats, lists whose order means nothing in one order."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return sorted((_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True, default=str))
    return str(value)


def before_document(wanted: Sequence[tuple[str, Alarm]], found: Mapping[str, Alarm], *, connection: str) -> dict[str, Any]:
    """What CloudWatch had under the names of `wanted` before anything was put: settings to put again, or null for what to delete."""
    named = [(kind, alarm["AlarmName"]) for kind, alarm in wanted]
    alarms = [{"kind": kind, "name": name, "settings": settings_of(kind, found[name]) if name in found else None} for kind, name in named]
    return {"schema": "perfproof.cloudwatch-before/1", "connection": connection, "alarms": alarms}


def alarm_changes(wanted: Sequence[tuple[str, Alarm]], *, before: Mapping[str, Any], after: Mapping[str, Alarm]) -> tuple[AlarmChange, ...]:
    """What became of each alarm, from what was there before and is there now. Raises KeyError for one that is not there now."""
    earlier = {alarm["name"]: alarm["settings"] for alarm in before["alarms"]}
    changes = []
    for _, alarm in wanted:
        name = alarm["AlarmName"]
        was = earlier.get(name)
        settings = differing(alarm, was)
        state = "created" if was is None else "changed" if settings else "unchanged"
        changes.append(AlarmChange(name, str(after[name]["AlarmArn"]), state, () if was is None else settings))
    return tuple(changes)


def after_document(
    wanted: Sequence[tuple[str, Alarm]], found: Mapping[str, Alarm], changes: Sequence[AlarmChange], *, connection: str
) -> dict[str, Any]:
    """What CloudWatch has now under the names of `wanted`, and what became of each."""
    kinds = {alarm["AlarmName"]: kind for kind, alarm in wanted}
    alarms = [
        {
            "kind": kinds[one.name],
            "name": one.name,
            "arn": one.arn,
            "state": one.state,
            "changed": list(one.settings),
            "settings": settings_of(kinds[one.name], found[one.name]),
        }
        for one in changes
    ]
    return {"schema": "perfproof.cloudwatch-after/1", "connection": connection, "alarms": alarms}
