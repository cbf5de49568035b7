"""The null distribution of U against counting every arrangement, and the intervals and p values that follow from it."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.mann_whitney import chance_of_larger, interval_rank, null_counts, smallest_side


def arrangements(m: int, n: int) -> Counter[int]:
    """Oracle: U of every way to give m of the ranks 0…m+n-1 to the first side."""
    counts: Counter[int] = Counter()
    for first in combinations(range(m + n), m):
        second = [r for r in range(m + n) if r not in first]
        counts[sum(1 for a in first for b in second if b > a)] += 1
    return counts


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 5), (2, 3), (4, 4), (5, 3), (6, 6)])
def test_null_counts_are_those_of_all_arrangements(m: int, n: int) -> None:
    """The generating function gives what counting gives."""
    counted = arrangements(m, n)
    assert list(null_counts(m, n)) == [counted[u] for u in range(m * n + 1)]


@pytest.mark.parametrize(("confidence", "expected"), [(0.8, 3), (0.9, 3), (0.95, 4), (0.99, 5), (0.999, 7)])
def test_smallest_side_is_the_first_with_a_small_enough_smallest_p(confidence: float, expected: int) -> None:
    """At 95 % it takes 4 a side, because 3 a side never get below p = 0.1."""
    assert smallest_side(confidence) == expected


def test_no_interval_below_the_smallest_side() -> None:
    """Three values a side have no interval at 95 %, four have one."""
    assert interval_rank([1, 2, 3], [4, 5, 6], confidence=0.95) == 0
    assert interval_rank([1, 2, 3, 4], [5, 6, 7, 8], confidence=0.95) == 1
    assert interval_rank([], [1.0], confidence=0.95) == 0


@pytest.mark.parametrize(("m", "n"), [(4, 4), (5, 7), (6, 6), (8, 5)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_exact_rank_is_the_largest_that_keeps_the_confidence(m: int, n: int, confidence: float) -> None:
    """Rank k leaves at most half the error outside on each side, k + 1 leaves more (by counting arrangements)."""
    counted = arrangements(m, n)
    total, tail = sum(counted.values()), (1 - confidence) / 2 + 1e-12
    rank = interval_rank([0.0] * m, [0.0] * n, confidence=confidence)
    assert sum(counted[u] for u in range(rank)) / total <= tail
    assert sum(counted[u] for u in range(rank + 1)) / total > tail


def test_normal_rank_is_near_the_exact_one_where_both_exist() -> None:
    """Beyond 12 values the approximation takes over without a jump: for 13 by 12 it is within one rank of the exact answer."""
    m, n = 13, 12
    counts, total, below = null_counts(m, n), sum(null_counts(m, n)), 0
    exact_rank = 0
    for count in counts:
        below += count
        if below > total * 0.025:
            break
        exact_rank += 1
    assert abs(interval_rank(list(range(m)), list(range(n)), confidence=0.95) - exact_rank) <= 1


def test_ties_within_a_side_never_widen_the_large_sample_interval() -> None:
    """Half the values tied: the rank moves inwards, because the statistic varies less."""
    tied = [float(i // 5) for i in range(30)]
    assert interval_rank(tied, tied, confidence=0.95) >= interval_rank(list(range(30)), list(range(30)), confidence=0.95)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
)
def test_p_is_never_below_the_permutation_p(before: list[int], after: list[int]) -> None:
    """With ties the exact permutation p of the same statistic is at most what is reported, so no claim is made too easily."""
    pooled = [*before, *after]
    observed = sum(1 for x in before for y in after if y > x)
    hits = total = 0
    for chosen in combinations(range(len(pooled)), len(before)):
        x = [pooled[i] for i in chosen]
        y = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        hits += sum(1 for a in x for b in y if b > a) >= observed
        total += 1
    assert chance_of_larger(before, after) >= hits / total - 1e-12


def test_p_of_separated_sides_is_one_over_all_arrangements() -> None:
    """Four below four: 1 of 70."""
    assert chance_of_larger([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(1 / 70)
    assert chance_of_larger([5, 6, 7, 8], [1, 2, 3, 4]) == 1.0
    assert chance_of_larger([], [1.0]) == 1.0


def test_large_sample_p_follows_a_simulation() -> None:
    """20 against 20 with heavy ties: the normal p is near the share of random relabellings that are as extreme."""
    generator = np.random.default_rng(7)
    before, after = generator.integers(0, 6, 20), generator.integers(0, 6, 20) + (generator.random(20) < 0.4)

    def statistic(x: np.ndarray, y: np.ndarray) -> float:
        return float((y[:, None] > x[None, :]).sum() + 0.5 * (y[:, None] == x[None, :]).sum())

    observed, pooled, hits = statistic(before, after), np.concatenate([before, after]), 0
    for _ in range(4000):
        mixed = generator.permutation(pooled)
        hits += statistic(mixed[:20], mixed[20:]) >= observed
    assert chance_of_larger(before.tolist(), after.tolist()) == pytest.approx(hits / 4000, abs=0.02)


def test_p_of_many_equal_values_is_one() -> None:
    """Nothing differs, so nothing is larger."""
    assert chance_of_larger([3.0] * 20, [3.0] * 20) == 1.0
