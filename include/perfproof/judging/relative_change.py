"""The change from baseline to candidate as a share of the baseline, with its interval and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from perfproof.statistics.hodges_lehmann import shift
from perfproof.statistics.percent_change import exact
from perfproof.statistics.sample_size import pooled_deviation


@dataclass(frozen=True, slots=True)
class Change:
    """`estimate`, `low` and `high` are shares of the baseline (-0.29 is 29 % less) or, if not `relative`, plain differences.

    `deviation` is the noise of one block: of its logarithm if `logarithmic`, else on the scale of the estimate.
    """

    estimate: float
    low: float
    high: float
    deviation: float
    relative: bool
    logarithmic: bool

    def distance(self, left: float, right: float) -> float:
        """How far two changes are apart on the scale of `deviation`."""
        if not self.logarithmic:
            return abs(left - right)
        if min(left, right) <= -1:
            return math.inf
        return abs(math.log1p(left) - math.log1p(right))


def relative_change(before: Sequence[float], after: Sequence[float], *, confidence: float) -> Change:
    """Change of `after` against `before` (finite, not negative, not empty).

    On logarithms when all values are positive. With a zero among them: the difference, by the median of the baseline; if
    that is zero too, the plain difference. Where neither side varies the change is exact and its interval has no width.
    """
    if len({*before}) == 1 and len({*after}) == 1:
        return _exact_change(before[0], after[0])
    if min(*before, *after) > 0:
        x, y = [math.log(v) for v in before], [math.log(v) for v in after]
        found = shift(x, y, confidence=confidence)
        return Change(math.expm1(found.estimate), math.expm1(found.low), math.expm1(found.high), pooled_deviation(x, y), True, True)
    middle = median(before)
    scale = middle if middle > 0 else 1.0
    found = shift(before, after, confidence=confidence)
    deviation = pooled_deviation(before, after) / scale
    return Change(found.estimate / scale, found.low / scale, found.high / scale, deviation, middle > 0, False)


def _exact_change(before: float, after: float) -> Change:
    difference = exact(after) - exact(before)
    change = float(difference / exact(before)) if before > 0 else float(difference)
    return Change(change, change, change, 0.0, before > 0, min(before, after) > 0)


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate and its interval, turned so that positive means what the question asks for (better, or worse)."""

    estimate: float
    low: float
    high: float


def turned(change: Change, sign: int) -> Span:
    """`change` with its sign multiplied by `sign`, the ends in order."""
    if sign > 0:
        return Span(change.estimate, change.low, change.high)
    return Span(-change.estimate, -change.high, -change.low)
