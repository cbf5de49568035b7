"""A ratio of two ways that take turns: the median of the pairs' ratios, and an interval that needs no distribution.

Both ways of a pair run next to each other, so that a busy machine slows both; and which of them runs first alternates.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of pairs' ratios, between two of them that enclose it at `CONFIDENCE`; None where there are too few pairs for that."""

    median: float
    low: float | None
    high: float | None
    pairs: int


def ratio_of(ours: Sequence[float], floor: Sequence[float]) -> Ratio:
    """The ratio of what was measured together, pair by pair."""
    return summary_of([a / b for a, b in zip(ours, floor, strict=True)])


def summary_of(ratios: Sequence[float]) -> Ratio:
    """Median and interval of the pairs' ratios. The interval is that of the sign test: two order statistics."""
    ordered, rank = sorted(ratios), rank_of(len(ratios))
    low, high = (None, None) if rank == 0 else (ordered[rank - 1], ordered[-rank])
    return Ratio(statistics.median(ordered), low, high, len(ordered))


def rank_of(pairs: int) -> int:
    """The rank of the order statistic that encloses the median from either side; 0 where even the smallest and the largest do not."""
    tail, rank = 0.0, 0
    while rank < pairs // 2:
        tail += math.comb(pairs, rank) / 2**pairs
        if tail > (1 - CONFIDENCE) / 2:
            break
        rank += 1
    return rank


def in_turns(ours: Callable[[], float], floor: Callable[[], float], *, pairs: int) -> Ratio:
    """Runs both as often as `pairs`, in the order ABBA; each returns the seconds that it took."""
    found: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        for way in (0, 1) if pair % 2 == 0 else (1, 0):
            found[way].append((ours, floor)[way]())
    return ratio_of(*found)
