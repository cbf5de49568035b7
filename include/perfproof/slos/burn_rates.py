"""Multi-window burn-rate alerts: when an error budget is spent too fast, and which of those alerts can fire at all.

The burn rate is (share of bad events) / (1 - objective): at 1 the budget lasts exactly the period. An alert fires while the burn rate
exceeds its factor over a long window, so that it matters, and over a short one, so that it ends soon after the burning does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from perfproof.errors import ArtifactError
from perfproof.slos.promql import duration

DAY = 86_400
PERIOD = 30 * DAY
# A total outage must reach an alert: where the factor cannot, this share of bad events takes its place.
LOWERED_TO = 0.9
ABSENT_BUDGET = 0.01
SHORTEST_ABSENCE = 120
TINY = 1e-9


class Severity(StrEnum):
    """Who is disturbed: a person at once, or somebody during working hours."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Pair:
    """Share of the budget that is spent when the long window is full, and both windows in seconds."""

    severity: Severity
    budget: float
    long: int
    short: int


PAIRS = (
    Pair(Severity.PAGE, 0.02, 3_600, 300),
    Pair(Severity.PAGE, 0.05, 6 * 3_600, 1_800),
    Pair(Severity.TICKET, 0.10, DAY, 2 * 3_600),
    Pair(Severity.TICKET, 0.10, 3 * DAY, 6 * 3_600),
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The low-traffic guard: fewest events, and fewest bad ones, in the long window. Two failed requests at night page nobody."""

    min_events: float
    min_bad: float


@dataclass(frozen=True, slots=True)
class BurnRateAlert:
    """One pair with its burn-rate `factor` and the share of bad events that `threshold` must be exceeded by.

    `lowered` says why the factor is not that of the pair; None if it is.
    """

    pair: Pair
    factor: float
    threshold: float
    lowered: str | None = None

    @property
    def words(self) -> str:
        """The alert as a line for people who approve it."""
        long, short = duration(self.pair.long), duration(self.pair.short)
        spent = f"{100 * self.pair.budget:g} % of the budget in {long}"
        return (
            f"{self.pair.severity.value}: burn rate above {self.factor:.4g} over {long} and {short} "
            f"(more than {100 * self.threshold:.4g} % bad; {self.lowered or spent})"
        )


@dataclass(frozen=True, slots=True)
class Alerts:
    """What alerts on an objective. `left_out` are sentences about pairs that are not among them.

    `absent_seconds`: the metric may be missing for so long, 1 % of the budget, before that is an alert of its own.
    """

    percent: float
    period: int
    alerts: tuple[BurnRateAlert, ...]
    left_out: tuple[str, ...]
    traffic: Traffic
    absent_seconds: int

    def of(self, severity: Severity) -> tuple[BurnRateAlert, ...]:
        """The alerts of one severity."""
        return tuple(alert for alert in self.alerts if alert.pair.severity is severity)


def bad_share(percent: float) -> float:
    """The error budget of an objective in percent, as a share: 99.9 gives 0.001 exactly as written."""
    return float((100 - Decimal(str(percent))) / 100)


def factor(pair: Pair, *, period: int) -> float:
    """The burn rate that spends `pair.budget` of the budget in the long window: budget x period / long window.

    30 d give 14.4, 6, 3 and 1; 28 d give 13.44, 5.6, 2.8 and 0.933. Source: The Site Reliability Workbook, chapter 5.
    """
    return pair.budget * period / pair.long


def burn_rate_alerts(percent: float, *, traffic: Traffic, period: int = PERIOD, pairs: Sequence[Pair] = PAIRS) -> Alerts:
    """The alerts on an objective of `percent` over `period` seconds.

    A pair whose threshold is all of the events or more can never fire: it is lowered to 90 % bad events, or left out where
    one with a shorter window has been lowered already. Raises ArtifactError for what is no objective or no period.
    """
    if not 0 < percent <= 100:
        raise ArtifactError(
            573, where="objective", what="out of range", got=percent, expected="above 0, up to 100 percent", fix="correct it"
        )
    if period < 1:
        raise ArtifactError(573, where="period", what="out of range", got=period, expected="1 s or more", fix="correct it")
    budget = bad_share(percent)
    kept: list[BurnRateAlert] = []
    left_out: list[str] = []
    for pair in pairs:
        alert, reason = _alert(pair, budget, period, lowered_before=any(a.lowered for a in kept))
        if alert:
            kept.append(alert)
        else:
            left_out.append(f"{pair.severity.value} over {duration(pair.long)} and {duration(pair.short)}: {reason}")
    absent = max(SHORTEST_ABSENCE, round(ABSENT_BUDGET * budget * period))
    return Alerts(percent, period, tuple(kept), tuple(left_out), traffic, absent)


def _alert(pair: Pair, budget: float, period: int, *, lowered_before: bool) -> tuple[BurnRateAlert | None, str]:
    if budget <= 0:
        return None, "an objective of 100 % has no error budget, so nothing can be spent too fast"
    if pair.long > period:
        return None, f"the window is longer than the period of {duration(period)}"
    burn = factor(pair, period=period)
    if burn * budget < 1 - TINY:
        return BurnRateAlert(pair, burn, burn * budget), ""
    reason = f"a burn rate of {burn:.4g} would take {100 * burn * budget:.4g} % bad events, so it could never fire"
    if lowered_before:
        return None, f"{reason}, and a lowered alert with a shorter window is there"
    return BurnRateAlert(pair, LOWERED_TO / budget, LOWERED_TO, f"lowered: {reason}"), ""


def fires(alert: BurnRateAlert, *, long: tuple[float, float], short: tuple[float, float], traffic: Traffic) -> bool:
    """Whether the alert fires on (bad, total) of its two windows."""
    enough = long[1] >= traffic.min_events and long[0] >= traffic.min_bad
    return enough and all(bad > alert.threshold * total for bad, total in (long, short))


def alerts_document(alerts: Alerts) -> dict[str, Any]:
    """The alerts as the SLO proposal holds them."""
    return {
        "objective_percent": alerts.percent,
        "period": duration(alerts.period),
        "alerts": [_document(alert) for alert in alerts.alerts],
        "left_out": list(alerts.left_out),
        "low_traffic_guard": {"min_events": alerts.traffic.min_events, "min_bad_events": alerts.traffic.min_bad, "window": "long"},
        "absent_after": duration(alerts.absent_seconds),
    }


def _document(alert: BurnRateAlert) -> Mapping[str, Any]:
    return {
        "severity": alert.pair.severity.value,
        "budget_percent": float(f"{100 * alert.pair.budget:.6g}"),
        "long_window": duration(alert.pair.long),
        "short_window": duration(alert.pair.short),
        "factor": float(f"{alert.factor:.6g}"),
        "bad_share_above": float(f"{alert.threshold:.6g}"),
        "lowered": alert.lowered,
        "words": alert.words,
    }
