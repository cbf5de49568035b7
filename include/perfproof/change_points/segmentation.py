"""From splits of intervals to change points: the narrowest clear intervals first, then each change judged between its neighbours.

Narrowest first because a narrow interval holds one change, whatever happens before and after (R. Baranowski, Y. Chen and
P. Fryzlewicz, "Narrowest-over-threshold detection", Journal of the Royal Statistical Society B 81 (2019), 649-672).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from perfproof.change_points.excursion import clearest_excursion
from perfproof.change_points.scores import Floats
from perfproof.change_points.search import Splits
from perfproof.change_points.split import best_splits

SWEEPS = 3
ROUNDS = 20

Standing = Callable[[int, int, int], tuple[bool, float]]


def narrowest_first(splits: Splits, *, needed: float) -> list[int]:
    """The splits with at least the `needed` strength, one for each place: ascending positions."""
    clear = np.flatnonzero(splits.strength >= needed)
    order = clear[np.lexsort((-splits.strength[clear], splits.length[clear]))]
    start, end, split = splits.start[order], splits.start[order] + splits.length[order], splits.split[order]
    found = []
    while len(split):
        at = int(split[0])
        found.append(at)
        free = (at <= start) | (at >= end)
        start, end, split = start[free], end[free], split[free]
    return sorted(found)


def placed(values: Floats, points: list[int], *, min_segment: int) -> list[int]:
    """`points`, each moved to where the level between its two neighbours changes, and left out where there is no room."""
    points = list(points)
    for _ in range(SWEEPS):
        before = list(points)
        kept: list[int] = []
        for place in range(len(points)):
            low = kept[-1] if kept else 0
            high = points[place + 1] if place + 1 < len(points) else len(values)
            if high - low >= 2 * min_segment:
                at = int(best_splits(values[None, low:high], min_segment=min_segment)[1][0])
                kept.append(low + sharpened(values[low:high], at, min_segment=min_segment))
        points = kept
        if points == before:
            break
    return points


def sharpened(values: Floats, at: int, *, min_segment: int) -> int:
    """`at`, moved to where two levels fit best: the least sum of distances to the median of their side.

    Normal scores tell that there is a change, but a short regime draws the largest of its neighbours in.
    """
    for _ in range(SWEEPS):
        left, right = np.abs(values - np.median(values[:at])), np.abs(values - np.median(values[at:]))
        costs = np.cumsum(left - right)[min_segment - 1 : len(values) - min_segment]
        best = min_segment + int(np.argmin(costs))
        if best == at:
            break
        at = best
    return at


def pruned(values: Floats, points: list[int], *, min_segment: int, standing: Standing) -> list[int]:
    """`points` without those that do not stand between their neighbours, the weakest taken first.

    `standing(begin, at, end)` says whether the change at `at` stands in values[begin:end], and how strong it is. It is asked
    anew whenever a neighbour has gone.
    """
    points = placed(values, points, min_segment=min_segment)
    while points:
        bounds = [0, *points, len(values)]
        judged = [standing(bounds[i], bounds[i + 1], bounds[i + 2]) for i in range(len(points))]
        weak = [(strong, i) for i, (stands, strong) in enumerate(judged) if not stands]
        if not weak:
            break
        del points[min(weak)[1]]
        points = placed(values, points, min_segment=min_segment)
    return points


def refined(values: Floats, points: list[int], *, min_segment: int, needed: float, standing: Standing) -> list[int]:
    """`points` that stand, and the ends of excursions between them that stand too."""
    points = pruned(values, points, min_segment=min_segment, standing=standing)
    for _ in range(ROUNDS):
        bounds = [0, *points, len(values)]
        more = []
        for begin, end in pairwise(bounds):
            found = clearest_excursion(values[begin:end], min_segment=min_segment)
            if found and found[2] >= needed:
                more += [begin + found[0], begin + found[1]]
        longer = pruned(values, sorted([*points, *more]), min_segment=min_segment, standing=standing) if more else points
        if longer == points:
            break
        points = longer
    return points
