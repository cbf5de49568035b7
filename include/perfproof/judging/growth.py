"""Whether a metric gets worse from block to block: a median over blocks hides a leak until it has left the margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from perfproof.judging.relative_change import Change
from perfproof.statistics.trend import trend


@dataclass(frozen=True, slots=True)
class Growth:
    """`p` of so steady a worsening without a trend, and the worsening `ahead`, after as many blocks again."""

    p: float
    ahead: float


def growth_of(before: Sequence[float], after: Sequence[float], change: Change, *, sign: int) -> Growth | None:
    """Growth of the worsening (`sign` +1: upwards), on the scale of `change`; None if it does not grow or has fewer than 4 blocks.

    Compared block by block, so that what grows on both sides (a warming process) cancels.
    """
    if len(after) < 4:
        return None
    x, y = ([math.log(v) for v in before], [math.log(v) for v in after]) if change.logarithmic else (list(before), list(after))
    partners = x if len(x) == len(y) else [median(x)] * len(y)
    scale = median(before) if change.relative and not change.logarithmic else 1.0
    worsening = [sign * (b - a) / scale for a, b in zip(partners, y, strict=True)]
    whole, recent = trend(worsening), trend(worsening[len(worsening) // 2 :])
    if whole.slope <= 0:
        return None
    # A process that warms up slows down: the later half tells it from a leak.
    ahead = whole.at_end + max(0.0, min(whole.slope, recent.slope)) * len(after)
    return Growth(whole.p, sign * math.expm1(sign * ahead) if change.logarithmic else ahead)
