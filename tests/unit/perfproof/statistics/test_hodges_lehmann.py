"""The shift against its definition, and its interval against the test that it inverts."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.hodges_lehmann import shift

values = st.lists(st.integers(-1000, 1000).map(float), min_size=4, max_size=6)
distinct = st.lists(st.integers(-(10**6), 10**6).map(float), min_size=4, max_size=5, unique=True)


def exact_two_sided_p(before: list[float], after: list[float]) -> float:
    """Oracle: the permutation p of Mann and Whitney's test, by all relabellings of the ranks."""
    m, pooled = len(before), sorted([*before, *after])
    ranks = {v: i for i, v in enumerate(pooled)}
    observed = sum(1 for x in before for y in after if y > x)
    outcomes = []
    for chosen in combinations(range(len(pooled)), m):
        rest = [r for r in range(len(pooled)) if r not in chosen]
        outcomes.append(sum(1 for a in chosen for b in rest if b > a))
    assert len(ranks) == len(pooled)
    low = sum(1 for u in outcomes if u <= observed) / len(outcomes)
    high = sum(1 for u in outcomes if u >= observed) / len(outcomes)
    return min(1.0, 2 * min(low, high))


@given(values, values)
def test_estimate_is_the_median_of_all_differences(before: list[float], after: list[float]) -> None:
    """The definition, in the plainest code."""
    assert shift(before, after, confidence=0.95).estimate == pytest.approx(median(y - x for x in before for y in after))


@given(distinct, distinct, st.floats(-3e6, 3e6))
def test_interval_holds_exactly_the_shifts_that_the_test_does_not_reject(before: list[float], after: list[float], candidate: float) -> None:
    """A shift inside the interval gives p > 5 % when it is taken away, one outside gives p <= 5 %."""
    found = shift(before, after, confidence=0.95)
    moved = [y - candidate for y in after]
    if len({*before, *moved}) < len(before) + len(moved):
        return
    inside = found.low < candidate < found.high
    assert inside == (exact_two_sided_p(before, moved) > 0.05)


@given(values, values, st.randoms(use_true_random=False))
def test_order_of_blocks_does_not_matter(before: list[float], after: list[float], shuffler: object) -> None:
    """The same blocks in another order give the same figures to the last bit."""
    x, y = list(before), list(after)
    shuffler.shuffle(x)  # type: ignore[attr-defined]
    shuffler.shuffle(y)  # type: ignore[attr-defined]
    assert shift(x, y, confidence=0.95) == shift(before, after, confidence=0.95)


@given(values, values)
def test_swapping_the_sides_mirrors_the_interval(before: list[float], after: list[float]) -> None:
    """What is a gain one way is the same loss the other way."""
    there, back = shift(before, after, confidence=0.95), shift(after, before, confidence=0.95)
    assert (back.estimate, back.low, back.high) == (-there.estimate, -there.high, -there.low)


def test_three_a_side_have_no_finite_interval() -> None:
    """Too few values give an estimate and infinite ends, never a narrow guess."""
    found = shift([1, 2, 3], [11, 12, 13], confidence=0.95)
    assert (found.estimate, found.low, found.high) == (10.0, -math.inf, math.inf)


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_empty_or_not_finite_sides_are_refused(bad: list[float]) -> None:
    """NaN would sort somewhere and give an answer; it must not."""
    with pytest.raises(ValueError, match="finite"):
        shift(bad, [1.0, 2.0], confidence=0.95)


@pytest.mark.parametrize(("m", "n"), [(4, 4), (6, 6), (15, 14)])
def test_coverage_is_at_least_what_is_promised(m: int, n: int) -> None:
    """Over 2,000 pairs of skewed samples with a known shift the interval holds it in 95 % or more (two errors of slack)."""
    generator, hits, rounds = np.random.default_rng(m * 100 + n), 0, 2000
    for _ in range(rounds):
        found = shift(generator.gamma(2, size=m).tolist(), (generator.gamma(2, size=n) + 0.7).tolist(), confidence=0.95)
        hits += found.low <= 0.7 <= found.high
    assert hits / rounds >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / rounds)
