"""(errors, requests) of blocks, checked, and how much the errors tell given that they come in bursts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfproof.errors import TelemetryError
from perfproof.statistics.autocorrelation import INDEPENDENT, Dependence, dependence
from perfproof.statistics.counts import Interval, burstiness, difference, with_estimated_variance

Blocks = Sequence[tuple[int, int]]
Pooled = tuple[int, int]


def checked_counts(blocks: Blocks, *, where: str) -> tuple[tuple[int, int], ...]:
    for position, block in enumerate(blocks):
        whole = len(block) == 2 and all(type(v) is int for v in block)
        if not whole or not 0 <= block[0] <= block[1]:
            raise TelemetryError(
                312, where=f"{where}[{position}]", what="not errors of requests", got=block, expected="(errors, requests)",
                fix="correct the measurement",
            )  # fmt: skip
    return tuple((k, n) for k, n in blocks)


def pooled(blocks: Blocks) -> tuple[int, int]:
    return sum(k for k, _ in blocks), sum(n for _, n in blocks)


def without_requests(before: Blocks, after: Blocks) -> str | None:
    for side, blocks in (("baseline", before), ("candidate", after)):
        if not blocks:
            return f"The {side} has no block."
        empty = sum(1 for _, n in blocks if n == 0)
        if empty:
            return f"{empty} of {len(blocks)} blocks of the {side} have no request."
    return None


@dataclass(frozen=True, slots=True)
class Bursts:
    """By how much the errors of a side vary more than single ones would, with `freedom` degrees, and how long bursts last."""

    factor: float
    freedom: int
    dependence: Dependence

    def reduced(self, counts: Pooled, *, cautious: bool = False, times: float = 1.0) -> tuple[float, float]:
        """Effective counts: as many independent requests would tell as much. Bursts over several blocks count once."""
        stretch = self.dependence.cautious_stretch if cautious else self.dependence.stretch
        scale = times / (self.factor * (stretch**2 if self.factor > 1 else 1.0))
        return counts[0] * scale, counts[1] * scale

    def points(self, old: Pooled, new: Pooled, *, confidence: float, cautious: bool = False, times: float = 1.0) -> Interval:
        """Rise of the rate in percentage points, as if there were `times` as many blocks."""
        asked = confidence if self.factor == 1 else with_estimated_variance(confidence, freedom=max(1, int(self.freedom * times)))
        before, after = (self.reduced(counts, cautious=cautious, times=times) for counts in (old, new))
        found = difference(before, after, confidence=asked)
        return Interval(100 * found.estimate, 100 * found.low, 100 * found.high)


def bursts_of(before: Blocks, after: Blocks, *, ordered: bool) -> Bursts:
    """The burstiness of both sides. Without excess variance between blocks there is nothing that neighbours could share."""
    rates = [[math.asin(math.sqrt(k / n)) for k, n in side if n] for side in (before, after)]
    return Bursts(burstiness((before, after)), len(before) + len(after) - 2, dependence(*rates) if ordered else INDEPENDENT)
