"""Growth from block to block against counting every order of the values."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.trend import trend


def concordance(values: tuple[float, ...]) -> int:
    """Kendall's score by its definition."""
    pairs = [(i, j) for i in range(len(values)) for j in range(i + 1, len(values))]
    return sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)


@given(st.one_of(st.lists(st.integers(0, 1000), min_size=2, max_size=6), st.lists(st.integers(0, 3), min_size=2, max_size=6)))
def test_p_is_the_share_of_orders_that_rise_as_much(values: list[int]) -> None:
    """All permutations, counted, with ties and without."""
    observed = concordance(tuple(map(float, values)))
    orders = [concordance(order) for order in permutations(map(float, values))]
    assert trend(values).p == pytest.approx(sum(s >= observed for s in orders) / len(orders))


def test_a_straight_line_is_found() -> None:
    """Slope and end of an exact line, and the smallest p that six values can have."""
    found = trend([67.0, 68.0, 69.0, 70.0, 71.0, 72.0])
    assert (found.slope, found.at_end) == (1.0, 72.0)
    assert found.p == pytest.approx(1 / 720)


def test_one_jump_is_not_a_trend_by_itself() -> None:
    """Flat with one outlier: the slope stays zero."""
    assert trend([5.0, 5.0, 5.0, 50.0, 5.0, 5.0]).slope == 0.0


def test_long_series_use_the_normal_approximation() -> None:
    """Twenty rising values are beyond doubt, twenty falling ones are no growth."""
    assert trend([float(i) for i in range(20)]).p < 1e-6
    assert trend([float(-i) for i in range(20)]).p > 0.999


def test_one_value_has_no_trend() -> None:
    """Two values are the least."""
    with pytest.raises(ValueError, match="two values"):
        trend([1.0])
