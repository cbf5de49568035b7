"""What the alerts would have done: a replay over a history, for one objective. Too little history is "not shown", never fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfproof.slos.burn_rates import Alerts, BurnRateAlert, Severity, bad_share
from perfproof.slos.history import History
from perfproof.slos.promql import duration

MIN_COVERAGE = 0.9
DAY = 86_400
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, from `start` to `end` in seconds since the epoch."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Detection:
    """Seconds from the begin of an incident to the first alert of each severity; None: none fired during it.

    `reason` says why nothing can be told; the seconds are then None as well.
    """

    incident: str
    page_after: float | None
    ticket_after: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class BackTest:
    """The replay of the alerts. Counts are None where they are not shown; `reasons` say why, in sentences.

    A count is of episodes: an alert of the severity begins to fire after none did. `firing_seconds` is how long it did.
    """

    alerts: Alerts
    days: float
    steps: int
    gaps: int
    dropped: int
    pages: int | None
    tickets: int | None
    firing_seconds: dict[str, float]
    budget_left: float | None
    detections: tuple[Detection, ...]
    reasons: tuple[str, ...]

    @property
    def shown(self) -> bool:
        """Whether the history tells anything about pages or tickets."""
        return self.pages is not None or self.tickets is not None


def back_test(history: History, *, alerts: Alerts, incidents: Sequence[Incident] = ()) -> BackTest:
    """The replay of `alerts` at the end of each step of `history`, as Prometheus would with what the history holds.

    A gap adds nothing to any window. An alert whose short window is shorter than a step, or whose long window is longer than the
    history, cannot be replayed; a severity with such an alert is not shown, since its count would be too small.
    """
    unusable = _unusable(history)
    reasons = list(unusable)
    replay = _Replay(history, alerts)
    flags: dict[Severity, Flags] = {}
    whole: dict[Severity, bool] = {}
    for severity in Severity:
        flags[severity], lacking = replay.firing(severity)
        whole[severity] = not lacking and not unusable
        reasons += lacking if history.steps else []
    left, reason = (None, None) if not history.steps else _budget_left(history, alerts)
    if reason:
        reasons.append(reason)
    counts = {severity: _episodes(flags[severity]) if whole[severity] else None for severity in Severity}
    return BackTest(
        alerts=alerts,
        days=history.seconds / DAY,
        steps=len(history.steps),
        gaps=history.gaps,
        dropped=history.dropped,
        pages=counts[Severity.PAGE],
        tickets=counts[Severity.TICKET],
        firing_seconds={s.value: float(flags[s].sum()) * history.step for s in Severity if whole[s]},
        budget_left=left,
        detections=tuple(_detection(incident, history, flags, whole) for incident in incidents),
        reasons=tuple(dict.fromkeys(reasons)),
    )


def _unusable(history: History) -> list[str]:
    if not history.steps:
        return ["there is no history"]
    coverage = len(history.steps) / history.length
    if coverage < MIN_COVERAGE:
        return [f"only {100 * coverage:.0f} % of the history is measured; {100 * MIN_COVERAGE:.0f} % are needed"]
    return []


class _Replay:
    """Sums of the history up to each step, so that a window of any length is one difference."""

    def __init__(self, history: History, alerts: Alerts) -> None:
        self.history = history
        self.alerts = alerts
        places = np.asarray(history.steps, dtype=np.int64)
        self.bad, self.total = (np.zeros(history.length + 1) for _ in range(2))
        for sums, counts in ((self.bad, history.bad), (self.total, history.total)):
            sums[places + 1] = counts
            np.cumsum(sums, out=sums)

    def firing(self, severity: Severity) -> tuple[Flags, list[str]]:
        """Whether any alert of the severity fires at the end of each step, and why some cannot be replayed."""
        found = np.zeros(self.history.length, dtype=np.bool_)
        lacking = []
        alerts = self.alerts.of(severity)
        if not alerts:
            lacking.append(f"no {severity.value} is defined for this objective")
        for alert in alerts:
            reason = self._lacking(alert)
            if reason:
                lacking.append(f"{severity.value} over {duration(alert.pair.long)} and {duration(alert.pair.short)}: {reason}")
            else:
                found |= self._fires(alert)
        return found, lacking

    def _lacking(self, alert: BurnRateAlert) -> str | None:
        if alert.pair.short < self.history.step:
            return f"the history has one value in {self.history.step:g} s, which is longer than the short window"
        if alert.pair.long > self.history.seconds:
            return f"the history is {self.history.seconds / DAY:.1f} days long, which is shorter than the long window"
        return None

    def _fires(self, alert: BurnRateAlert) -> Flags:
        (long_bad, long_total), (short_bad, short_total) = (self._window(seconds) for seconds in (alert.pair.long, alert.pair.short))
        traffic = self.alerts.traffic
        burning = (long_bad > alert.threshold * long_total) & (short_bad > alert.threshold * short_total)
        flags: Flags = burning & (long_total >= traffic.min_events) & (long_bad >= traffic.min_bad)
        return flags

    def _window(self, seconds: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        size = int(seconds / self.history.step + 1e-9)
        ends = np.arange(1, self.history.length + 1)
        begins = np.maximum(0, ends - size)
        return self.bad[ends] - self.bad[begins], self.total[ends] - self.total[begins]


def _episodes(flags: Flags) -> int:
    if not len(flags):
        return 0
    return int(flags[0]) + int(np.count_nonzero(flags[1:] & ~flags[:-1]))


def _budget_left(history: History, alerts: Alerts) -> tuple[float | None, str | None]:
    """The share of the budget that is left at the end of the last period of the history; negative: overspent."""
    if history.seconds < alerts.period:
        days, period = history.seconds / DAY, alerts.period / DAY
        return None, f"budget left: the history is {days:.1f} days long, the period {period:g} days"
    budget = bad_share(alerts.percent)
    begin = history.length - int(alerts.period / history.step + 1e-9)
    inside = [(bad, total) for place, bad, total in zip(history.steps, history.bad, history.total, strict=True) if place >= begin]
    if len(inside) < MIN_COVERAGE * (history.length - begin):
        return None, f"budget left: less than {100 * MIN_COVERAGE:.0f} % of the last period is measured"
    total = sum(t for _, t in inside)
    if total <= 0:
        return None, "budget left: there were no events in the last period"
    share = sum(b for b, _ in inside) / total
    if budget <= 0:
        return (0.0, None) if share == 0 else (None, "budget left: an objective of 100 % has no budget, and some events were bad")
    return 1 - share / budget, None


def _detection(incident: Incident, history: History, flags: dict[Severity, Flags], whole: dict[Severity, bool]) -> Detection:
    if not history.steps or incident.start < history.start or incident.end > history.start + history.seconds:
        return Detection(incident.name, None, None, "not within the history")
    first = int((incident.start - history.start) / history.step)
    last = int(-(-(incident.end - history.start) // history.step))
    if not any(first <= place < last for place in history.steps):
        return Detection(incident.name, None, None, "nothing was measured during it")
    after: dict[Severity, float | None] = {}
    for severity in Severity:
        during = np.flatnonzero(flags[severity][first:last])
        end = history.start + (first + int(during[0]) + 1) * history.step if len(during) else None
        after[severity] = None if end is None else max(0.0, end - incident.start)
    unknown = [severity.value for severity in Severity if after[severity] is None and not whole[severity]]
    reason = f"{' and '.join(unknown)}: not shown" if unknown else None
    return Detection(incident.name, after[Severity.PAGE], after[Severity.TICKET], reason)


def back_test_document(result: BackTest) -> dict[str, Any]:
    """The back-test as the SLO proposal holds it; what is not shown is null, with the reason beside it."""
    return {
        "status": "shown" if result.shown else "not shown",
        "objective_percent": result.alerts.percent,
        "days": round(result.days, 3),
        "steps_measured": result.steps,
        "gaps": result.gaps,
        "dropped": result.dropped,
        "pages": result.pages,
        "tickets": result.tickets,
        "firing_seconds": dict(result.firing_seconds),
        "budget_left_percent": None if result.budget_left is None else round(100 * result.budget_left, 3),
        "detections": [
            {
                "incident": d.incident,
                "page_after_seconds": d.page_after,
                "ticket_after_seconds": d.ticket_after,
                "not_shown": d.reason,
            }
            for d in result.detections
        ],
        "not_shown": list(result.reasons),
    }


def back_test_words(result: BackTest) -> list[str]:
    """The back-test as lines for people."""
    if not result.shown:
        return [f"back-test: not shown ({'; '.join(result.reasons)})"]
    told = ", ".join(
        f"{word}: {'not shown' if count is None else count}" for word, count in (("pages", result.pages), ("tickets", result.tickets))
    )
    left = "not shown" if result.budget_left is None else f"{100 * result.budget_left:.1f} %"
    lines = [
        f"back-test over {result.days:.1f} days ({result.steps} steps, {result.gaps} gaps, {result.dropped} readings dropped): "
        f"{told}, budget left: {left}"
    ]
    lines += [f"not shown: {reason}" for reason in result.reasons]
    for d in result.detections:
        seen = ", ".join(f"{word} {_after(after)}" for word, after in (("page", d.page_after), ("ticket", d.ticket_after)))
        lines.append(f"incident {d.incident}: {seen}{f' ({d.reason})' if d.reason else ''}")
    return lines


def _after(seconds: float | None) -> str:
    return "none" if seconds is None else f"after {seconds:.0f} s"
