"""The ratio of a percentile after a change to the one before, from raw samples, with blocks as what is drawn again.

Samples of one block (a run, or a minute of load) share a queue and are not independent, so whole blocks are drawn, never
single samples. The draw is seeded with the SHA-256 of the inputs: the same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from perfproof.statistics.percentiles import samples_beyond_maximum

RESAMPLES = 2000
FEWEST_BLOCKS = 4
STRETCH = 256

Blocks = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class PercentileRatio:
    """`before` and `after` are percentiles of all samples of a side, `ratio` is after / before with its interval.

    `low` and `high` are None with a `reason` where blocks or samples are too few to bound it.
    """

    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    blocks: tuple[int, int]
    samples: tuple[int, int]
    reason: str | None = None


def percentile_ratio(
    before: Blocks, after: Blocks, share: float, *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> PercentileRatio:  # fmt: skip
    """Ratio of the `share` (0.95) percentiles (nearest rank) of two sides, each a sequence of blocks of samples.

    The interval takes the percentiles of `resamples` bootstrap ratios, further out than their nominal places because few
    blocks vary too little among themselves: at Phi(-t sqrt(n / (n - 1))) with n the blocks of the smaller side and
    Student's t of m + n - 2 degrees (T. C. Hesterberg, The American Statistician 69 (2015), the expanded percentile
    interval). Fewer than 4 blocks a side, or than 1 / (1 - share) samples in one, leave the ends None. ValueError for an
    empty side or block, for samples that are not finite or not positive, and for a share outside 0 to 1.
    """
    if not 0 < share < 1 or not 0 < confidence < 1 or resamples < 100:
        raise ValueError("share and confidence lie between 0 and 1, and 100 resamples are the fewest")
    sides = [_Side(blocks) for blocks in (before, after)]
    old, new = (float(side.percentile(np.ones((1, side.blocks)), share)[0]) for side in sides)
    counts, samples = (sides[0].blocks, sides[1].blocks), (sides[0].values.size, sides[1].values.size)
    reason = _too_few(sides, share)
    if reason:
        return PercentileRatio(old, new, new / old, None, None, confidence, counts, samples, reason)
    generator = np.random.default_rng(_seed(sides, share, confidence, resamples))
    logs = [np.log(side.percentile(side.weights(generator, resamples), share)) for side in sides]
    ratios = np.sort(logs[1] - logs[0])
    tail = _tail(min(counts), sum(counts) - 2, confidence)
    place = max(0, math.floor(tail * (resamples + 1)) - 1)
    low, high = float(np.exp(ratios[place])), float(np.exp(ratios[-1 - place]))
    return PercentileRatio(old, new, new / old, min(low, new / old), max(high, new / old), confidence, counts, samples)


class _Side:
    """The samples of one side in ascending order, and the block each belongs to."""

    def __init__(self, blocks: Blocks) -> None:
        arrays = [np.asarray(block, dtype=np.float64) for block in blocks]
        if not arrays or any(a.ndim != 1 or not a.size or not np.isfinite(a).all() or (a <= 0).any() for a in arrays):
            raise ValueError("a ratio of percentiles needs blocks of finite positive samples on both sides")
        values = np.concatenate(arrays)
        order = np.argsort(values, kind="stable")
        self.values: NDArray[np.float64] = values[order]
        self.block_of = np.repeat(np.arange(len(arrays)), [a.size for a in arrays])[order]
        self.sizes = np.array([a.size for a in arrays], dtype=np.float64)
        self.blocks = len(arrays)
        counts = [
            np.bincount(self.block_of[begin : begin + STRETCH], minlength=self.blocks) for begin in range(0, self.values.size, STRETCH)
        ]
        self.counts_at_ends = np.cumsum(counts, axis=0).astype(np.float64)
        self.bytes = b"".join(np.sort(a).tobytes() + b"|" for a in arrays)

    def weights(self, generator: np.random.Generator, resamples: int) -> NDArray[np.float64]:
        """How often each block is drawn, one row per resample."""
        drawn: NDArray[np.float64] = generator.multinomial(self.blocks, [1 / self.blocks] * self.blocks, size=resamples).astype(np.float64)
        return drawn

    def percentile(self, weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """The nearest-rank percentile of the samples, each as often as its block was drawn; one value per row."""
        ranks = np.maximum(1, np.ceil(np.round(share * (weights @ self.sizes), 9)))[:, None]
        # First the stretch of samples in which the rank is reached, then the place in it: whole rows would be far larger.
        reached = weights @ self.counts_at_ends.T
        stretch = (reached < ranks).sum(axis=1)
        rows = np.arange(len(weights))
        ahead = np.where(stretch > 0, reached[rows, np.maximum(stretch - 1, 0)], 0.0)[:, None]
        places = stretch[:, None] * STRETCH + np.arange(STRETCH)[None, :]
        inside = np.minimum(places, self.values.size - 1)
        steps = np.where(places < self.values.size, weights[rows[:, None], self.block_of[inside]], 0.0)
        within = (ahead + np.cumsum(steps, axis=1) < ranks).sum(axis=1)
        found: NDArray[np.float64] = self.values[stretch * STRETCH + within]
        return found


def _too_few(sides: Sequence[_Side], share: float) -> str | None:
    fewest, needed = min(side.blocks for side in sides), samples_beyond_maximum(share)
    if fewest < FEWEST_BLOCKS:
        return f"{fewest} blocks a side do not bound it: {FEWEST_BLOCKS} at least are needed."
    smallest = int(min(side.sizes.min() for side in sides))
    if smallest < needed:
        return f"The smallest block has {smallest} samples, of which this percentile is only the largest: {needed} at least are needed."
    return None


def _tail(blocks: int, freedom: int, confidence: float) -> float:
    from scipy.special import stdtrit

    wide = float(stdtrit(freedom, 1 - (1 - confidence) / 2)) * math.sqrt(blocks / (blocks - 1))
    return NormalDist().cdf(-wide)


def _seed(sides: Sequence[_Side], share: float, confidence: float, resamples: int) -> int:
    digest = hashlib.sha256(repr((share, confidence, resamples)).encode())
    for side in sides:
        digest.update(hashlib.sha256(side.bytes).digest())
    return int.from_bytes(digest.digest()[:8], "big")
