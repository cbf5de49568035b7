"""Tests of what keeps an alert quiet although something burns: its long window, and the guard against low traffic."""

from __future__ import annotations

import math
from typing import Any

from perfproof.slos.burn_rates import BurnRateAlert
from perfproof.slos.burn_series import Phase, series
from perfproof.slos.indicator import SliKind
from perfproof.slos.objective import Objective
from perfproof.slos.prometheus_rules import alert_name, annotations_of, labels_of, ratio
from perfproof.slos.promql import quoted

MINUTE = 60
OVER, UNDER = 1.2, 0.8
MARGIN_MINUTES = 2
Test = dict[str, Any]


def just_begun(objective: Objective, alert: BurnRateAlert) -> list[Test]:
    """A burn that fills the short window and not the long one is quiet; none where no series can tell the windows apart.

    The recorded ratios are compared too, so that it is the long window that keeps it quiet.
    """
    short = max(1, alert.pair.short // MINUTE)
    traffic = objective.alerts.traffic
    if objective.indicator.kind is SliKind.SAMPLES:
        # So many samples that the guard does not keep it quiet.
        every = max(1, short // max(math.ceil(traffic.min_bad), math.ceil(OVER * alert.threshold * short)))
        share, bad = 1 / every, short // every + 1.0
        enough = traffic.min_events + MARGIN_MINUTES - short
        if short // every < traffic.min_bad:
            return []
    else:
        every = 0
        share = min((1 + alert.threshold) / 2, OVER * alert.threshold)
        bad, enough = share * short, 0.0
    calm = math.ceil(max(bad / (UNDER * alert.threshold) - short, enough)) + MARGIN_MINUTES
    if calm + short > alert.pair.long // MINUTE:
        return []
    end = f"{calm + short}m"
    labels = f'{{service="{quoted(objective.service)}", slo="{quoted(objective.slo)}"}}'
    windows = [(alert.pair.short, 1), (alert.pair.long, 0)]
    return [
        {
            "name": f"{alert_name(objective, alert)} is quiet while only its short window burns",
            "interval": "1m",
            "input_series": series(objective, [Phase(calm, 0), Phase(short, share)], least_every=every or None),
            "alert_rule_test": [{"eval_time": end, "alertname": alert_name(objective, alert), "exp_alerts": []}],
            "promql_expr_test": [
                {
                    "expr": f"{ratio(objective, window)} > bool {alert.threshold:.9g}",
                    "eval_time": end,
                    "exp_samples": [{"labels": labels, "value": above}],
                }
                for window, above in windows
            ],
        }
    ]


def low_traffic(objective: Objective, alert: BurnRateAlert) -> list[Test]:
    """Nothing but bad events is quiet while they are too few, and fires as soon as they are enough."""
    if objective.indicator.kind is SliKind.SAMPLES:
        return _few_samples(objective, alert)
    return _few_requests(objective, alert)


def _few_samples(objective: Objective, alert: BurnRateAlert) -> list[Test]:
    events = math.ceil(objective.alerts.traffic.min_events)
    few, enough = events - 1 - MARGIN_MINUTES, events + MARGIN_MINUTES
    if enough >= alert.pair.long // MINUTE:
        return []
    given = series(objective, [Phase(enough + 1, 1)], least_every=1)
    return [_test(objective, alert, "is quiet until there are enough samples", given, {few: False, enough: True})]


def _few_requests(objective: Objective, alert: BurnRateAlert) -> list[Test]:
    # Longer windows count the same events: what is not there is not counted.
    minutes = max(1, min(60, alert.pair.long // MINUTE))
    traffic = objective.alerts.traffic

    def given(requests: float, bad: float) -> list[dict[str, str]]:
        return series(objective, [Phase(minutes, bad / requests)], least_every=None, per_minute=requests / minutes)

    few, enough = traffic.min_events * UNDER * UNDER, traffic.min_events * OVER * OVER
    found = [
        _test(objective, alert, "is quiet at too few requests", given(few, few), {minutes: False}),
        _test(objective, alert, "fires at enough requests", given(enough, enough), {minutes: True}),
    ]
    bad = traffic.min_bad * UNDER
    if bad / enough > OVER * alert.threshold:
        found.append(_test(objective, alert, "is quiet at too few bad requests", given(enough, bad), {minutes: False}))
    return found


def _test(objective: Objective, alert: BurnRateAlert, what: str, given: list[dict[str, str]], fires: dict[int, bool]) -> Test:
    """A test with the given series in which the alert fires, or does not, at each of the minutes."""
    expected = [{"exp_labels": labels_of(objective, alert), "exp_annotations": annotations_of(objective, alert)}]
    name = alert_name(objective, alert)
    return {
        "name": f"{name} {what}",
        "interval": "1m",
        "input_series": given,
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": expected if firing else []} for minute, firing in fires.items()
        ],
    }
