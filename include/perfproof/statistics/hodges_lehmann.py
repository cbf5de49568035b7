"""The shift between two small samples: the median of all pairwise differences, and its interval.

The interval inverts the Mann-Whitney test. Nothing is assumed about the shape of the noise, only that it is the same on
both sides but for the shift. Source: J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests",
Annals of Mathematical Statistics 34 (1963).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfproof.statistics.mann_whitney import interval_rank


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the second side is larger, in the unit of the values. The ends are infinite if there are too few."""

    estimate: float
    low: float
    high: float


def shift(before: Sequence[float], after: Sequence[float], *, confidence: float) -> Shift:
    """Shift from `before` to `after` with its two-sided interval. ValueError if a side is empty or not finite."""
    x, y = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if not x.size or not y.size or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise ValueError("a shift needs finite values on both sides")
    differences = np.sort(np.subtract.outer(y, x), axis=None)
    rank = interval_rank(before, after, confidence=confidence)
    low, high = (float(differences[rank - 1]), float(differences[-rank])) if rank else (-math.inf, math.inf)
    return Shift(float(np.median(differences)), low, high)
