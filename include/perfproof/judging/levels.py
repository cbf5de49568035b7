"""How much evidence each answer takes. Everything follows from the confidence that is asked for.

A pass (`no regression`, `proved`) rests on the two-sided interval at that confidence: one-sided 2.5 % at 95 %. Blaming a
change takes five times as much: a two-sided interval at 1 - (1 - confidence) / 5, 99 % for 95 %, so one-sided 0.5 %. An
identical build is then called a regression in at most 0.5 % of the comparisons of independent blocks, whatever the shape
of their noise, since the interval is exact. What is worse at the first level only is undecided, which is no pass.
"""

from __future__ import annotations

import math

from perfproof.statistics.mann_whitney import smallest_side

STRICTER = 5


def claim_confidence(confidence: float) -> float:
    """The two-sided confidence at which a regression is claimed: 0.99 for 0.95."""
    return 1 - (1 - confidence) / STRICTER


def claim_tail(confidence: float) -> float:
    """The one-sided level of such a claim: 0.005 for 0.95."""
    return (1 - claim_confidence(confidence)) / 2


def blocks_to_claim(confidence: float) -> int:
    """The fewest blocks a side that can ever show a regression in noise: 5 at 95 %, 7 at 99 %."""
    return smallest_side(claim_confidence(confidence))


def blocks_to_claim_one_of(guards: int, *, confidence: float) -> int:
    """The same if `guards` were looked at and the worst is to be named (Holm's correction): 6 for three guards at 95 %."""
    return smallest_side(1 - 2 * claim_tail(confidence) / max(1, guards))


def chance_of_two_constants(m: int, n: int) -> float:
    """How often identical builds show one value in all m blocks and a larger one in all n, at worst: 0.4 % at 4 + 4.

    With a share p of the smaller value it is p^m (1 - p)^n, which is largest at p = m / (m + n). More than two values make
    it rarer: the sum over pairs of values is at most the largest term of two.
    """
    return math.exp(m * math.log(m / (m + n)) + n * math.log(n / (m + n)))
