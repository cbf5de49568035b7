"""Percentages to the digit: the spec's samples, and thresholds that binary floats would miss."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.percent_change import as_number, exact, exact_median, improvement, one_decimal
from perfproof.telemetry import Direction


def gained(before: float, after: float, direction: Direction = Direction.LOWER) -> Fraction:
    """Improvement that must exist."""
    change = improvement(exact(before), exact(after), direction)
    assert change is not None
    return change


@pytest.mark.parametrize(("before", "after", "percent"), [(450, 320, 28.9), (450, 420, 6.7), (75, 88, -17.3), (100, 100, 0.0)])
def test_samples_of_the_specification(before: float, after: float, percent: float) -> None:
    """28.9, 6.7 and 17.3 as the spec writes them."""
    assert one_decimal(gained(before, after)) == percent


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.085), (0.7, 0.595), (1.1, 0.935), (123.456, 104.9376), (1e-7, 8.5e-8)])
def test_fifteen_percent_is_fifteen_whatever_the_decimals(before: float, after: float) -> None:
    """Each pair is 15 % on paper and some are not in binary."""
    assert gained(before, after) == 15


def test_higher_is_better_turns_the_sign() -> None:
    """100 to 120 req/s is 20 % better, 100 to 80 is 20 % worse."""
    assert gained(100, 120, Direction.HIGHER) == 20
    assert gained(100, 80, Direction.HIGHER) == -20


def test_no_share_of_zero() -> None:
    """A zero baseline has no percentage."""
    assert improvement(exact(0), exact(3), Direction.LOWER) is None


@pytest.mark.parametrize(("value", "expected"), [("0.05", 0.1), ("-0.05", -0.1), ("14.949", 14.9), ("14.95", 15.0), ("-0.04", 0.0)])
def test_halves_round_away_from_zero(value: str, expected: float) -> None:
    """As on paper; and never minus zero."""
    rounded = one_decimal(Fraction(value))
    assert rounded == expected
    assert str(rounded) == str(expected)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=9))
def test_median_has_as_many_values_on_either_side(values: list[int]) -> None:
    """The definition: at most half below, at most half above."""
    middle = exact_median(values)
    assert sum(v < middle for v in values) * 2 <= len(values)
    assert sum(v > middle for v in values) * 2 <= len(values)


def test_median_of_two_is_exact() -> None:
    """(0.1 + 0.2) / 2 is 0.15, not 0.15000000000000002."""
    assert exact_median([0.2, 0.1]) == Fraction("0.15")
    with pytest.raises(ValueError, match="no values"):
        exact_median([])


def test_whole_numbers_have_no_decimal_point() -> None:
    """A report says 450, as the sample does."""
    assert repr(as_number(exact(450.0))) == "450"
    assert repr(as_number(exact(0.5))) == "0.5"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite_is_no_number(bad: float) -> None:
    """Nothing is worked out from NaN."""
    with pytest.raises(ValueError, match="Fraction"):
        exact(bad)
