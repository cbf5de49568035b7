"""What a history says about targets: how much a metric varies from day to day, and which availability was kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfproof.slos.backtest import MIN_COVERAGE
from perfproof.slos.history import History
from perfproof.statistics.counts import wilson

DAY = 86_400
FEWEST_DAYS = 7
NICE_PERCENTS = (90.0, 95.0, 97.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99, 99.999)
KEPT_IN = 0.95
# One-sided 95 %.
CONFIDENCE = 0.90


def daily_variation(times: Sequence[float], values: Sequence[float]) -> float | None:
    """The coefficient of variation of the daily medians (days of UTC), None with fewer than 7 days.

    Source: judge.md, section 5: the headroom of a latency target is max(5 %, 2 x this).
    """
    days: dict[int, list[float]] = {}
    for moment, value in zip(times, values, strict=True):
        if math.isfinite(moment) and math.isfinite(value):
            days.setdefault(math.floor(moment / DAY), []).append(value)
    medians = [statistics.median(found) for found in days.values()]
    if len(medians) < FEWEST_DAYS:
        return None
    mean = statistics.fmean(medians)
    return statistics.stdev(medians) / mean if mean > 0 else None


@dataclass(frozen=True, slots=True)
class Availability:
    """The largest nice objective that was kept in 95 % of the rolling windows; `percent` is None if none was.

    `kept` is the share of the windows in which it was. `low` is the lower end of its one-sided 95 % interval, which counts windows that
    do not overlap; `proved`: that end reaches 95 % too.
    """

    percent: float | None
    kept: float | None
    low: float | None
    windows: int
    proved: bool
    reason: str


def availability_objective(history: History, *, window: int = DAY) -> Availability:
    """The availability that `history` supports, in rolling windows of `window` seconds, moved by one step each.

    A window of which less than 90 % is measured, or without events, is none. NaN is never a pass.
    """
    size = int(window / history.step + 1e-9)
    if size < 1 or history.length < size:
        return Availability(None, None, None, 0, False, "the history is shorter than one window")
    places = np.asarray(history.steps, dtype=np.int64)
    bad, total, measured = (np.zeros(history.length + 1) for _ in range(3))
    for sums, counts in ((bad, history.bad), (total, history.total), (measured, np.ones(len(places)))):
        sums[places + 1] = counts
        np.cumsum(sums, out=sums)
    inside_bad, inside_total, inside = (sums[size:] - sums[:-size] for sums in (bad, total, measured))
    usable = (inside >= MIN_COVERAGE * size) & (inside_total > 0)
    if not usable.any():
        return Availability(None, None, None, 0, False, "no window is measured well enough")
    shares = 100 * (1 - inside_bad[usable] / inside_total[usable])
    apart = max(1, int(usable.sum()) // size)
    for percent in reversed(NICE_PERCENTS):
        kept = float(np.mean(shares >= percent - 1e-9))
        if kept >= KEPT_IN:
            low = wilson(kept * apart, apart, confidence=CONFIDENCE).low
            told = f"{percent:g} % was kept in {100 * kept:.1f} % of the windows ({apart} that do not overlap)"
            return Availability(percent, kept, low, len(shares), low >= KEPT_IN, told)
    return Availability(None, None, None, len(shares), False, f"not even {NICE_PERCENTS[0]:g} % was kept in 95 % of the windows")
