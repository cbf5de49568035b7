"""Changes of level: found where they are, called what they are, and not found where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.change_points import Kind, Rules, fewest_values, find_changes, last_stable_segment
from perfproof.telemetry import Direction

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
ANY = Rules(min_change=0.0, min_effect=0.0)


def noise(length: int, *, seed: int, spread: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, spread, length)


def steps(*levels: tuple[float, int], seed: int = 1, spread: float = 2.0) -> np.ndarray:
    return np.concatenate([np.full(count, level) for level, count in levels]) + noise(sum(c for _, c in levels), seed=seed, spread=spread)


def found(values: object, *, direction: Direction = LOWER, rules: Rules | None = None) -> list[int]:
    return [change.index for change in find_changes(values, direction=direction, rules=rules).changes]


def test_a_step_is_found_at_the_first_value_of_the_new_level() -> None:
    """And with the medians of both sides, the change in percent and a small p."""
    change = find_changes(steps((0, 40), (20, 30)), direction=LOWER).changes[0]
    assert change.index == 40
    assert change.kind is Kind.REGRESSION
    assert change.before == pytest.approx(100, abs=1) and change.after == pytest.approx(120, abs=1)
    assert change.percent == pytest.approx(20, abs=2)
    assert change.p < 1e-6 and change.effect == 1.0


def test_up_and_down_again_are_two_changes() -> None:
    """A short excursion does not hide behind equal levels before and after it."""
    assert found(steps((0, 50), (20, 10), (0, 90), (20, 50))) == [50, 60, 150]


def test_the_last_five_values_can_be_a_new_regime() -> None:
    """An alarm must not wait for as many values as there are before."""
    assert found(steps((0, 100), (30, 5))) == [100]


def test_a_short_regime_does_not_draw_in_its_neighbours() -> None:
    """The first value of an excursion of ten is found, not the highest value before it."""
    for seed in range(20):
        assert found(steps((0, 50), (20, 10), (0, 90), seed=seed)) == [50, 60]


def test_a_step_between_constant_levels_is_found() -> None:
    """There is no noise to compare with, and none is needed."""
    assert found([5.0] * 20 + [6.0] * 20) == [20]


def test_constant_short_and_empty_series_have_no_change() -> None:
    """Neither is an error."""
    for values in ([], [1.0], [1.0] * 500, [0.0] * 30, [1.0, 2.0, 1.0, 2.0, 9.0, 9.0, 9.0]):
        assert found(values, rules=ANY) == []


def test_single_outliers_are_named_and_are_no_change() -> None:
    """Not even several of them, next to each other."""
    values = noise(120, seed=3)
    values[[20, 60, 61, 119]] = 500
    result = find_changes(values, direction=LOWER)
    assert result.changes == ()
    assert {20, 60, 61, 119} <= set(result.outliers)


def test_missing_values_are_left_out_and_indices_stay() -> None:
    """NaN and infinities are no measurement, and are never filled in."""
    values = steps((0, 40), (20, 40)).tolist()
    gaps = values[:10] + [math.nan] * 7 + values[10:40] + [math.inf] + values[40:]
    result = find_changes(gaps, direction=LOWER)
    assert [c.index for c in result.changes] == [48]
    assert result.missing == 8


def test_the_direction_tells_regression_from_improvement() -> None:
    """More is worse for latency and better for throughput."""
    values = steps((0, 40), (20, 40), (0, 40))
    kinds = {d: [c.kind for c in find_changes(values, direction=d).changes] for d in Direction}
    assert kinds[LOWER] == [Kind.REGRESSION, Kind.IMPROVEMENT]
    assert kinds[HIGHER] == [Kind.IMPROVEMENT, Kind.REGRESSION]


def test_a_change_below_the_smallest_one_that_matters_is_not_reported() -> None:
    """1 % is real, and nobody acts on it; whoever does says so."""
    values = steps((0, 60), (1, 60), spread=0.1)
    assert found(values) == []
    assert found(values, rules=Rules(min_change=0.005)) == [60]


def test_a_change_from_zero_has_no_share_and_is_still_found() -> None:
    """Queries that were not there before."""
    change = find_changes([0.0] * 20 + [3.0] * 20, direction=LOWER).changes[0]
    assert change.index == 20 and math.isinf(change.percent)


def test_negative_values_keep_their_order() -> None:
    """From -20 to -10 is up."""
    change = find_changes(np.full(60, -120.0) + np.repeat([0.0, 10.0], 30) + noise(60, seed=2) - 100, direction=LOWER).changes[0]
    assert change.kind is Kind.REGRESSION and change.percent > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.001, 1000.0), st.integers(20, 60), st.integers(20, 60))
def test_scale_does_not_matter(seed: int, factor: float, left: int, right: int) -> None:
    """Milliseconds or seconds, the change is the same."""
    values = np.round(steps((0, left), (12, right), seed=seed), 3)
    assert found(values * factor) == found(values)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-500.0, 500.0))
def test_shift_does_not_matter_without_a_smallest_share(seed: int, by: float) -> None:
    """Only the order of the values decides where a change is."""
    values = np.round(steps((0, 40), (8, 40), seed=seed), 3)
    assert found(values + by, rules=ANY) == found(values, rules=ANY)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_upside_down_gives_the_same_places_and_the_other_kinds(seed: int) -> None:
    """Up and down are treated alike."""
    values = steps((0, 40), (12, 30), (0, 30), seed=seed)
    up, down = (find_changes(v, direction=LOWER, rules=ANY).changes for v in (values, 200 - values))
    assert [c.index for c in up] == [c.index for c in down]
    assert all(a.kind is not b.kind for a, b in zip(up, down, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_clear_step_is_found_from_either_end_of_time(seed: int) -> None:
    """Reversed, the first value of the new regime is the last of the old one. One seed of some hundreds shows noise as a change too."""
    values = steps((0, 40), (30, 50), seed=seed)
    assert 40 in found(values)
    assert 50 in found(values[::-1])


def test_the_same_values_give_the_same_answer() -> None:
    """Nothing is drawn at random."""
    values = steps((0, 100), (5, 100), (9, 30), seed=9)
    assert find_changes(values, direction=LOWER) == find_changes(values.copy(), direction=LOWER)


def autocorrelated(generator: np.random.Generator, length: int, share: float) -> np.ndarray:
    fresh = generator.normal(size=length + 50)
    for i in range(1, len(fresh)):
        fresh[i] += share * fresh[i - 1]
    return fresh[50:]


SHAPES = ("normal", "log-normal", "heavy tails", "two modes", "counts", "autocorrelated 0.3", "autocorrelated 0.6")


@pytest.mark.parametrize(("shape", "length"), [(s, n) for s in SHAPES for n in (20, 60, 200) if n >= 30 or not s.startswith("auto")])
def test_false_alarms_stay_at_the_stated_rate(shape: str, length: int) -> None:
    """Without any smallest change: at most 1 % of series; more than 8 of 200 is what 1 % gives once in 4,000."""
    generator = np.random.default_rng(length)
    draw = {
        "normal": lambda: generator.normal(size=length),
        "log-normal": lambda: generator.lognormal(0, 0.5, length),
        "heavy tails": lambda: generator.standard_t(1.5, length),
        "two modes": lambda: generator.choice([0.0, 6.0], length) + generator.normal(size=length),
        "counts": lambda: generator.poisson(0.7, length).astype(float),
        "autocorrelated 0.3": lambda: autocorrelated(generator, length, 0.3),
        "autocorrelated 0.6": lambda: autocorrelated(generator, length, 0.6),
    }[shape]
    # Fewer than 30 values are taken as independent, so of dependent ones only longer series are held to a rate, of 2 %.
    allowed = 12 if shape.startswith("auto") else 8
    assert sum(1 for _ in range(200) if found(draw(), rules=ANY)) <= allowed


def test_a_step_of_three_deviations_is_found_almost_always() -> None:
    """Within 5 values, in 20 before and 20 after."""
    hits = sum(any(abs(at - 20) <= 5 for at in found(steps((0, 20), (6, 20), seed=seed))) for seed in range(100))
    assert hits >= 95


def test_the_last_stable_segment_begins_at_the_last_change() -> None:
    """And is everything if nothing changed; indices are those of the given values."""
    values = steps((0, 30), (20, 30), (0, 20)).tolist()
    assert last_stable_segment([math.nan, *values]) == range(61, 81)
    assert last_stable_segment(noise(30, seed=4)) == range(30)
    assert last_stable_segment([]) == range(0)


def test_the_fewest_values_are_just_enough() -> None:
    """Two levels far apart: found in so many values, not in one fewer."""
    fewest = fewest_values(Rules())
    for count, expected in ((fewest, 1), (fewest - 1, 0)):
        values = [1.0 + i / 1000 for i in range(count // 2)] + [9.0 + i / 1000 for i in range(count - count // 2)]
        assert len(found(values)) == expected


def test_values_of_any_size_are_searched() -> None:
    """The largest and the smallest that a float can hold, without a warning."""
    with np.errstate(all="raise", under="ignore"):
        change = find_changes([1e308] * 20 + [-1e308] * 20, direction=LOWER).changes[0]
        assert (change.index, change.before, change.after) == (20, 1e308, -1e308)
        assert found([1e-320] * 20 + [2e-320] * 20) == [20]
        assert found([1e-300, 1e300] * 20) == []
