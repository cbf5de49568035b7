"""The clearest split of every interval of a series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from perfproof.change_points.intervals import seeded_intervals
from perfproof.change_points.scores import Floats
from perfproof.change_points.split import best_splits

# Rows are scored in portions, so that memory stays linear in the series.
PORTION = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Columns of equal length, one entry per interval: where it starts, its length, its split and how strong that is."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    split: NDArray[np.int64]
    strength: Floats


def search(values: Floats, *, min_segment: int) -> Splits:
    """The clearest split of each seeded interval of `values` (finite, at least twice `min_segment`)."""
    starts, lengths, splits, strengths = [], [], [], []
    for size, begin in seeded_intervals(len(values), shortest=2 * min_segment):
        windows = sliding_window_view(values, size)
        step = max(1, PORTION // size)
        for first in range(0, len(begin), step):
            part = begin[first : first + step]
            strong, at = best_splits(windows[part], min_segment=min_segment)
            starts.append(part)
            lengths.append(np.full(len(part), size))
            splits.append(part + at)
            strengths.append(strong)
    return Splits(np.concatenate(starts), np.concatenate(lengths), np.concatenate(splits), np.concatenate(strengths))
