"""The pieces of the search against slow, obvious twins."""

from __future__ import annotations

import math
from itertools import permutations
from statistics import NormalDist, mean

import numpy as np
import pytest

from perfproof.change_points.dependence import inflation, remaining_resemblance
from perfproof.change_points.excursion import GROWTH, clearest_excursion
from perfproof.change_points.intervals import seeded_intervals
from perfproof.change_points.outliers import outliers
from perfproof.change_points.scores import row_scores, sum_of_squares
from perfproof.change_points.search import search
from perfproof.change_points.segmentation import sharpened
from perfproof.change_points.significance import p_after_search, strength_needed
from perfproof.change_points.split import best_splits


def slow_scores(values: list[float]) -> list[float]:
    """The mean over all ways to break ties of the normal quantile of rank / (n + 1)."""
    n = len(values)
    quantile = NormalDist().inv_cdf
    result = []
    for v in values:
        below = sum(1 for w in values if w < v)
        ranks = range(below + 1, below + sum(1 for w in values if w == v) + 1)
        result.append(mean(quantile(rank / (n + 1)) for rank in ranks))
    return result


def slow_u(scores: list[float], begin: int, end: int) -> float:
    """The likelihood ratio of a separate level in [begin, end), from the definition of explained squares."""
    n = len(scores)
    inside, outside = scores[begin:end], scores[:begin] + scores[end:]
    explained = len(inside) * mean(inside) ** 2 + len(outside) * mean(outside) ** 2
    total = sum(NormalDist().inv_cdf(r / (n + 1)) ** 2 for r in range(1, n + 1))
    freedom = n - 2
    share = min(explained / total, 1 - 1e-12)
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(-freedom * math.log(1 - share))


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_all_ways_to_break_ties(seed: int) -> None:
    """With and without ties, several rows at once."""
    rows = np.random.default_rng(seed).integers(0, 5 if seed % 2 else 1000, (3, 17)).astype(float)
    assert np.allclose(row_scores(rows), [slow_scores(row) for row in rows.tolist()])
    assert sum_of_squares(17) == pytest.approx(sum(s**2 for s in slow_scores(list(range(17)))))


@pytest.mark.parametrize("seed", range(20))
def test_the_best_split_is_the_best_of_all(seed: int) -> None:
    """Every place tried one by one."""
    values = np.random.default_rng(seed).integers(0, 6 if seed % 2 else 999, 25).astype(float)
    scores = slow_scores(values.tolist())
    every = {at: slow_u(scores, 0, at) for at in range(4, 22)}
    strong, at = best_splits(values[None, :], min_segment=4)
    assert strong[0] == pytest.approx(max(every.values()))
    assert every[int(at[0])] == pytest.approx(max(every.values()))


@pytest.mark.parametrize("seed", range(10))
def test_the_clearest_excursion_is_the_best_of_its_lengths(seed: int) -> None:
    """Every place of every length that grows by a quarter."""
    values = np.random.default_rng(seed).normal(size=30)
    scores, lengths, size = slow_scores(values.tolist()), [], 4.0
    while int(size) <= 22:
        lengths.append(int(size))
        size = max(size + 1, size * GROWTH)
    every = [slow_u(scores, begin, begin + width) for width in lengths for begin in range(4, 30 - 4 - width + 1)]
    found = clearest_excursion(values, min_segment=4)
    assert found is not None
    assert found[2] == pytest.approx(max(every)) == pytest.approx(slow_u(scores, found[0], found[1]))
    assert clearest_excursion(values[:11], min_segment=4) is None


def test_strength_is_close_to_the_exact_permutation_test() -> None:
    """4 against 4, all apart: 2 of 70 orders are as clear, and u says about that."""
    order = list(permutations((0, 0, 0, 0, 1, 1, 1, 1)))
    exact = 2 / (len(order) / (math.factorial(4) ** 2))
    u = best_splits(np.arange(8.0)[None, :], min_segment=4)[0][0]
    assert 0.1 < 2 * (1 - NormalDist().cdf(u)) / exact < 1.5


def test_intervals_cover_every_place_at_every_length() -> None:
    """And their lengths add up to n log n."""
    for n in (8, 20, 333, 2000):
        total = 0
        for size, starts in seeded_intervals(n, shortest=8):
            total += size * len(starts)
            assert starts[0] == 0 and starts[-1] == n - size
            assert np.all(np.diff(starts) <= max(1, size * 0.75))
        assert total <= 5 * n * math.log2(n)


@pytest.mark.parametrize("n", [14, 40, 160, 320])
def test_the_null_of_the_whole_search_stays_below_the_formula(n: int) -> None:
    """Of 1,000 searches without a change no more than the formula allows (with four deviations of the count)."""
    generator = np.random.default_rng(n)
    strongest = np.array([search(generator.random(n), min_segment=4).strength.max() for _ in range(1000)])
    for alpha in (0.05, 0.01):
        count = int(np.sum(strongest >= strength_needed(alpha, length=n)))
        assert count <= 1000 * alpha + 4 * math.sqrt(1000 * alpha)


def test_p_and_the_strength_needed_are_inverse() -> None:
    """What is needed for 1 % has a p of 1 %."""
    for n in (10, 100, 5000):
        assert p_after_search(strength_needed(0.01, length=n), length=n) == pytest.approx(0.01)


def test_autocorrelation_is_found_beside_changes() -> None:
    """Of 0.5, with a step that is known, about 0.5 is left; of none, none."""
    generator = np.random.default_rng(8)
    values = generator.normal(size=2000)
    assert remaining_resemblance(values, [0, 2000]) < 0.06
    for i in range(1, 2000):
        values[i] += 0.5 * values[i - 1]
    values[1000:] += 30
    assert remaining_resemblance(values, [0, 1000, 2000]) == pytest.approx(0.5, abs=0.06)
    assert remaining_resemblance(values[:29], [0, 29]) == 0.0
    assert inflation(0.5) == pytest.approx(math.sqrt(3))


def test_outliers_are_judged_in_their_own_regime() -> None:
    """A value of the other level is one; the level itself is not."""
    values = np.array([1.0, 1.1, 0.9, 1.0, 5.0, 1.05, 0.95, 5.0, 5.1, 4.9, 5.0, 5.1, 1.0])
    assert outliers(values, [0, 7, 13]) == [4, 12]
    assert outliers(np.array([2.0, 2.0, 2.0, 2.0]), [0, 4]) == []


@pytest.mark.parametrize("seed", range(10))
def test_sharpening_ends_at_the_least_cost_of_two_levels(seed: int) -> None:
    """Every place tried one by one against the medians of the answer."""
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.normal(0, 1, 25), generator.normal(5, 1, 8)])
    at = sharpened(values, 20, min_segment=4)
    low, high = np.median(values[:at]), np.median(values[at:])
    cost = {t: np.abs(values[:t] - low).sum() + np.abs(values[t:] - high).sum() for t in range(4, 30)}
    assert cost[at] == pytest.approx(min(cost.values()))
    assert at == 25
