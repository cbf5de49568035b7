"""Normal scores: what remains of values when only their order counts, on the scale of a normal distribution.

They make the search free of the shape of the noise: outliers, two modes and logarithms change nothing of the null
distribution. Source: B. L. van der Waerden, Indagationes Mathematicae 14 (1952), 453-458.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@cache
def _table(length: int) -> tuple[Floats, Floats, float]:
    """The scores of ranks 1…length, their running sums from 0, and their sum of squares."""
    from scipy.special import ndtri

    scores = np.asarray(ndtri(np.arange(1, length + 1) / (length + 1)), dtype=np.float64)
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    return scores, sums, float(np.sum(scores**2))


def sum_of_squares(length: int) -> float:
    """Sum of the squares of the scores of `length` values without ties."""
    return _table(length)[2]


def row_scores(rows: Floats) -> Floats:
    """The score of each value within its row, in the shape of `rows` (finite).

    Tied values share the mean of their scores: the score expected over all ways to break the tie.
    """
    count, length = rows.shape
    scores, sums, _ = _table(length)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    result = np.empty_like(rows)
    starts = np.ones((count, length), dtype=np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    if starts.all():
        np.put_along_axis(result, order, np.broadcast_to(scores, rows.shape), axis=1)
        return result
    first = np.flatnonzero(starts)
    size = np.diff(np.append(first, starts.size))
    left = first % length
    means = (sums[left + size] - sums[left]) / size
    np.put_along_axis(result, order, np.repeat(means, size).reshape(count, length), axis=1)
    return result
