"""Targets from a history: day-to-day variation, and availability that was kept."""

from __future__ import annotations

import math
import random

import pytest

from perfproof.slos.history import events_history
from perfproof.slos.targets import NICE_PERCENTS, availability_objective, daily_variation

DAY = 86_400


def test_the_variation_is_that_of_daily_medians() -> None:
    """Spikes within a day do not count, differences between days do."""
    times = [day * DAY + hour * 3600.0 for day in range(10) for hour in range(24)]
    steady = [100.0 if n % 24 else 900.0 for n in range(240)]
    assert daily_variation(times, steady) == 0
    moving = [90.0 if (n // 24) % 2 else 110.0 for n in range(240)]
    assert daily_variation(times, moving) == pytest.approx(0.1, rel=0.1)


def test_fewer_than_seven_days_tell_no_variation() -> None:
    """NaN days are no days."""
    times = [day * DAY + 1.0 for day in range(8)]
    assert daily_variation(times, [100.0] * 6 + [math.nan] * 2) is None
    assert daily_variation([], []) is None


def test_the_objective_is_the_largest_nice_one_that_was_kept() -> None:
    """Oracle: each window is added up again, and each nice value is tried."""
    generator = random.Random(3)
    hours = 24 * 30
    bad = [generator.choice([0, 0, 0, 1, 4]) for _ in range(hours)]
    history = events_history([3600.0 * (h + 1) for h in range(hours)], [1000 - b for b in bad], [1000] * hours)
    found = availability_objective(history, window=DAY)
    windows = [100 * (1 - sum(bad[h : h + 24]) / 24_000) for h in range(hours - 23)]
    kept = {percent: sum(w >= percent for w in windows) / len(windows) for percent in NICE_PERCENTS}
    assert found.percent == max(percent for percent, share in kept.items() if share >= 0.95)
    assert found.kept == pytest.approx(kept[found.percent]) and found.windows == len(windows)
    assert not found.proved and found.low is not None and found.low < 0.95


def test_sixty_days_without_a_failure_prove_it() -> None:
    """52 windows that do not overlap are what the interval needs."""
    hours = 24 * 60
    history = events_history([3600.0 * (h + 1) for h in range(hours)], [10] * hours, [10] * hours)
    found = availability_objective(history, window=DAY)
    assert found.percent == NICE_PERCENTS[-1] and found.proved


def test_no_objective_comes_from_nothing() -> None:
    """Too short, badly measured, or too bad."""
    short = events_history([3600.0, 7200.0], [1, 1], [1, 1])
    assert availability_objective(short, window=DAY).percent is None
    empty = events_history([3600.0 * h for h in range(1, 60)], [0] * 59, [0] * 59)
    assert "measured" in availability_objective(empty, window=DAY).reason
    bad = events_history([3600.0 * h for h in range(1, 60)], [1] * 59, [2] * 59)
    assert availability_objective(bad, window=DAY).percent is None
