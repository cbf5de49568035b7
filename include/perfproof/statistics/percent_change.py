"""Percentages as people work them out on paper: exact on the decimal digits of the values, rounded once at the end.

Binary floats make 85 of 100 an improvement of 15 % but 0.085 of 0.1 one of 14.999999999999986 %. A threshold that passes
or fails a change must not depend on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from perfproof.telemetry import Direction


def exact(value: float) -> Fraction:
    """The number that the shortest decimal writing of `value` names. NaN and infinities are a ValueError."""
    return Fraction(repr(float(value)))


def exact_median(values: Sequence[float]) -> Fraction:
    """The middle value, or the mean of the two middle values. ValueError if there are none."""
    ordered = sorted(exact(v) for v in values)
    if not ordered:
        raise ValueError("no values")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def improvement(before: Fraction, after: Fraction, direction: Direction) -> Fraction | None:
    """Improvement in percent of `before`, negative if it got worse. None if `before` is zero: a share of nothing."""
    if before == 0:
        return None
    return direction.sign * (after - before) / abs(before) * 100


def one_decimal(percent: Fraction) -> float:
    """`percent` to one decimal, halves away from zero: 28.888… is 28.9."""
    digits = Decimal(percent.numerator) / Decimal(percent.denominator)
    return float(digits.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)) + 0.0


def as_number(value: Fraction) -> int | float:
    """`value` for a JSON document: 450, not 450.0."""
    return int(value) if value.denominator == 1 else float(value)
