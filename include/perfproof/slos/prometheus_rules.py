"""Prometheus rules of objectives: recorded error ratios, burn-rate alerts with their guards, and an alert on a metric that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from perfproof.markdown import visible
from perfproof.slos.burn_rates import BurnRateAlert, Severity, bad_share
from perfproof.slos.indicator import SERIES_WINDOW, SliKind
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.promql import duration, quoted, template_text
from perfproof.telemetry import Direction

VALUE, BAD, RATIO = "perfproof:slo_value", "perfproof:slo_bad", "perfproof:slo_error_ratio"
LEFT, OBJECTIVE = "perfproof:slo_budget_left_ratio", "perfproof:slo_objective_ratio"
# The budget is looked at over the whole period, which is costly and need not be fresh.
BUDGET_INTERVAL = "5m"
Rule = dict[str, Any]


def prometheus_rules(objectives: Sequence[Objective]) -> bytes:
    """A rule file (YAML) with two groups for each objective: ratios and alerts each minute, the budget every five minutes."""
    require_distinct(objectives)
    groups = [group for objective in objectives for group in _groups(objective)]
    return yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=1000).encode()


def selector(objective: Objective, name: str) -> str:
    """The recorded series `name` of an objective."""
    return f'{name}{{service="{quoted(objective.service)}",slo="{quoted(objective.slo)}"}}'


def ratio(objective: Objective, window: int) -> str:
    """The recorded error ratio over a window."""
    return selector(objective, f"{RATIO}:rate{duration(window)}")


def alert_name(objective: Objective, alert: BurnRateAlert) -> str:
    """The name of a burn-rate alert: letters, digits and underscores."""
    return f"{objective.slo.replace('-', '_')}_budget_{alert.pair.severity.value}_{duration(alert.pair.long)}"


def absent_name(objective: Objective) -> str:
    """The name of the alert on a missing metric."""
    return f"{objective.slo.replace('-', '_')}_metric_absent"


def labels_of(objective: Objective, alert: BurnRateAlert | None) -> dict[str, str]:
    """The labels of an alert, as they are shown. None: the alert on a missing metric, which is somebody's night as well."""
    severity = alert.pair.severity if alert else Severity.PAGE
    return {"severity": severity.value, "service": visible(objective.service), "slo": objective.slo}


def annotations_of(objective: Objective, alert: BurnRateAlert | None) -> dict[str, str]:
    """The annotations of an alert, as they are shown."""
    if alert is None:
        told = duration(objective.alerts.absent_seconds)
        summary = f"{objective.name}: {objective.metric} is missing for {told}, so nobody knows whether the objective is kept"
    else:
        summary = f"{objective.name}: {alert.words}"
    kept = f"{objective.percent:.9g} % of {objective.indicator.kind.value} over {objective.period_days}d"
    return {"summary": visible(summary), "objective": kept, "escalation": visible(objective.escalation)}


def value_expression(objective: Objective, window: str = SERIES_WINDOW) -> str:
    """The worst value of the metric's own query. The outer function drops labels that the query may leave."""
    worst = "max" if objective.direction is Direction.LOWER else "min"
    return f"{worst}({objective.filled(objective.indicator.query, window)})"


def _groups(objective: Objective) -> list[dict[str, Any]]:
    name = f"perfproof-slo-{objective.slo}"
    period = objective.period_days * 86_400
    budget = bad_share(objective.percent)
    left = [_record(objective, LEFT, f"1 - {ratio(objective, period)} / {budget:.9g}")] if budget > 0 else []
    whole = [] if period in _windows(objective) else [_ratio(objective, period)]
    return [
        {"name": name, "interval": "1m", "rules": [*_recorded(objective), *_alerting(objective)]},
        {
            "name": f"{name}-budget",
            "interval": BUDGET_INTERVAL,
            "rules": [
                _record(objective, OBJECTIVE, f"vector({objective.percent / 100:.9g})"),
                *whole,
                *left,
            ],
        },
    ]


def _windows(objective: Objective) -> list[int]:
    return sorted({window for alert in objective.alerts.alerts for window in (alert.pair.long, alert.pair.short)})


def _recorded(objective: Objective) -> list[Rule]:
    ratios = [_ratio(objective, window) for window in _windows(objective)]
    if objective.indicator.kind is SliKind.REQUESTS:
        return ratios
    value = selector(objective, VALUE)
    sign = ">" if objective.direction is Direction.LOWER else "<"
    # A NaN equals nothing, not itself either, so this leaves it out: without traffic there is no sample, neither good nor bad.
    bad = f"({value} == {value}) {sign} bool {objective.target:.12g}"
    return [_record(objective, VALUE, value_expression(objective)), _record(objective, BAD, bad), *ratios]


def _ratio(objective: Objective, window: int) -> Rule:
    length = duration(window)
    indicator = objective.indicator
    if indicator.kind is SliKind.SAMPLES:
        expression = f"avg_over_time({selector(objective, BAD)}[{length}])"
    else:
        expression = f"{objective.filled(indicator.bad_count, length)} / {objective.filled(indicator.total_count, length)}"
    return _record(objective, f"{RATIO}:rate{length}", expression)


def _record(objective: Objective, name: str, expression: str) -> Rule:
    return {"record": name, "expr": expression, "labels": {"service": objective.service, "slo": objective.slo}}


def _alerting(objective: Objective) -> list[Rule]:
    rules = [
        _rule(objective, alert_name(objective, alert), _expression(objective, alert), alert=alert) for alert in objective.alerts.alerts
    ]
    return [*rules, *_absent(objective)]


def _expression(objective: Objective, alert: BurnRateAlert) -> str:
    long = duration(alert.pair.long)
    if objective.indicator.kind is SliKind.SAMPLES:
        bad = selector(objective, BAD)
        counts, match = (f"count_over_time({bad}[{long}])", f"sum_over_time({bad}[{long}])"), "and"
    else:
        indicator = objective.indicator
        counts = (objective.filled(indicator.total_count, long), objective.filled(indicator.bad_count, long))
        match = "and on ()"
    traffic = objective.alerts.traffic
    return (
        f"{ratio(objective, alert.pair.long)} > {alert.threshold:.9g} and {ratio(objective, alert.pair.short)} > {alert.threshold:.9g} "
        f"{match} {counts[0]} >= {traffic.min_events:.9g} {match} {counts[1]} >= {traffic.min_bad:.9g}"
    )


def _absent(objective: Objective) -> list[Rule]:
    samples = objective.indicator.kind is SliKind.SAMPLES
    shortest = min((alert.pair.short for alert in objective.alerts.alerts), default=None)
    if not samples and shortest is None:
        return []
    series = selector(objective, VALUE) if samples else ratio(objective, shortest or 0)
    rule = _rule(objective, absent_name(objective), f"absent({series})", alert=None)
    return [{**rule, "for": duration(objective.alerts.absent_seconds)}]


def _rule(objective: Objective, name: str, expression: str, *, alert: BurnRateAlert | None) -> Rule:
    return {
        "alert": name,
        "expr": expression,
        "labels": {key: template_text(text) for key, text in labels_of(objective, alert).items()},
        "annotations": {key: template_text(text) for key, text in annotations_of(objective, alert).items()},
    }
