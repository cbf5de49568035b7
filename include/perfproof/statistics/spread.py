"""Whether two samples differ in how much they vary, whatever their location: Brown and Forsythe's test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """`ratio` of the mean distances from the median, after by before, and the two-sided `p` that they are the same."""

    ratio: float
    p: float


def spread_change(before: Sequence[float], after: Sequence[float]) -> Spread:
    """How the spread changed. p is 1 and the ratio 1 where neither side varies; ValueError for fewer than 2 values a side.

    The F test of the distances from the medians. Source: M. B. Brown and A. B. Forsythe, Journal of the American
    Statistical Association 69 (1974). With few values a side it is conservative.
    """
    from scipy.special import fdtrc

    if len(before) < 2 or len(after) < 2:
        raise ValueError("a spread needs two values a side")
    sides = [[abs(v - median(side)) for v in side] for side in (before, after)]
    means = [math.fsum(side) / len(side) for side in sides]
    if means[0] == means[1]:
        return Spread(1.0, 1.0)
    total = len(before) + len(after)
    grand = math.fsum(v for side in sides for v in side) / total
    between = math.fsum(len(side) * (mean - grand) ** 2 for side, mean in zip(sides, means, strict=True))
    within = math.fsum((v - mean) ** 2 for side, mean in zip(sides, means, strict=True) for v in side)
    p = float(fdtrc(1, total - 2, between / within * (total - 2))) if within > 0 else 0.0
    return Spread(means[1] / means[0] if means[0] > 0 else math.inf, p)
