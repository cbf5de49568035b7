"""A unit-test file for `promtool test rules`: each alert fires on a series that burns, ends with it, and is quiet on one that does not.

Each window and each guard is tested by itself: a burn that ended, one that only began, and one of too few events are quiet.

Long windows are filled up to six hours, since Prometheus evaluates what is there: three days would take promtool minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import yaml

from perfproof.slos.burn_rates import BurnRateAlert
from perfproof.slos.burn_series import Phase, series
from perfproof.slos.guard_tests import just_begun, low_traffic
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.prometheus_rules import absent_name, alert_name, annotations_of, labels_of

MINUTE = 60
# The short window must be empty of bad events, also where a window includes both of its ends.
MARGIN_MINUTES = 2
LONGEST_MINUTES = 6 * 60
OVER, UNDER = 1.2, 0.8


def rule_tests(objectives: Sequence[Objective], *, rules_file: str) -> bytes:
    """The test file (YAML) of the rules that `prometheus_rules` writes for the same objectives, which lie in `rules_file` beside it."""
    require_distinct(objectives)
    tests = [test for objective in objectives for test in _tests(objective)]
    document = {"rule_files": [rules_file], "evaluation_interval": "1m", "tests": tests}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000).encode()


def _tests(objective: Objective) -> list[dict[str, Any]]:
    found = []
    for alert in objective.alerts.alerts:
        found += [_burning(objective, alert), _calm(objective, alert), *just_begun(objective, alert), *low_traffic(objective, alert)]
    if found:
        found.append(_absent(objective))
    return found


def _burning(objective: Objective, alert: BurnRateAlert) -> dict[str, Any]:
    """A burn just above the alert's own threshold for its long window, then none: it fires at the end of the burn, and ends."""
    long, short = _minutes(alert), max(1, alert.pair.short // MINUTE)
    above = min((1 + alert.threshold) / 2, OVER * alert.threshold)
    after = short + MARGIN_MINUTES
    # So many of the samples must be bad that there is one in each short window, and enough for the low-traffic guard.
    every = max(1, min(short, math.floor(long / (objective.alerts.traffic.min_bad + 1))))
    expected = [{"exp_labels": labels_of(objective, alert), "exp_annotations": annotations_of(objective, alert)}]
    return {
        "name": f"{alert_name(objective, alert)} fires on a burn and ends with it",
        "interval": "1m",
        "input_series": series(objective, [Phase(long, above), Phase(after, 0)], least_every=every),
        "alert_rule_test": [
            {"eval_time": f"{long}m", "alertname": alert_name(objective, alert), "exp_alerts": expected},
            {"eval_time": f"{long + after}m", "alertname": alert_name(objective, alert), "exp_alerts": []},
        ],
    }


def _minutes(alert: BurnRateAlert) -> int:
    return max(1, min(LONGEST_MINUTES, alert.pair.long // MINUTE))


def _calm(objective: Objective, alert: BurnRateAlert) -> dict[str, Any]:
    long = _minutes(alert)
    return {
        "name": f"{alert_name(objective, alert)} is quiet below its threshold",
        "interval": "1m",
        "input_series": series(objective, [Phase(long, UNDER * alert.threshold)], least_every=None),
        "alert_rule_test": [{"eval_time": f"{long}m", "alertname": alert_name(objective, alert), "exp_alerts": []}],
    }


def _absent(objective: Objective) -> dict[str, Any]:
    name, seconds = absent_name(objective), objective.alerts.absent_seconds
    expected = [{"exp_labels": labels_of(objective, None), "exp_annotations": annotations_of(objective, None)}]
    # Evaluations are a minute apart, and the first absence is seen by the first of them.
    late = math.ceil(seconds / MINUTE) + 1
    return {
        "name": f"{name} fires where nothing is measured",
        "interval": "1m",
        "input_series": [],
        "alert_rule_test": [
            {"eval_time": "1m", "alertname": name, "exp_alerts": []},
            {"eval_time": f"{late}m", "alertname": name, "exp_alerts": expected},
        ],
    }
