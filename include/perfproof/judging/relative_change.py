"""The change from baseline to candidate as a share of the baseline, with its interval and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median, stdev

from perfproof.statistics.hodges_lehmann import Shift, paired_shift, shift
from perfproof.statistics.percent_change import exact
from perfproof.statistics.sample_size import pooled_deviation
from perfproof.statistics.signed_rank import smallest_pairs

# Signed ranks of n pairs have no p below 2^-n: from 11 on a regression can be told from noise among ten guards (0.5 % by Holm's
# correction), while sides that are not paired can name one of four from 6 blocks on.
FEWEST_PAIRS = 11


@dataclass(frozen=True, slots=True)
class Change:
    """`estimate`, `low` and `high` are shares of the baseline (-0.29 is 29 % less) or, if not `relative`, plain differences.

    `deviation` is the noise of one block: of its logarithm if `logarithmic`, else on the scale of the estimate. `level`
    is the confidence that the interval really has.
    """

    estimate: float
    low: float
    high: float
    deviation: float
    relative: bool
    logarithmic: bool
    level: float

    def distance(self, left: float, right: float) -> float:
        """How far two changes are apart on the scale of `deviation`."""
        if not self.logarithmic:
            return abs(left - right)
        if min(left, right) <= -1:
            return math.inf
        return abs(math.log1p(left) - math.log1p(right))

    def stretched(self, factor: float) -> Change:
        """The same change with an interval `factor` times as wide on both sides of the estimate, on the scale of `deviation`."""
        if factor == 1 or not (math.isfinite(self.low) and math.isfinite(self.high)):
            return self
        if not self.logarithmic:
            low, high = (self.estimate + factor * (end - self.estimate) for end in (self.low, self.high))
            return replace(self, low=low, high=high)
        middle = math.log1p(self.estimate)
        low, high = (math.expm1(min(700.0, middle + factor * (math.log1p(end) - middle))) for end in (self.low, self.high))
        # Rounding must not make an interval narrower that is meant to grow.
        return replace(self, low=min(low, self.low), high=max(high, self.high))


def in_pairs(before: Sequence[float], after: Sequence[float], *, confidence: float) -> bool:
    """Whether blocks that were measured in pairs are compared as pairs: enough of them for an interval and for a claim."""
    return len(before) == len(after) >= max(FEWEST_PAIRS, smallest_pairs(confidence))


def relative_change(before: Sequence[float], after: Sequence[float], *, confidence: float, paired: bool = False) -> Change:
    """Change of `after` against `before` (finite, not negative, not empty).

    On logarithms when all values are positive. With a zero among them: the difference, by the median of the baseline; if
    that is zero too, the plain difference. Where neither side varies the change is exact and its interval has no width.
    With `paired` the differences of blocks i are compared (lengths must be equal).
    """
    if len({*before}) == 1 and len({*after}) == 1:
        return _exact_change(before[0], after[0])
    logarithmic = min(*before, *after) > 0
    x, y = ([math.log(v) for v in before], [math.log(v) for v in after]) if logarithmic else (list(before), list(after))
    found = paired_shift(x, y, confidence=confidence) if paired else shift(x, y, confidence=confidence)
    deviation = _paired_deviation(x, y) if paired else pooled_deviation(x, y)
    if logarithmic:
        return Change(math.expm1(found.estimate), _expm1(found.low), _expm1(found.high), deviation, True, True, found.level)
    return _by_median(found, deviation, median(before))


def _by_median(found: Shift, deviation: float, middle: float) -> Change:
    scale = middle if middle > 0 else 1.0
    return Change(found.estimate / scale, found.low / scale, found.high / scale, deviation / scale, middle > 0, False, found.level)


def _expm1(value: float) -> float:
    return math.expm1(value) if value < 700 else math.inf


def _paired_deviation(x: Sequence[float], y: Sequence[float]) -> float:
    """Noise of one block as far as it does not cancel in its pair."""
    return stdev(b - a for a, b in zip(x, y, strict=True)) / math.sqrt(2)


def _exact_change(before: float, after: float) -> Change:
    difference = exact(after) - exact(before)
    change = float(difference / exact(before)) if before > 0 else float(difference)
    return Change(change, change, change, 0.0, before > 0, min(before, after) > 0, 1.0)


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
