"""Blocks needed: the figures of the textbook formula, and a simulation that the promised power is there."""

from __future__ import annotations

import math
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.hodges_lehmann import shift
from perfproof.statistics.sample_size import MOST_BLOCKS, blocks_to_decide, more_blocks_to_decide, pooled_deviation


def test_equal_sides_pool_to_the_mean_variance() -> None:
    """With equal counts the pooled variance is the mean of the two."""
    x, y = [1.0, 2.0, 4.0, 8.0], [3.0, 3.5, 9.0, 1.0]
    assert pooled_deviation(x, y) == pytest.approx(math.sqrt((stdev(x) ** 2 + stdev(y) ** 2) / 2))


def test_no_spread_can_be_seen_in_single_values() -> None:
    """One value a side has no degrees of freedom."""
    assert pooled_deviation([1.0], [2.0]) == 0.0


@pytest.mark.parametrize(("deviation", "power_needed"), [(0.1, 0.8), (0.2, 0.8)])
def test_promised_power_is_reached(deviation: float, power_needed: float) -> None:
    """With as many blocks as advised, 400 simulated comparisons exclude the distant value in about 80 % or more."""
    distance = 0.16
    blocks, generator, hits = blocks_to_decide(deviation, distance, confidence=0.95), np.random.default_rng(3), 0
    for _ in range(400):
        found = shift(
            generator.normal(0, deviation, blocks).tolist(), generator.normal(distance, deviation, blocks).tolist(), confidence=0.95
        )
        hits += found.low > 0
    assert hits / 400 >= power_needed - 0.06


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_more_noise_never_needs_fewer_blocks(deviation: float, distance: float) -> None:
    """Monotone in the noise and against the distance."""
    needed = blocks_to_decide(deviation, distance, confidence=0.95)
    assert blocks_to_decide(deviation * 1.5, distance, confidence=0.95) >= needed
    assert blocks_to_decide(deviation, distance * 1.5, confidence=0.95) <= needed


def test_answers_are_bounded() -> None:
    """An estimate right on the threshold would need infinitely many; at least one more is asked for otherwise."""
    assert blocks_to_decide(0.1, 0.0, confidence=0.95) == MOST_BLOCKS
    assert blocks_to_decide(0.0, 0.0, confidence=0.95) == 1
    assert more_blocks_to_decide(0.001, 1.0, have=6, confidence=0.95) == 1
