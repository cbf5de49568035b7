"""How figures are written: in full where a gate recounts them, rounded for people, and never rounded onto a threshold."""

from __future__ import annotations

import math

import pytest

from perfproof.judging.documents import interval, number, rounded


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (14.996, 20.001, (14.99, 20.01)),
        (15.0, 15.0, (15.0, 15.0)),
        (14.999999999999998, 28.999999999999996, (15.0, 29.0)),
        (-3.141, -0.001, (-3.15, 0.0)),
        (-math.inf, math.inf, (None, None)),
        (None, None, (None, None)),
    ],
)
def test_interval_ends_are_rounded_outwards(low: float | None, high: float | None, expected: tuple[float | None, float | None]) -> None:
    """A lower end of 14.996 must not read 15; noise in the last binary digit is not an end short of 15."""
    found = interval(low, high)
    assert (found["ci_low"], found["ci_high"]) == expected
    assert "-0.0" not in repr(found)


def test_measured_values_are_written_in_full() -> None:
    """450 without a decimal point, the rest as measured, nothing for what is not finite."""
    assert [repr(number(v)) for v in (450.0, 0.1, math.nan, None)] == ["450", "0.1", "None", "None"]


def test_percentages_are_rounded_for_people() -> None:
    """Two decimals, no minus zero, no infinity."""
    assert [rounded(v) for v in (12.3456, -0.001, math.inf)] == [12.35, 0.0, None]
    assert repr(rounded(-0.001)) == "0.0"
