"""What other gates get wrong, each under its own name, and what is answered here.

The holes of Keptn's and Kayenta's rules, judged by those rules, are in imported_rules; this is perfproof's own judge.
"""

from __future__ import annotations

import math

import numpy as np

from perfproof.change_points import Rules, find_changes
from perfproof.comparison import GuardLabel, GuardVerdict, TargetLabel, judge_error_rate, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.load.block_latencies import block_latencies
from perfproof.load.rows import make_rows
from perfproof.telemetry import Direction, Unit

LOWER = Direction.LOWER


def guard(before: list[float], after: list[float]) -> GuardVerdict:
    return judge_guard("m", Unit.MILLISECONDS, LOWER, before, after, margin=0.05, floor=0.0, confidence=0.95, mode=Mode.PROVED)


def draws(seed: int, length: int, *, spread: float, level: float = 100.0) -> list[float]:
    return np.random.default_rng(seed).normal(level, spread, length).tolist()


def test_no_significant_difference_is_not_no_regression() -> None:
    """Kayenta, asv, benchstat and Otava pass this: four noisy runs a side that say nothing."""
    assert guard([100.0, 130, 80, 110], [105.0, 90, 140, 120]).label is GuardLabel.INCONCLUSIVE


def test_nothing_measured_is_not_a_pass() -> None:
    """Kayenta scores no data 100, Keptn meets a criterion without history."""
    for before, after in (([], []), ([100.0] * 8, []), ([], [100.0] * 8), ([100.0] * 8, [math.nan] * 8)):
        assert guard(before, after).label is GuardLabel.INCONCLUSIVE


def test_growth_from_zero_is_a_regression() -> None:
    """Kayenta's ratio to zero is no number and passes."""
    assert guard([0.0] * 8, [5.0, 6, 7, 5, 6, 7, 5, 6]).label is GuardLabel.REGRESSION


def test_sparse_errors_are_judged_as_counts() -> None:
    """Ranks of mostly zeros see nothing: 1 error in 8,000 becomes 160."""
    before, after = [(0, 1000)] * 7 + [(1, 1000)], [(20, 1000)] * 8
    verdict = judge_error_rate("errors", before=before, after=after, floor_points=0.5, confidence=0.95)
    assert verdict.label is GuardLabel.REGRESSION
    few = judge_error_rate("errors", before=[(0, 20)] * 4, after=[(0, 20)] * 4, floor_points=0.5, confidence=0.95)
    assert few.label is GuardLabel.INCONCLUSIVE


def test_a_spread_that_grows_is_said() -> None:
    """A test of the level passes it without a word."""
    verdict = guard(draws(4, 12, spread=1), draws(5, 12, spread=15))
    assert verdict.label is GuardLabel.INCONCLUSIVE and "vary" in verdict.reason


def test_a_single_pair_proves_nothing() -> None:
    """Relative thresholds of Keptn or k6 decide on one run a side."""
    verdict = judge_target("m", Unit.MILLISECONDS, LOWER, [100.0], [50.0], threshold_percent=15.0, mode=Mode.PROVED)
    assert verdict.label is TargetLabel.INCONCLUSIVE and verdict.runs_needed > 0


def test_searching_for_the_best_split_is_paid_for() -> None:
    """Otava computes p as if the best split had been chosen before: its 0.001 alarms in every second stationary series."""
    anything = Rules(min_change=0.0, min_effect=0.0)
    alarmed = sum(bool(find_changes(draws(seed, 300, spread=5), direction=LOWER, rules=anything).changes) for seed in range(200))
    assert alarmed <= 8


def test_missing_values_are_not_filled_with_the_last_one() -> None:
    """Otava repeats the last value: 25 equal ones in a row would look like a level of their own."""
    values = draws(7, 60, spread=5)
    result = find_changes([*values[:30], *[math.nan] * 25, *values[30:]], direction=LOWER)
    assert (result.changes, result.missing) == ((), 25)


def test_latencies_are_not_rounded_before_the_percentile() -> None:
    """Locust rounds to two digits: 147 and 153 ms both become 150."""
    starts = [i / 10 for i in range(200)]
    p95 = [
        block_latencies(
            make_rows(intended_start=starts, start=starts, end=[s + t for s in starts], status=[200] * 200, transaction=["t"] * 200),
            name="p95",
            seconds=None,
            where="rows",
        )[0]
        for t in (0.147, 0.153)
    ]
    assert [round(value, 3) for value in p95] == [147.0, 153.0]
