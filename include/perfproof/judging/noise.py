"""Whether the candidate's blocks vary differently from the baseline's: a change that no median shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfproof.judging.phrases import spread_warning
from perfproof.statistics.spread import spread_change

RARE = 0.01


def noise_warning(before: Sequence[float], after: Sequence[float]) -> str | None:
    """A sentence if the spread (of the logarithms, if all are positive) differs at 1 %, else None. It informs and decides nothing.

    A larger spread decides by itself: it widens the interval that a pass needs.
    """
    if len(before) < 2 or len(after) < 2:
        return None
    logarithmic = min(*before, *after) > 0
    x, y = ([math.log(v) for v in before], [math.log(v) for v in after]) if logarithmic else (before, after)
    found = spread_change(x, y)
    return spread_warning(found.ratio, found.p) if found.p <= RARE else None
