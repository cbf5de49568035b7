"""Whether values grow in the order they were taken, and how fast: Kendall's test and Theil and Sen's slope.

A median over blocks hides a leak: memory that grows by 1 % a block is inside any margin until it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, median

EXACT_UP_TO = 12


@dataclass(frozen=True, slots=True)
class Trend:
    """`slope` per step, the fitted value `at_end`, and `p`: how likely so steady a growth is without a trend."""

    slope: float
    at_end: float
    p: float


@cache
def _inversion_counts(n: int) -> tuple[int, ...]:
    counts = [1]
    for size in range(2, n + 1):
        counts = [sum(counts[max(0, i - size + 1) : i + 1]) for i in range(len(counts) + size - 1)]
    return tuple(counts)


def trend(values: Sequence[float]) -> Trend:
    """Trend of `values` in their order. p is one-sided, for growth; ties make it larger, never smaller.

    Sources: M. G. Kendall, Biometrika 30 (1938); P. K. Sen, Journal of the American Statistical Association 63 (1968).
    ValueError for fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise ValueError("a trend needs two values")
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    slope = median((values[j] - values[i]) / (j - i) for i, j in pairs)
    centre = median(v - slope * i for i, v in enumerate(values))
    rising = sum(1 for i, j in pairs if values[j] > values[i])
    falling = sum(1 for i, j in pairs if values[j] < values[i])
    score = rising - falling
    if n <= EXACT_UP_TO:
        discordant = (len(pairs) - score) // 2
        p = sum(_inversion_counts(n)[: discordant + 1]) / math.factorial(n)
    else:
        p = 1 - NormalDist().cdf((score - 1) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18))
    return Trend(slope, centre + slope * (n - 1), p)
