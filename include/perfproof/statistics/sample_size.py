"""How many blocks a side it takes to tell two values apart at a given noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

from perfproof.statistics.autocorrelation import MOST

# Beyond this nobody measures: the answer is a quieter metric, not more blocks.
MOST_BLOCKS = 1000
# The least efficiency that rank methods have against means, whatever the shape of the noise (J. L. Hodges and E. L. Lehmann,
# Annals of Mathematical Statistics 27 (1956)); 0.955 if it is normal.
RANK_EFFICIENCY = 0.864
# The estimated dependence varies too, but not together with the shift: this share of its deviation enters the power.
SHARE_OF_CHANCE = 0.5


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


def blocks_to_decide(deviation: float, distance: float, *, confidence: float, power: float = 0.8, caution: float | None = None) -> int:
    """Blocks a side after which an interval at `confidence` (two-sided) excludes a value `distance` away.

    n = 2 ((z_confidence * w + z_power) * deviation / distance)^2 / efficiency of ranks + (z_confidence * w)^2 / 4, the last
    term for the noise being estimated itself (W. C. Guenther, The American Statistician 35 (1981)). w is 1, or with a
    `caution` by how much the interval of independent blocks grows for the dependence that n of them seem to show (0), or
    do not rule out (`perfproof.statistics.autocorrelation.CAUTION`). At most `MOST_BLOCKS`, which stands for "that many
    or more".
    """
    if deviation == 0:
        return 1
    if distance == 0 or deviation / distance > MOST_BLOCKS:
        return MOST_BLOCKS
    error, beyond = NormalDist().inv_cdf(1 - (1 - confidence) / 2), NormalDist().inv_cdf(power)

    def enough(blocks: int) -> bool:
        wide = error * (1.0 if caution is None else _width(blocks, caution, beyond))
        return blocks >= 2 * ((wide + beyond) * deviation / distance) ** 2 / RANK_EFFICIENCY + wide**2 / 4

    return _smallest(enough)


def _width(blocks: int, caution: float, beyond: float) -> float:
    """Growth of an interval for the dependence that `blocks` independent ones a side show by chance."""
    r = min(MOST, (caution + SHARE_OF_CHANCE * beyond) / math.sqrt(2 * blocks))
    return math.sqrt((1 + r) / (1 - r))


def _smallest(enough: Callable[[int], bool]) -> int:
    """The smallest number that is enough, by bisection; `MOST_BLOCKS` if none below is."""
    low, high = 0, MOST_BLOCKS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def more_blocks_to_decide(deviation: float, distance: float, *, have: int, confidence: float, caution: float | None = None) -> int:
    """Blocks a side beyond the `have` that are there; 1 at least, because these did not decide."""
    needed = blocks_to_decide(deviation, distance, confidence=confidence, caution=caution)
    return min(MOST_BLOCKS, max(1, needed - have))
