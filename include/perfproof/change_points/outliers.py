"""Single values far from the regime they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from perfproof.change_points.scores import Floats

# Of the modified z score, by B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers" (1993).
FAR, CONSISTENCY = 3.5, 0.6745


def outliers(values: Floats, bounds: Sequence[int]) -> list[int]:
    """Positions whose modified z score in their regime exceeds 3.5; `bounds` (0 … n) delimit the regimes.

    0.6745 |value - median| / median absolute deviation. Where more than half of a regime is equal, each other value is one.
    """
    found: list[int] = []
    for begin, end in pairwise(bounds):
        distance = np.abs(values[begin:end] - np.median(values[begin:end]))
        found += (begin + np.flatnonzero(CONSISTENCY * distance > FAR * np.median(distance))).tolist()
    return found
