"""How much neighbouring values resemble each other, and what that costs.

A run of dependent values is worth fewer independent ones, so a split of them has to be stronger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from perfproof.change_points.scores import Floats, row_scores

MOST = 0.98
# Of fewer values the estimate is so loose that real changes would be lost to it; they are taken as independent.
FEWEST = 30
NOTHING = 1e-9


def remaining_resemblance(values: Floats, bounds: Sequence[int]) -> float:
    """Lag-1 autocorrelation, from 0 to 0.98, of the normal scores within the regimes that `bounds` (0 … n) delimit.

    Corrected for its bias of -(1 + 3r)/n per regime (M. H. Quenouille, Biometrika 43 (1956)). 0 for fewer than 30 values.
    """
    if len(values) < FEWEST:
        return 0.0
    products, squares = 0.0, 0.0
    for begin, end in pairwise(bounds):
        scores = row_scores(values[None, begin:end])[0]
        products += float(np.dot(scores[1:], scores[:-1]))
        squares += float(np.dot(scores, scores))
    # What rounding leaves of constant regimes resembles nothing.
    if squares < NOTHING:
        return 0.0
    found = products / squares
    bias = (len(bounds) - 1) / len(values)
    return min(MOST, max(0.0, (found + bias) / (1 - 3 * bias) if bias < 0.25 else found))


def inflation(correlation: float) -> float:
    """By how much a strength is too large under this autocorrelation: the square root of (1 + r) / (1 - r)."""
    return math.sqrt((1 + correlation) / (1 - correlation))
