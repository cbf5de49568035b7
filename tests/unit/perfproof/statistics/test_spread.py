"""Whether noise changed: Brown and Forsythe's test against SciPy's, and what it must not depend on."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import levene

from perfproof.statistics.spread import spread_change

sides = st.lists(st.integers(0, 1000).map(float), min_size=3, max_size=10)


@given(sides, sides)
def test_p_is_that_of_the_textbook(before: list[float], after: list[float]) -> None:
    """SciPy's Levene test about the medians."""
    # Where all distances of a side are the same, SciPy's statistic can be 0 / 0.
    distances = [{abs(v - median(s)) for v in s} for s in (before, after)]
    assume(all(len(d) > 1 for d in distances))
    assert spread_change(before, after).p == pytest.approx(float(levene(before, after, center="median").pvalue), abs=1e-9)


@given(sides, sides, st.integers(-300, 300), st.sampled_from([0.25, 2.0, 1024.0]))
def test_shift_scale_order_and_sides(before: list[float], after: list[float], move: int, factor: float) -> None:
    """Moving a side, another unit or another order change nothing; exchanging the sides inverts the ratio."""
    here = spread_change(before, after)
    assert spread_change([v + move for v in before], after).p == pytest.approx(here.p)
    assert spread_change([v * factor for v in before], [v * factor for v in after]).p == pytest.approx(here.p)
    assert spread_change(before[::-1], sorted(after)) == here
    back = spread_change(after, before)
    assert back.p == pytest.approx(here.p)
    if 0 < here.ratio < math.inf:
        assert back.ratio == pytest.approx(1 / here.ratio)


def test_constants_do_not_differ_and_a_constant_side_does() -> None:
    """Two constants have the same spread, none."""
    assert spread_change([1.0] * 4, [2.0] * 4).p == 1.0
    assert spread_change([0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]).p == 1.0
    assert spread_change([0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 8.0, 8.0]).p == 0.0
    found = spread_change([1.0] * 8, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    assert found.ratio == math.inf
    assert found.p < 0.01


def test_single_values_have_no_spread() -> None:
    """One value a side is refused."""
    with pytest.raises(ValueError, match="two values"):
        spread_change([1.0], [1.0, 2.0])
