"""What the blocks of both sides say about a change, at the two strengths that answers take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfproof.judging.levels import blocks_to_claim, claim_confidence
from perfproof.judging.relative_change import Change, in_pairs, relative_change
from perfproof.judging.verdicts import blocks_at_least
from perfproof.statistics.autocorrelation import INDEPENDENT, Dependence, dependence
from perfproof.statistics.mann_whitney import chance_of_larger
from perfproof.statistics.signed_rank import chance_of_positive, smallest_pairs

ROUNDING = 1e-12
# All pairs agree by chance in 0.4 % of comparisons at most: less than the smallest part of a look at 98.3 %.
PAIRS_THAT_AGREE = 8


@dataclass(frozen=True, slots=True)
class Evidence:
    """`plain` takes blocks as independent; `found` is what is reported, `stretch` times as wide for their dependence.

    `claimed` is at the stricter level of a claim, widened by the strongest dependence that the blocks do not rule out. If
    `can_claim` is false there are too few blocks for that level, and `claimed` has the usual one. `dependent`: blocks
    visibly depend on their neighbours and tell less than the fewest independent ones that decide; `found` is then widened
    as `claimed` is, which seldom leaves anything decided. `side_by_side`: the blocks were measured in pairs, compared as such
    (`paired`) or not.
    """

    plain: Change
    found: Change
    claimed: Change
    can_claim: bool
    dependence: Dependence
    dependent: bool
    stretch: float
    paired: bool
    side_by_side: bool


def weigh(before: Sequence[float], after: Sequence[float], *, confidence: float, ordered: bool = True, paired: bool = False) -> Evidence:
    """The evidence of two sides (finite, not negative, not empty).

    `ordered`: values stand in the order of measuring, so neighbours tell how dependent blocks are; if not, they are taken
    as independent. `paired`: blocks i of both sides were measured side by side, so what drifts on both cancels: dependence
    is that of the differences, and from 11 pairs on they are what is compared.
    """
    twins = paired and len(before) == len(after)
    compared = twins and in_pairs(before, after, confidence=confidence)
    x, y = _scaled(before, after)
    depends = INDEPENDENT
    if ordered:
        # Differences of logarithms that are equal on paper differ by a rounding, which is no pattern.
        resolution = ROUNDING * max(map(abs, (*x, *y)))
        series = ([b - a for a, b in zip(x, y, strict=True)],) if twins else (x, y)
        depends = dependence(*series, resolution=resolution)
    plain = relative_change(before, after, confidence=confidence, paired=compared)
    fewest = smallest_pairs(claim_confidence(confidence)) if compared else blocks_to_claim(confidence)
    can_claim = min(len(before), len(after)) >= fewest
    strict = relative_change(before, after, confidence=claim_confidence(confidence), paired=compared) if can_claim else plain
    dependent = depends.too_strong(blocks_at_least(confidence))
    ordinary = depends.stretch if twins else depends.stretch_apart
    cautious = depends.cautious_stretch if twins else depends.cautious_stretch_apart
    stretch = cautious if dependent else ordinary
    return Evidence(
        plain=plain, found=plain.stretched(stretch), claimed=strict.stretched(cautious), can_claim=can_claim,
        dependence=depends, dependent=dependent, stretch=stretch, paired=compared, side_by_side=twins,
    )  # fmt: skip


def least_gain_of_pairs(before: Sequence[float], after: Sequence[float], *, sign: int) -> float | None:
    """The smallest improvement of a pair, as a share of its block before; None with fewer than 8 pairs, or a zero before.

    `sign` is +1 where higher is better.
    """
    if len(before) != len(after) or len(before) < PAIRS_THAT_AGREE or min(before) <= 0:
        return None
    return min(sign * (b / a - 1) for a, b in zip(before, after, strict=True))


def chance_of_worse(before: Sequence[float], after: Sequence[float], *, sign: int, paired: bool) -> float:
    """One-sided p of "not worse" against larger (`sign` +1) or smaller (-1) values in `after`, by the test that `weigh` inverts."""
    if paired:
        x, y = _scaled(before, after)
        return chance_of_positive([sign * (b - a) for a, b in zip(x, y, strict=True)])
    return chance_of_larger(before, after) if sign > 0 else chance_of_larger(after, before)


def _scaled(before: Sequence[float], after: Sequence[float]) -> tuple[list[float], list[float]]:
    if min(*before, *after) > 0:
        return [math.log(v) for v in before], [math.log(v) for v in after]
    return list(before), list(after)
