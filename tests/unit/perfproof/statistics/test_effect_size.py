"""A12 and Cliff's delta against their definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.effect_size import cliffs_delta, probability_larger

side = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8)


@given(side, side)
def test_the_two_directions_and_the_ties_make_a_whole(before: list[float], after: list[float]) -> None:
    """P(after larger) + P(before larger) is 1 when ties count half."""
    assert probability_larger(before, after) + probability_larger(after, before) == pytest.approx(1)


def test_separated_and_equal_sides() -> None:
    """All smaller is -1, all equal is 0."""
    assert cliffs_delta([5, 6], [1, 2]) == -1
    assert cliffs_delta([1, 1], [1, 1]) == 0
    assert probability_larger([1], [2]) == 1


def test_nothing_to_compare_is_an_error() -> None:
    """An empty side has no effect size."""
    with pytest.raises(ValueError, match="both sides"):
        cliffs_delta([], [1.0])
