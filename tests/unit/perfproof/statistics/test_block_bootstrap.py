"""Ratio of percentiles from raw samples: the resampling against an obvious one, coverage, and the same bytes every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.statistics.block_bootstrap import STRETCH, _Side, percentile_ratio
from perfproof.statistics.percentiles import percentile

blocks = st.lists(st.lists(st.integers(1, 500).map(float), min_size=1, max_size=40), min_size=1, max_size=5)


def drawn(generator: np.random.Generator, count: int, *, size: int = 200, between: float = 0.1) -> list[list[float]]:
    """Blocks of lognormal latencies that differ among each other."""
    return [generator.lognormal(generator.normal(0, between), 0.5, size).tolist() for _ in range(count)]


@given(blocks, st.sampled_from([0.5, 0.9, 0.95]), st.data())
def test_weighted_percentile_is_that_of_repeated_samples(side: list[list[float]], share: float, data: st.DataObject) -> None:
    """Each block as often as it was drawn, all samples in one sorted list, nearest rank."""
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(side), max_size=len(side)).filter(any))
    repeated = sorted(v for block, count in zip(side, times, strict=True) for v in block * count)
    assert _Side(side).percentile(np.array([times], dtype=float), share)[0] == percentile(repeated, share)


def test_weighted_percentile_of_many_samples() -> None:
    """More samples than one stretch of the search, at both ends of it."""
    side = drawn(np.random.default_rng(1), 3, size=STRETCH)
    for share in (0.001, 0.5, 0.999):
        found = _Side(side).percentile(np.array([[1.0, 0.0, 2.0]]), share)[0]
        assert found == percentile(sorted([*side[0], *side[2], *side[2]]), share)


@pytest.mark.parametrize("count", [4, 8])
def test_interval_covers_about_as_often_as_it_says(count: int) -> None:
    """250 pairs of identical code with blocks that differ: 95 % nominal, 91 to 99 % counted."""
    generator, covered = np.random.default_rng(count), 0
    for _ in range(250):
        found = percentile_ratio(drawn(generator, count), drawn(generator, count), 0.95, resamples=400)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1 <= found.high
    assert 0.91 <= covered / 250 <= 0.99


def test_a_real_change_is_found() -> None:
    """1.5 times as slow in eight blocks a side: the interval holds 1.5 and excludes 1."""
    generator = np.random.default_rng(7)
    before = drawn(generator, 8)
    after = [[1.5 * v for v in block] for block in drawn(generator, 8)]
    found = percentile_ratio(before, after, 0.95)
    assert found.low is not None
    assert found.high is not None
    assert 1 < found.low < 1.5 < found.high


def test_same_inputs_same_bytes_whatever_the_order_within_a_block() -> None:
    """Samples of a block are a set; the seed is made of the inputs, so another input has other draws."""
    generator = np.random.default_rng(3)
    before, after = drawn(generator, 5), drawn(generator, 5)
    here = percentile_ratio(before, after, 0.9)
    assert repr(percentile_ratio([sorted(b) for b in before], after, 0.9)) == repr(here)
    assert repr(percentile_ratio(before, after, 0.9, resamples=2001)) != repr(here)


@settings(max_examples=15)
@given(st.integers(1, 1000), st.sampled_from([0.25, 2.0, 1024.0]))
def test_unit_and_direction(seed: int, factor: float) -> None:
    """Seconds or milliseconds: the same ratio, and nearly the same interval (other inputs, other draws). Sides exchanged: inverse."""
    generator = np.random.default_rng(seed)
    before, after = drawn(generator, 6, size=60), drawn(generator, 6, size=60)
    here = percentile_ratio(before, after, 0.9)
    there = percentile_ratio([[factor * v for v in b] for b in before], [[factor * v for v in b] for b in after], 0.9)
    back = percentile_ratio(after, before, 0.9)
    assert None not in (here.low, here.high, there.low, there.high, back.low, back.high)
    assert there.ratio == pytest.approx(here.ratio)
    assert back.ratio == pytest.approx(1 / here.ratio)
    assert math.log(there.low or 1) == pytest.approx(math.log(here.low or 1), abs=0.15)
    assert math.log(back.high or 1) == pytest.approx(-math.log(here.low or 1), abs=0.15)


@pytest.mark.parametrize(("count", "size", "word"), [(3, 100, "3 blocks"), (4, 19, "19 samples")])
def test_too_little_has_no_interval_and_says_why(count: int, size: int, word: str) -> None:
    """Three blocks, or blocks whose p95 is only their largest value."""
    side = drawn(np.random.default_rng(1), count, size=size)
    found = percentile_ratio(side, side, 0.95)
    assert (found.low, found.high, found.ratio) == (None, None, 1.0)
    assert word in (found.reason or "")


@pytest.mark.parametrize("bad", [[], [[]], [[1.0, math.nan]], [[0.0, 1.0]], [[math.inf]]])
def test_what_is_no_sample_is_refused(bad: list[list[float]]) -> None:
    """Empty sides and blocks, missing and impossible values."""
    with pytest.raises(ValueError, match="finite positive samples"):
        percentile_ratio(bad, [[1.0]], 0.95)
