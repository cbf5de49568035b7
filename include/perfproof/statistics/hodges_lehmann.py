"""The shift between two small samples: the median of all pairwise differences, and its interval.

The interval inverts the Mann-Whitney test, or for pairs Wilcoxon's signed rank test. Nothing is assumed about the shape
of the noise, only that it is the same on both sides but for the shift (for pairs: that the differences are symmetric).
Source: J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34 (1963).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfproof.statistics import mann_whitney, signed_rank


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the second side is larger, in the unit of the values. The ends are infinite if there are too few.

    `level` is the confidence that the interval really has where its distribution is discrete: 97.1 % for 95 % at 4 + 4.
    """

    estimate: float
    low: float
    high: float
    level: float


def shift(before: Sequence[float], after: Sequence[float], *, confidence: float) -> Shift:
    """Shift from `before` to `after` with its two-sided interval. ValueError if a side is empty or not finite."""
    x, y = _finite(before), _finite(after)
    rank = mann_whitney.interval_rank(before, after, confidence=confidence)
    level = mann_whitney.achieved_confidence(len(before), len(after), rank, confidence=confidence)
    return _between(np.subtract.outer(y, x).ravel(), rank, level)


def paired_shift(before: Sequence[float], after: Sequence[float], *, confidence: float) -> Shift:
    """Shift from `before` to `after`, value i of both having been measured side by side: what drifts on both cancels.

    The estimate is the median of the Walsh averages of the differences. ValueError as `shift`, and for unequal lengths.
    """
    x, y = _finite(before), _finite(after)
    if x.size != y.size:
        raise ValueError("pairs need as many values on both sides")
    differences = y - x
    first, second = np.triu_indices(differences.size)
    rank = signed_rank.interval_rank(differences.size, confidence=confidence)
    level = signed_rank.achieved_confidence(differences.size, rank, confidence=confidence)
    return _between((differences[first] + differences[second]) / 2, rank, level)


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    side = np.asarray(values, dtype=float)
    if not side.size or not np.isfinite(side).all():
        raise ValueError("a shift needs finite values on both sides")
    return side


def _between(differences: NDArray[np.float64], rank: int, level: float) -> Shift:
    ordered = np.sort(differences)
    low, high = (float(ordered[rank - 1]), float(ordered[-rank])) if rank else (-math.inf, math.inf)
    return Shift(float(np.median(ordered)), low, high, level)
