"""Objectives as CloudWatch alarms: parameters of put_metric_alarm and put_composite_alarm, as boto3 takes them.

CloudWatch reads no PromQL. The alarms look at two metrics that the service, or an exporter, must publish: `bad` and `total` events, in
the namespace, with the dimensions service and slo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.markdown import visible
from perfproof.slos.burn_rates import BurnRateAlert, Severity
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.promql import duration

NAMESPACE = "perfproof"
# The longest period of one datum: an alarm cannot sum over more.
LONGEST_PERIOD = 86_400
MAX_DESCRIPTION = 1024
Parameters = dict[str, Any]


def cloudwatch_alarms(
    objectives: Sequence[Objective], *, namespace: str = NAMESPACE, actions: Sequence[str] = (), prefix: str = ""
) -> bytes:
    """A JSON document: `metric_alarms`, then `composite_alarms` of them, `left_out` in sentences, and the `metrics` that must be published.

    One composite alarm for each objective and severity is in ALARM while both windows of any of its pairs are. `actions` are the ARNs
    that it notifies; the metric alarms notify nobody. The name of each begins with `prefix`.
    """
    require_distinct(objectives)
    document: dict[str, list[Any]] = {"metrics": [], "metric_alarms": [], "composite_alarms": [], "left_out": []}
    for objective in objectives:
        _add(document, objective, namespace, actions)
    if prefix:
        _rename(document, prefix)
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _add(document: Mapping[str, list[Any]], objective: Objective, namespace: str, actions: Sequence[str]) -> None:
    document["metrics"].append(
        {
            "namespace": namespace,
            "dimensions": _dimensions(objective),
            "bad": f"{objective.indicator.kind.value} that do not keep the objective",
            "total": f"all {objective.indicator.kind.value}",
        }
    )
    document["left_out"] += [f"{objective.name}: {reason}" for reason in objective.alerts.left_out]
    for severity in Severity:
        usable = []
        for alert in objective.alerts.of(severity):
            if alert.pair.long > LONGEST_PERIOD or alert.pair.short % 60:
                document["left_out"].append(
                    f"{objective.name}: {severity.value} over {duration(alert.pair.long)}: an alarm sums over minutes, one day at most"
                )
                continue
            usable.append(alert)
            document["metric_alarms"] += [_alarm(objective, alert, namespace, long=long) for long in (True, False)]
        if usable:
            document["composite_alarms"].append(_composite(objective, severity, usable, actions))
    document["metric_alarms"].append(_absent(objective, namespace, actions))


def _rename(document: Mapping[str, list[Any]], prefix: str) -> None:
    for alarm in (*document["metric_alarms"], *document["composite_alarms"]):
        alarm["AlarmName"] = f"{prefix}{alarm['AlarmName']}"
        if "AlarmRule" in alarm:
            # Names are letters, digits and dashes, so the rule holds this text only where it names an alarm.
            alarm["AlarmRule"] = alarm["AlarmRule"].replace('ALARM("', f'ALARM("{prefix}')


def _dimensions(objective: Objective) -> list[dict[str, str]]:
    return [{"Name": "service", "Value": objective.service}, {"Name": "slo", "Value": objective.slo}]


def _alarm_name(objective: Objective, alert: BurnRateAlert, *, long: bool) -> str:
    pair = alert.pair
    return f"{objective.slo}-{pair.severity.value}-{duration(pair.long)}-{'long' if long else 'short'}"


def _queries(objective: Objective, namespace: str, period: int, expression: str) -> list[Parameters]:
    found: list[Parameters] = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": name, "Dimensions": _dimensions(objective)},
                "Period": period,
                "Stat": "Sum",
            },
            "ReturnData": False,
        }
        for name in ("bad", "total")
    ]
    return [*found, {"Id": "ratio", "Expression": expression, "Label": "share of bad events", "ReturnData": True}]


def _alarm(objective: Objective, alert: BurnRateAlert, namespace: str, *, long: bool) -> Parameters:
    traffic = objective.alerts.traffic
    # Events that were not published as bad are none; the low-traffic guard is on the long window.
    enough = f"total >= {traffic.min_events:g} AND FILL(bad, 0) >= {traffic.min_bad:g}" if long else "total > 0"
    return {
        "AlarmName": _alarm_name(objective, alert, long=long),
        "AlarmDescription": visible(f"{objective.name}: {alert.words}")[:MAX_DESCRIPTION],
        "ActionsEnabled": False,
        "Metrics": _queries(objective, namespace, alert.pair.long if long else alert.pair.short, f"IF({enough}, FILL(bad, 0) / total, 0)"),
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": float(f"{alert.threshold:.9g}"),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _composite(objective: Objective, severity: Severity, alerts: Sequence[BurnRateAlert], actions: Sequence[str]) -> Parameters:
    both = [" AND ".join(f'ALARM("{_alarm_name(objective, alert, long=long)}")' for long in (True, False)) for alert in alerts]
    told = visible(f"{objective.name}: the error budget is spent too fast. Escalation: {objective.escalation}")
    return {
        "AlarmName": f"{objective.slo}-{severity.value}",
        "AlarmDescription": told[:MAX_DESCRIPTION],
        "AlarmRule": " OR ".join(f"({pair})" for pair in both),
        "ActionsEnabled": True,
        "AlarmActions": list(actions),
    }


def _absent(objective: Objective, namespace: str, actions: Sequence[str]) -> Parameters:
    minutes = max(1, round(objective.alerts.absent_seconds / 60))
    return {
        "AlarmName": f"{objective.slo}-absent",
        "AlarmDescription": visible(f"{objective.name}: nothing is published, so nobody knows whether it is kept")[:MAX_DESCRIPTION],
        "ActionsEnabled": True,
        "AlarmActions": list(actions),
        "Namespace": namespace,
        "MetricName": "total",
        "Dimensions": _dimensions(objective),
        "Statistic": "SampleCount",
        "Period": 60,
        "EvaluationPeriods": min(minutes, 1440),
        "DatapointsToAlarm": min(minutes, 1440),
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "breaching",
    }
