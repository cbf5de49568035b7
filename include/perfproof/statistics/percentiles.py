"""A percentile of raw samples and what is known about it: its order-statistic interval, and how many samples it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile with its interval. `low` or `high` is None where the samples are too few to bound it."""

    value: float
    low: float | None
    high: float | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the samples do not exceed (nearest rank). `ordered` ascends."""
    if not ordered or not 0 < share < 1:
        raise ValueError("a percentile needs samples and a share between 0 and 1")
    return ordered[max(1, math.ceil(round(share * len(ordered), 9))) - 1]


def smallest_sample(share: float, *, confidence: float = 0.95) -> int:
    """Samples below which the percentile has no finite upper end: 72 for p95, 368 for p99, 3,688 for p99.9 at 95 %."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(share))


def samples_beyond_maximum(share: float) -> int:
    """Samples below which the percentile is nothing but the largest value: 20 for p95, 100 for p99."""
    return math.ceil(round(1 / (1 - share), 9))


def percentile_interval(samples: Sequence[float], share: float, *, confidence: float = 0.95) -> Percentile:
    """The percentile and order statistics that enclose it in at least `confidence` of all samples, whatever the shape.

    Source: H. A. David and H. N. Nagaraja, "Order Statistics" (2003), 7.1: the number of samples below the percentile is
    binomial(n, share). ValueError for no samples or NaN.
    """
    from scipy.special import bdtr

    ordered = sorted(samples)
    if any(math.isnan(v) for v in ordered):
        raise ValueError("NaN is not a sample")
    value, n, tail = percentile(ordered, share), len(ordered), (1 - confidence) / 2
    below = [float(p) for p in bdtr(list(range(n + 1)), n, share)]
    low = sum(1 for p in below[:n] if p <= tail)
    high = next((u for u in range(1, n + 1) if 1 - below[u - 1] <= tail), None)
    return Percentile(value, ordered[low - 1] if low else None, ordered[high - 1] if high else None)
