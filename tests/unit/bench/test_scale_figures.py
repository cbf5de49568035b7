"""The figures of the scale benchmarks: a percentile or an exponent that flatters would be worse than none."""

from __future__ import annotations

import math
import random
from pathlib import Path
from types import ModuleType

import pytest
from modules import load

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """bench/scale_figures.py, which is in no package."""
    return load("scale_figures", BENCH / "scale_figures.py")


def test_a_quantile_is_a_measured_value_that_the_share_does_not_exceed(figures: ModuleType) -> None:
    """Against counting, for every number of values: never between two values, never below the share."""
    drawn = random.Random(3)
    for count in range(1, 40):
        values = [drawn.random() for _ in range(count)]
        for share in (0.5, 0.95, 1.0):
            found = figures.quantile(values, share)
            assert found in values
            assert sum(value <= found for value in values) >= share * count
            assert sum(value < found for value in values) < share * count
    assert math.isnan(figures.quantile([], 0.5))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_is_the_power_that_a_curve_was_made_of(figures: ModuleType, power: float) -> None:
    """Whatever its factor is; one size has none."""
    timings = [figures.Timing(size, 0.003 * size**power, 0.001) for size in (100, 1_000, 4_000, 8_760)]
    assert figures.exponent(timings) == pytest.approx(power, abs=1e-9)
    assert math.isnan(figures.exponent(timings[:1]))


def test_the_ratio_is_to_the_floor_of_the_same_size(figures: ModuleType) -> None:
    """The table shows that of the largest size; without a floor it is infinite, not zero."""
    assert figures.Timing(10, 0.6, 0.2).ratio == pytest.approx(3)
    assert figures.Timing(10, 0.6, 0.0).ratio == math.inf
    text = figures.growth_table([("joined", "bare reads", [figures.Timing(1_000, 0.5, 0.1), figures.Timing(100, 0.2, 0.1)])])
    assert "| joined | 200.0 | 500.0 | n^0.40 | bare reads | 100.0 | 5.0 |" in text


def test_a_median_is_taken_of_what_the_clock_says(figures: ModuleType) -> None:
    """One slow call of three does not decide."""
    moments = iter([0.0, 1.0, 10.0, 12.0, 20.0, 29.0])
    assert figures.took(lambda: None, times=3, clock=lambda: next(moments)) == 2.0
