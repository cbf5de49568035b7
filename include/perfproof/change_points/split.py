"""The best place to split a run of values into two regimes, and how clear the split is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perfproof.change_points.scores import Floats, row_scores, sum_of_squares


def best_splits(rows: Floats, *, min_segment: int) -> tuple[Floats, NDArray[np.int64]]:
    """For each row its clearest split: the strength u and the position of the first value of the second part.

    u² is the log-likelihood ratio of two levels against one on normal scores, scaled so that a single split without a
    change has |u| of about a standard normal (D. L. Wallace, Annals of Mathematical Statistics 30 (1959), 1124-1130).
    The variance is that of untied scores, so ties weaken a split and never strengthen it. Each part has at least
    `min_segment` values; rows need twice as many.
    """
    length = rows.shape[1]
    at = np.arange(min_segment, length - min_segment + 1)
    sums = np.cumsum(row_scores(rows), axis=1)[:, at - 1]
    # Scores of a row sum to zero, so the left sum alone tells both means.
    explained = sums**2 * (length / (at * (length - at) * sum_of_squares(length)))
    best = np.argmax(explained, axis=1)
    share = explained[np.arange(len(rows)), best]
    return strength(share, length), at[best]


def strength(explained: Floats, length: int) -> Floats:
    """u for a share of the scores' squares that the split explains, of `length` values."""
    freedom = length - 2
    ratio = -freedom * np.log1p(-np.minimum(explained, 1 - 1e-12))
    return np.asarray((8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(ratio), dtype=np.float64)
