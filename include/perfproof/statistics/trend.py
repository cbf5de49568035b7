"""Whether values grow in the order they were taken, and how fast: Kendall's test and Theil and Sen's slope.

A median over blocks hides a leak: memory that grows by 1 % a block is inside any margin until it is not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from perfproof.statistics.mann_whitney import null_counts

EXACT_UP_TO = 12


@dataclass(frozen=True, slots=True)
class Trend:
    """`slope` per step, the fitted value `at_end`, and `p`: how likely so steady a growth is without a trend."""

    slope: float
    at_end: float
    p: float


def _falling_pairs(groups: Sequence[int]) -> list[int]:
    """How many orders of values, `groups` of which are tied, have 0, 1, … falling pairs.

    The coefficients of the Gaussian multinomial, built group by group of Gaussian binomials.
    """
    counts, before = [1], 0
    for size in groups:
        step = null_counts(before, size) if before else (1,)
        longer = [0] * (len(counts) + len(step) - 1)
        for i, left in enumerate(counts):
            for j, right in enumerate(step):
                longer[i + j] += left * right
        counts, before = longer, before + size
    return counts


def trend(values: Sequence[float]) -> Trend:
    """Trend of `values` in their order. p is one-sided, for growth, and exact with ties too up to 12 values.

    Sources: M. G. Kendall, Biometrika 30 (1938); P. K. Sen, Journal of the American Statistical Association 63 (1968).
    ValueError for fewer than 2 values.
    """
    n = len(values)
    if n < 2:
        raise ValueError("a trend needs two values")
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    slope = median((values[j] - values[i]) / (j - i) for i, j in pairs)
    centre = median(v - slope * i for i, v in enumerate(values))
    falling = sum(1 for i, j in pairs if values[j] < values[i])
    if n <= EXACT_UP_TO:
        counts = _falling_pairs(sorted(Counter(values).values()))
        p = sum(counts[: falling + 1]) / sum(counts)
    else:
        # Without the correction for ties, which would make p smaller.
        score = sum(1 for i, j in pairs if values[j] > values[i]) - falling
        p = 1 - NormalDist().cdf((score - 1) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18))
    return Trend(slope, centre + slope * (n - 1), p)
