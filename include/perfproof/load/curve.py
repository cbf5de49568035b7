"""A rate that changes while load runs: points `(second, requests/s)` joined by straight lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, ...]
MAX_POINTS = 1000


def problem_of(curve: Sequence[Point]) -> str | None:
    """What is wrong with the points of a curve, or None."""
    if not 2 <= len(curve) <= MAX_POINTS or any(len(point) != 2 for point in curve):
        return f"a curve has 2 to {MAX_POINTS} points of two numbers, [second, requests/s]"
    if not all(math.isfinite(value) and value >= 0 for point in curve for value in point):
        return "seconds and rates are finite and not negative"
    if curve[0][0] != 0 or any(before[0] >= after[0] for before, after in pairwise(curve)):
        return "the first point is at second 0, and the seconds rise"
    if not expected_requests(curve) >= 1:
        return "less than one request in all"
    return None


def expected_requests(curve: Sequence[Point]) -> float:
    """The area below the curve: how many requests it asks for."""
    return math.fsum((after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in pairwise(curve))


def highest(curve: Sequence[Point]) -> float:
    """The highest rate of the curve."""
    return max(point[1] for point in curve)


def scaled(curve: Sequence[Point], factor: float) -> tuple[Point, ...]:
    """The curve with each rate multiplied by `factor`."""
    return tuple((second, rate * factor) for second, rate in curve)


def moments(curve: Sequence[Point], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The second by which each of `shares` (0 to 1) of the curve's requests is due.

    Uniform shares give the arrivals of a Poisson process with this rate (inverse of its cumulated rate): within a piece that
    rises from r0 by k a second, the area a is reached after 2a / (r0 + sqrt(r0² + 2ka)) seconds.
    """
    points = np.asarray(curve, dtype=np.float64)
    seconds, rates = points[:, 0], points[:, 1]
    lengths = np.diff(seconds)
    areas = np.concatenate(([0.0], np.cumsum(lengths * (rates[:-1] + rates[1:]) / 2)))
    wanted = shares * areas[-1]
    piece = np.clip(np.searchsorted(areas, wanted, side="right") - 1, 0, len(lengths) - 1)
    left = wanted - areas[piece]
    first, slope = rates[piece], (np.diff(rates) / lengths)[piece]
    divisor = first + np.sqrt(np.maximum(first**2 + 2 * slope * left, 0.0))
    into = np.divide(2 * left, divisor, out=np.zeros_like(left), where=divisor > 0)
    due: NDArray[np.float64] = seconds[piece] + np.minimum(into, lengths[piece])
    return due
