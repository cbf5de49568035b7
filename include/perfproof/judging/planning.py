"""How many blocks a side a verdict takes, from the noise of one block: what to plan before measuring.

Each figure is the textbook formula of `perfproof.statistics.sample_size`, with the growth of the interval for the
dependence that so few blocks cannot rule out, a reserve, and never below the number that can decide at all. `noise` is the
standard deviation of the logarithm of a block (0.05 for a coefficient of variation of 5 %), shares are 0.05 for 5 %.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from perfproof.judging.levels import blocks_to_claim, claim_confidence
from perfproof.judging.verdicts import blocks_at_least
from perfproof.statistics.autocorrelation import growth_of_claim, growth_of_interval
from perfproof.statistics.sample_size import MOST_BLOCKS, RANK_EFFICIENCY, blocks_to_decide

# Ranks of blocks that have two modes move in jumps, which the formula does not know: so many more made every shape of
# `bench/error_rates.py` right as often as planned.
RESERVE = 1.55


def blocks_for_regression(noise: float, worsening: float, *, margin: float, confidence: float = 0.95, power: float = 0.95) -> int:
    """Blocks a side after which a true `worsening` (more than `margin`) is called a regression with probability `power`."""
    if worsening <= margin:
        return MOST_BLOCKS
    away, beyond = math.log1p(worsening), math.log1p(worsening) - math.log1p(margin)
    claimed = blocks_to_decide(noise, away, confidence=claim_confidence(confidence), power=power, growth=growth_of_claim)
    estimated = math.ceil(2 * (NormalDist().inv_cdf(power) * noise / beyond) ** 2 / RANK_EFFICIENCY)
    return _with_reserve(max(claimed, estimated), least=blocks_to_claim(confidence))


def blocks_for_no_regression(noise: float, *, margin: float, worsening: float = 0.0, confidence: float = 0.95, power: float = 0.95) -> int:
    """Blocks a side after which a true `worsening` (less than `margin`; 0: none) is called no regression with probability `power`."""
    if worsening >= margin:
        return MOST_BLOCKS
    distance = math.log1p(margin) - math.log1p(worsening)
    shown = blocks_to_decide(noise, distance, confidence=confidence, power=power, growth=growth_of_interval)
    return _with_reserve(shown, least=blocks_at_least(confidence))


def blocks_for_improvement(noise: float, improvement: float, *, threshold: float, confidence: float = 0.95, power: float = 0.95) -> int:
    """Blocks a side after which a true `improvement` (more than `threshold`; lower is better) is proved with probability `power`."""
    if improvement <= threshold:
        return MOST_BLOCKS
    better, beyond = -math.log1p(-improvement), math.log1p(-threshold) - math.log1p(-improvement)
    shown = blocks_to_decide(noise, beyond, confidence=confidence, power=power, growth=growth_of_interval)
    claimed = blocks_to_decide(noise, better, confidence=claim_confidence(confidence), power=power, growth=growth_of_claim)
    return _with_reserve(max(shown, claimed), least=blocks_at_least(confidence))


def _with_reserve(blocks: int, *, least: int) -> int:
    return min(MOST_BLOCKS, max(least, math.ceil(RESERVE * blocks)))
