"""The null distribution of Wilcoxon's signed rank sum, for blocks that were measured in pairs.

Exact up to 25 pairs by counting the sums of subsets of 1…n, normal beyond. Source: F. Wilcoxon, Biometrics Bulletin 1
(1945); the interval: J. W. Tukey's Walsh averages, in J. L. Hodges and E. L. Lehmann, Annals of Mathematical Statistics 34 (1963).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from statistics import NormalDist

EXACT_UP_TO = 25
_ROUNDING = 1e-12


@cache
def null_counts(n: int) -> tuple[int, ...]:
    """In how many of the 2^n ways to sign the ranks 1…n the positive ones add up to 0, 1, …, n(n+1)/2."""
    counts = [1]
    for rank in range(1, n + 1):
        longer = counts + [0] * rank
        for total, ways in enumerate(counts):
            longer[total + rank] += ways
        counts = longer
    return tuple(counts)


@cache
def _cumulative(n: int) -> tuple[int, ...]:
    return tuple(accumulate(null_counts(n)))


def interval_rank(n: int, *, confidence: float) -> int:
    """The k for which the k-th smallest and k-th largest Walsh averages bound the shift. 0: too few pairs."""
    tail = (1 - confidence) / 2
    if n <= EXACT_UP_TO:
        allowed = tail * 2**n * (1 + _ROUNDING)
        return sum(1 for count in _cumulative(n) if count <= allowed) if n else 0
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(0, math.floor(n * (n + 1) / 4 - NormalDist().inv_cdf(1 - tail) * deviation + 0.5))


def achieved_confidence(n: int, rank: int, *, confidence: float) -> float:
    """The exact confidence of the interval of `rank`; `confidence` itself where the normal distribution stands in."""
    if rank < 1 or n > EXACT_UP_TO:
        return confidence
    return 1 - 2 * _cumulative(n)[rank - 1] / float(2**n)


def chance_of_positive(differences: Sequence[float]) -> float:
    """One-sided p: how likely so large a positive rank sum is if the differences are symmetric about 0. 1.0 without any.

    Counted over Walsh averages, as the interval is; an average of 0 counts as not positive, so p is never too small.
    """
    n = len(differences)
    if n == 0:
        return 1.0
    positive = sum(1 for i in range(n) for j in range(i, n) if differences[i] + differences[j] > 0)
    if n <= EXACT_UP_TO:
        below = _cumulative(n)[positive - 1] if positive else 0
        return float((2**n - below) / 2**n)
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return float(1 - NormalDist().cdf((positive - n * (n + 1) / 4 - 0.5) / deviation))


def smallest_pairs(confidence: float) -> int:
    """The fewest pairs with which an interval at `confidence` exists at all: 6 at 95 %, 8 at 99 %."""
    pairs = 1
    while 2 / 2**pairs > (1 - confidence) * (1 + _ROUNDING):
        pairs += 1
    return pairs
