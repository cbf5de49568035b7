"""Where to look for changes: intervals of every length, evenly laid, so that each change lies alone in one of them.

Source: S. Kovács, P. Bühlmann, H. Li and A. Munk, "Seeded binary segmentation", Biometrika 110 (2023), 249-256. The
intervals' lengths sum up to O(n log n).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

DECAY = math.sqrt(0.5)


def seeded_intervals(length: int, *, shortest: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Layers of intervals over `length` values, longest first: the length of the layer's intervals, and where they start."""
    layer = 0
    previous = 0
    while True:
        size = math.ceil(length * DECAY**layer)
        if size < shortest:
            return
        if size != previous:
            count = 2 * math.ceil(DECAY**-layer - 1e-9) - 1
            yield size, np.unique(np.linspace(0, length - size, count).astype(np.int64))
        previous, layer = size, layer + 1
