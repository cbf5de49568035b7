"""Pairs: Wilcoxon's distribution against all ways to sign the ranks, and the interval of Walsh averages."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.hodges_lehmann import paired_shift, shift
from perfproof.statistics.signed_rank import achieved_confidence, chance_of_positive, interval_rank, null_counts, smallest_pairs

numbers = st.lists(st.integers(-1000, 1000).map(lambda v: v / 8), min_size=1, max_size=9)
pairs = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=6, max_size=12)


def sums(n: int) -> list[int]:
    """The positive rank sum of every way to sign 1…n."""
    return [sum(rank for rank, sign in zip(range(1, n + 1), signs, strict=True) if sign) for signs in product((0, 1), repeat=n)]


@pytest.mark.parametrize("n", range(1, 11))
def test_counts_are_those_of_all_ways_to_sign(n: int) -> None:
    """Up to ten pairs, every one of the 2^n ways counted."""
    every = sums(n)
    assert list(null_counts(n)) == [every.count(total) for total in range(n * (n + 1) // 2 + 1)]


@given(numbers)
def test_p_is_never_smaller_than_that_of_all_signs(differences: list[float]) -> None:
    """The share of sign changes with as many positive Walsh averages: equal without ties and zeros, smaller otherwise."""
    n = len(differences)

    def positive(values: list[float]) -> int:
        return sum(1 for i in range(n) for j in range(i, n) if values[i] + values[j] > 0)

    observed = positive(differences)
    oracle = sum(
        positive([s * abs(d) for s, d in zip(signs, differences, strict=True)]) >= observed for signs in product((-1, 1), repeat=n)
    )
    p = chance_of_positive(differences)
    assert p >= oracle / 2**n - 1e-12
    if len({abs(d) for d in differences} | {0.0}) == n + 1:
        assert p == pytest.approx(oracle / 2**n)


def test_rank_and_level_of_the_interval() -> None:
    """6 pairs are the fewest at 95 % and 8 at 99 %; the level is what the discrete distribution gives."""
    assert (smallest_pairs(0.95), smallest_pairs(0.99)) == (6, 8)
    assert [interval_rank(n, confidence=0.95) for n in (0, 5, 6, 8, 12)] == [0, 0, 1, 4, 14]
    for n in (6, 8, 10):
        rank, every = interval_rank(n, confidence=0.95), sums(n)
        assert achieved_confidence(n, rank, confidence=0.95) == pytest.approx(1 - 2 * sum(s < rank for s in every) / 2**n)
    assert achieved_confidence(40, 200, confidence=0.95) == 0.95


def test_many_pairs_use_the_normal_distribution_without_a_jump() -> None:
    """25 and 26 pairs have neighbouring ranks and nearly the same p."""
    assert 0 < interval_rank(26, confidence=0.95) - interval_rank(25, confidence=0.95) < 15
    drawn = np.random.default_rng(1).normal(0.3, 1, 26).tolist()
    assert chance_of_positive(drawn) == pytest.approx(chance_of_positive(drawn[:25]), abs=0.1)
    assert chance_of_positive([]) == 1.0


@given(pairs, st.integers(-500, 500), st.sampled_from([0.25, 2.0, 1024.0]))
def test_paired_shift_moves_and_scales_with_the_values(rows: list[tuple[int, int]], move: int, factor: float) -> None:
    """A constant added to one side is added to estimate and ends; a factor multiplies them."""
    x, y = [float(a) for a, _ in rows], [float(b) for _, b in rows]
    here = paired_shift(x, y, confidence=0.95)
    moved = paired_shift(x, [v + move for v in y], confidence=0.95)
    large = paired_shift([factor * v for v in x], [factor * v for v in y], confidence=0.95)
    assert (moved.estimate, moved.low, moved.high) == pytest.approx((here.estimate + move, here.low + move, here.high + move))
    assert (large.estimate, large.low, large.high) == pytest.approx((factor * here.estimate, factor * here.low, factor * here.high))


@given(pairs, st.randoms(use_true_random=False))
def test_paired_shift_ignores_the_order_of_pairs_and_mirrors(rows: list[tuple[int, int]], shuffler: object) -> None:
    """The same pairs in another order give the same bytes; before and after exchanged turn the sign."""
    other = list(rows)
    shuffler.shuffle(other)  # type: ignore[attr-defined]
    sides = [([float(a) for a, _ in r], [float(b) for _, b in r]) for r in (rows, other)]
    assert repr(paired_shift(*sides[0], confidence=0.95)) == repr(paired_shift(*sides[1], confidence=0.95))
    back = paired_shift(sides[0][1], sides[0][0], confidence=0.95)
    here = paired_shift(*sides[0], confidence=0.95)
    assert (back.estimate, back.low, back.high) == pytest.approx((-here.estimate, -here.high, -here.low))


def test_a_common_drift_cancels_in_pairs_only() -> None:
    """Twelve pairs on a slope: the interval of pairs covers as stated and is less than half as wide as that of the sides."""
    generator, covered, widths = np.random.default_rng(2), 0, [0.0, 0.0]
    for _ in range(300):
        drift = np.linspace(0, 3, 12)
        x, y = (drift + generator.normal(0, 0.5, 12)).tolist(), (drift + generator.normal(0, 0.5, 12)).tolist()
        paired, apart = paired_shift(x, y, confidence=0.95), shift(x, y, confidence=0.95)
        covered += paired.low <= 0 <= paired.high
        widths[0] += paired.high - paired.low
        widths[1] += apart.high - apart.low
    assert 0.92 <= covered / 300 <= 0.985
    assert widths[0] < 0.55 * widths[1]


def test_unequal_sides_are_no_pairs() -> None:
    """Five values cannot be paired with six."""
    with pytest.raises(ValueError, match="as many values"):
        paired_shift([1.0] * 5, [1.0] * 6, confidence=0.95)
