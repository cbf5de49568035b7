"""How many blocks a side it takes to tell two values apart at a given noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

# Beyond this nobody measures: the answer is a quieter metric, not more blocks.
MOST_BLOCKS = 1000
# Asymptotic efficiency of rank methods against means under normal noise (Lehmann, "Nonparametrics", 2.4): 3 / pi.
RANK_EFFICIENCY = 3 / math.pi


def pooled_deviation(before: Sequence[float], after: Sequence[float]) -> float:
    """Standard deviation within the sides, with m + n - 2 degrees of freedom. 0.0 if there are none."""
    freedom = len(before) + len(after) - 2
    if freedom < 1:
        return 0.0
    squares = 0.0
    for side in (before, after):
        mean = math.fsum(side) / len(side) if side else 0.0
        squares += math.fsum((v - mean) ** 2 for v in side)
    return math.sqrt(squares / freedom)


def blocks_to_decide(deviation: float, distance: float, *, confidence: float, power: float = 0.8) -> int:
    """Blocks a side after which an interval at `confidence` (two-sided) excludes a value `distance` away.

    n = 2 ((z_confidence + z_power) * deviation / distance)^2 / efficiency of ranks + z_confidence^2 / 4, the last term for
    the noise being estimated itself (W. C. Guenther, The American Statistician 35 (1981)). At most `MOST_BLOCKS`, which
    stands for "that many or more".
    """
    if deviation == 0:
        return 1
    if distance == 0 or deviation / distance > MOST_BLOCKS:
        return MOST_BLOCKS
    error = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    both = error + NormalDist().inv_cdf(power)
    return min(MOST_BLOCKS, math.ceil(2 * (both * deviation / distance) ** 2 / RANK_EFFICIENCY + error**2 / 4))


def more_blocks_to_decide(deviation: float, distance: float, *, have: int, confidence: float) -> int:
    """Blocks a side beyond the `have` that are there; 1 at least, because these did not decide."""
    return min(MOST_BLOCKS, max(1, blocks_to_decide(deviation, distance, confidence=confidence) - have))
