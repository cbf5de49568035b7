"""How far two samples are apart, free of units: how often a value of one side is larger than one of the other."""

from __future__ import annotations

from collections.abc import Sequence


def probability_larger(before: Sequence[float], after: Sequence[float]) -> float:
    """A12: the share of pairs in which `after` is larger; ties count half. 0.5 is no difference.

    Source: A. Vargha and H. D. Delaney, Journal of Educational and Behavioral Statistics 25 (2000). ValueError if empty.
    """
    if not before or not after:
        raise ValueError("an effect size needs values on both sides")
    wins = sum(1.0 if y > x else 0.5 if y == x else 0.0 for x in before for y in after)
    return wins / (len(before) * len(after))


def cliffs_delta(before: Sequence[float], after: Sequence[float]) -> float:
    """-1 if every value of `after` is smaller, +1 if every one is larger."""
    return 2 * probability_larger(before, after) - 1
