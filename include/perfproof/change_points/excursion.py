"""The clearest excursion of a run of values: a short regime after which the level before comes back.

A split looks for two levels and misses it. Source: A. B. Olshen, E. S. Venkatraman, R. Lucito and M. Wigler, "Circular binary
segmentation", Biostatistics 5 (2004), 557-572. Lengths grow by steps of a quarter, so that the search is n log n.
"""

from __future__ import annotations

import numpy as np

from perfproof.change_points.scores import Floats, row_scores, sum_of_squares
from perfproof.change_points.split import strength

GROWTH = 1.25


def clearest_excursion(values: Floats, *, min_segment: int) -> tuple[int, int, float] | None:
    """Begin, end and strength of the clearest excursion with `min_segment` values in it, before and after. None without room."""
    length = len(values)
    if length < 3 * min_segment:
        return None
    sums = np.concatenate(([0.0], np.cumsum(row_scores(values[None, :])[0])))
    best, where = -1.0, (0, 0)
    size = float(min_segment)
    while (width := int(size)) <= length - 2 * min_segment:
        begin = np.arange(min_segment, length - min_segment - width + 1)
        scale = length / (width * (length - width) * sum_of_squares(length))
        explained = (sums[begin + width] - sums[begin]) ** 2 * scale
        at = int(np.argmax(explained))
        if explained[at] > best:
            best, where = float(explained[at]), (int(begin[at]), int(begin[at]) + width)
        size = max(size + 1, size * GROWTH)
    return (*where, float(strength(np.asarray([best]), length)[0]))
