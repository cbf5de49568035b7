"""Percentiles and their intervals against brute force, and the sample sizes that the judge quotes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import bdtr

from perfproof.statistics.percentiles import interval_ranks, percentile, percentile_interval, samples_beyond_maximum, smallest_sample


@pytest.mark.parametrize(("share", "needed"), [(0.5, 6), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_smallest_sample_with_a_finite_upper_end(share: float, needed: int) -> None:
    """72 for p95, 368 for p99, 3,688 for p99.9."""
    assert smallest_sample(share) == needed
    samples = list(range(needed))
    assert percentile_interval(samples, share).high is not None
    assert percentile_interval(samples[:-1], share).high is None


@pytest.mark.parametrize(("share", "needed"), [(0.95, 20), (0.99, 100), (0.5, 2)])
def test_fewer_samples_than_this_only_give_their_maximum(share: float, needed: int) -> None:
    """p95 of 20 is the 19th, of 19 the largest."""
    assert samples_beyond_maximum(share) == needed
    assert percentile(list(range(needed)), share) == needed - 2
    assert percentile(list(range(needed - 1)), share) == needed - 2


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_percentile_is_the_smallest_value_that_enough_do_not_exceed(samples: list[int], share: float) -> None:
    """The definition, by trying every value."""
    enough = [v for v in samples if sum(s <= v for s in samples) >= round(share * len(samples), 9)]
    assert percentile(sorted(samples), share) == min(enough)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=400), st.sampled_from([0.5, 0.95]))
def test_interval_holds_the_percentile(samples: list[int], share: float) -> None:
    """low <= value <= high wherever there is an end."""
    found = percentile_interval(samples, share)
    assert (found.low if found.low is not None else -math.inf) <= found.value
    assert found.value <= (found.high if found.high is not None else math.inf)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.sampled_from([0.5, 0.95, 0.99]), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_ranks_are_those_of_the_slow_way(samples: int, share: float, confidence: float) -> None:
    """Bisection finds what counting all probabilities finds, also where an end does not exist."""
    tail, below = (1 - confidence) / 2, [float(p) for p in bdtr(list(range(samples + 1)), samples, share)]
    low = sum(1 for p in below[:samples] if p <= tail)
    high = next((u for u in range(1, samples + 1) if 1 - below[u - 1] <= tail), None)
    assert interval_ranks(samples, share, confidence=confidence) == (low or None, high)


def test_coverage_of_p95_is_at_least_what_is_promised() -> None:
    """Over 1,000 samples of 200 skewed values the interval holds the true p95 in 95 % or more (two errors of slack)."""
    generator, true, hits = np.random.default_rng(11), math.exp(1.6448536), 0
    for _ in range(1000):
        found = percentile_interval(generator.lognormal(size=200).tolist(), 0.95)
        hits += (found.low or 0.0) <= true <= (found.high or math.inf)
    assert hits / 1000 >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / 1000)


@pytest.mark.parametrize("bad", [[], [1.0, math.nan]])
def test_no_percentile_of_nothing(bad: list[float]) -> None:
    """No samples and NaN are errors."""
    with pytest.raises(ValueError, match=r"samples|NaN"):
        percentile_interval(bad, 0.95)
