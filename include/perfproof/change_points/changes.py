"""Where a series changed its level, how much, and how sure that is.

search every interval -> keep what is clear after searching -> place each change between its neighbours -> judge it there.
The same values give the same answer: nothing is drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np

from perfproof.change_points.dependence import inflation, remaining_resemblance
from perfproof.change_points.outliers import outliers
from perfproof.change_points.scores import Floats, row_scores, sum_of_squares
from perfproof.change_points.search import search
from perfproof.change_points.segmentation import narrowest_first, refined
from perfproof.change_points.significance import p_after_search, strength_needed
from perfproof.change_points.split import best_splits, strength
from perfproof.telemetry import Direction

ROUNDS = 8
LARGEST_EXPONENT = 900


class Kind(StrEnum):
    """What a change means for the metric."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as a change.

    `alpha` is the chance that a series of independent values without a change is given one, after all searching.
    `min_segment` values at least make a regime. `min_change` is the smallest change of the median, as a share of the
    median before. `min_effect` is the smallest Cliff's delta, from 0 to 1, between the regimes: 0.474 and more is called
    large (J. Romano and others, 2006), and less is a change that the eye does not see in the noise.
    """

    alpha: float = 0.01
    min_segment: int = 4
    min_change: float = 0.02
    min_effect: float = 0.474


@dataclass(frozen=True, slots=True)
class Change:
    """A new regime. `index` is its first value in the series as it was given. `before` and `after` are medians.

    `percent` is the change of the median in percent of `before`, infinite from zero. `p` is that of the whole search.
    """

    index: int
    kind: Kind
    before: float
    after: float
    percent: float
    effect: float
    p: float


@dataclass(frozen=True, slots=True)
class Found:
    """The changes of one series in their order; `outliers` are single values far from their regime, which are no changes.

    `missing` values were left out. `correlation` is the resemblance of neighbours that the p values allow for.
    """

    changes: tuple[Change, ...]
    outliers: tuple[int, ...]
    missing: int
    correlation: float


@cache
def fewest_values(rules: Rules) -> int:
    """The fewest values that can show a change under `rules`: two levels that do not overlap at all."""
    length = 2 * rules.min_segment
    while best_splits(np.arange(float(length))[None, :], min_segment=rules.min_segment)[0][0] < strength_needed(rules.alpha, length=length):
        length += 1
    return length


def find_changes(values: Sequence[float], *, direction: Direction, rules: Rules | None = None) -> Found:
    """The changes of level in `values`. What is not finite is left out, never filled in; indices stay those of `values`."""
    rules = rules or Rules()
    everything = np.asarray(values, dtype=np.float64)
    places = np.flatnonzero(np.isfinite(everything))
    known, exponent = _within_range(everything[places])
    missing = len(everything) - len(known)
    if len(known) < 2 * rules.min_segment:
        return Found((), (), missing, 0.0)
    points, correlation = _points(known, rules)
    bounds = [0, *points, len(known)]
    changes = tuple(
        _change(known, bounds[i], at, bounds[i + 2], direction=direction, correlation=correlation, index=int(places[at]), exponent=exponent)
        for i, at in enumerate(points)
    )
    far = tuple(int(places[i]) for i in outliers(known, bounds))
    return Found(changes, far, missing, correlation)


def _within_range(values: Floats) -> tuple[Floats, int]:
    """`values` divided by 2 to an exponent, so that sums of them are finite; values of any usual size as they are."""
    largest = float(np.max(np.abs(values), initial=0.0))
    exponent = max(0, math.frexp(largest)[1] - LARGEST_EXPONENT)
    return (np.ldexp(values, -exponent) if exponent else values), exponent


def _points(known: Floats, rules: Rules) -> tuple[list[int], float]:
    """The change points of `known`, and the autocorrelation under which they stand.

    Autocorrelation and changes look alike. It is taken from what is left once the changes are taken out, and those of them
    that it explains are dropped, until no more of it shows.
    """
    needed = strength_needed(rules.alpha, length=len(known))
    points = narrowest_first(search(known, min_segment=rules.min_segment), needed=needed)
    correlation = 0.0
    for _ in range(ROUNDS):
        factor = inflation(correlation)

        def standing(begin: int, at: int, end: int, factor: float = factor) -> tuple[bool, float]:
            clear = _strength(known, begin, at, end) / factor
            return clear >= needed and _matters(known[begin:at], known[at:end], rules), clear

        points = refined(known, points, min_segment=rules.min_segment, needed=needed * factor, standing=standing)
        left = remaining_resemblance(known, [0, *points, len(known)])
        if not points or left <= correlation:
            break
        correlation = left
    return points, correlation


def _strength(known: Floats, begin: int, at: int, end: int) -> float:
    length, left = end - begin, at - begin
    total = float(np.sum(row_scores(known[None, begin:end])[0, :left]))
    explained = total**2 * length / (left * (length - left) * sum_of_squares(length))
    return float(strength(np.asarray([explained]), length)[0])


def _percent(before: float, after: float) -> float:
    if before == after:
        return 0.0
    return 100 * (after - before) / abs(before) if before else math.copysign(math.inf, after - before)


def _effect(before: Floats, after: Floats) -> float:
    """Cliff's delta, positive if `after` is larger, in n log n."""
    ordered = np.sort(before)
    below = np.searchsorted(ordered, after, side="left").sum()
    above = len(before) * len(after) - np.searchsorted(ordered, after, side="right").sum()
    return float(below - above) / (len(before) * len(after))


def _matters(before: Floats, after: Floats, rules: Rules) -> bool:
    percent = _percent(float(np.median(before)), float(np.median(after)))
    return abs(percent) >= 100 * rules.min_change and abs(_effect(before, after)) >= rules.min_effect


def _change(known: Floats, begin: int, at: int, end: int, *, direction: Direction, correlation: float, index: int, exponent: int) -> Change:
    before, after = float(np.median(known[begin:at])), float(np.median(known[at:end]))
    effect = _effect(known[begin:at], known[at:end])
    better = (after - before or effect) * direction.sign > 0
    p = p_after_search(_strength(known, begin, at, end) / inflation(correlation), length=len(known))
    kind = Kind.IMPROVEMENT if better else Kind.REGRESSION
    return Change(index, kind, math.ldexp(before, exponent), math.ldexp(after, exponent), _percent(before, after), effect, p)
