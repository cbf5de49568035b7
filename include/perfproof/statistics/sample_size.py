"""How many blocks a side it takes to tell two values apart at a given noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Protocol

# Beyond this nobody measures: the answer is a quieter metric, not more blocks.
MOST_BLOCKS = 1000
# The least efficiency that rank methods have against means, whatever the shape of the noise (J. L. Hodges and E. L. Lehmann,
# Annals of Mathematical Statistics 27 (1956)); 0.955 if it is normal.
RANK_EFFICIENCY = 0.864
# Equally likely values of a standard normal variable, for the mean over what an estimate may be.
_DRAWS = tuple(NormalDist().inv_cdf((number + 0.5) / 40) for number in range(40))


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


class Growth(Protocol):
    """`perfproof.statistics.autocorrelation.growth_of_interval` or `growth_of_claim`."""

    def __call__(self, r1: float, error: float, *, pairs: bool = False) -> float: ...


def blocks_to_decide(
    deviation: float, distance: float, *, confidence: float, power: float = 0.8, growth: Growth | None = None, pairs: bool = False
) -> int:
    """Blocks a side after which an interval at `confidence` (two-sided) excludes a value `distance` away, with probability `power`.

    n = 2 ((z_confidence * w + z_power) * deviation / distance)^2 / efficiency of ranks + z_confidence^2 / 4, the last
    term for the noise being estimated itself (W. C. Guenther, The American Statistician 35 (1981)). w is 1, or with `growth` what an
    interval of independent blocks grows by for the dependence that they seem to show: it takes the estimate of the lag-1 coefficient
    and its standard error, 1 / sqrt(values), and the power is the mean over what independent blocks estimate. At most `MOST_BLOCKS`,
    which stands for "that many or more".
    """
    if deviation == 0:
        return 1
    if distance == 0 or deviation / distance > MOST_BLOCKS:
        return MOST_BLOCKS
    error = NormalDist().inv_cdf(1 - (1 - confidence) / 2)

    def enough(blocks: int) -> bool:
        if growth is None:
            return _chance(blocks, error, 1.0, deviation / distance) >= power
        spread = 1 / math.sqrt(blocks if pairs else 2 * blocks)
        chances = (_chance(blocks, error, growth(spread * z, spread, pairs=pairs), deviation / distance) for z in _DRAWS)
        return sum(chances) >= power * len(_DRAWS)

    return _smallest(enough)


def _chance(blocks: int, error: float, grown: float, noise: float) -> float:
    """The probability that an interval of `error` deviations, `grown`, excludes a value 1 / `noise` deviations of a block away."""
    left = blocks - error**2 / 4
    return NormalDist().cdf(math.sqrt(left * RANK_EFFICIENCY / 2) / noise - error * grown) if left > 0 else 0.0


def _smallest(enough: Callable[[int], bool]) -> int:
    """The smallest number that is enough, by bisection; `MOST_BLOCKS` if none below is."""
    low, high = 0, MOST_BLOCKS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def more_blocks_to_decide(
    deviation: float, distance: float, *, have: int, confidence: float, growth: Growth | None = None, pairs: bool = False
) -> int:
    """Blocks a side beyond the `have` that are there; 1 at least, because these did not decide."""
    needed = blocks_to_decide(deviation, distance, confidence=confidence, growth=growth, pairs=pairs)
    return min(MOST_BLOCKS, max(1, needed - have))
