"""Errors among requests: shares, their intervals, and the comparison of two of them. Never ranks: counts are not measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided interval."""

    estimate: float
    low: float
    high: float


def wilson(events: float, total: float, *, confidence: float) -> Interval:
    """The share events/total with Wilson's score interval. Not whole numbers are allowed (effective counts).

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927). ValueError unless 0 <= events <= total > 0.
    """
    if not 0 <= events <= total or total <= 0:
        raise ValueError("events must lie between 0 and a positive total")
    z2 = NormalDist().inv_cdf(1 - (1 - confidence) / 2) ** 2
    share = events / total
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(z2 * (share * (1 - share) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    # The ends are exactly 0 and 1 where nothing or everything failed; the formula misses them by a rounding.
    return Interval(share, 0.0 if events == 0 else max(0.0, centre - half), 1.0 if events == total else min(1.0, centre + half))


def difference(before: tuple[float, float], after: tuple[float, float], *, confidence: float) -> Interval:
    """after - before of two shares, each (events, total), with Newcombe's interval built of two Wilson intervals.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873, method 10.
    """
    b, a = wilson(*before, confidence=confidence), wilson(*after, confidence=confidence)
    estimate = a.estimate - b.estimate
    low = estimate - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = estimate + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(estimate, low, high)


def ratio(before: tuple[float, float], after: tuple[float, float], *, confidence: float) -> Interval | None:
    """after / before of two rates, with the exact interval given the sum of the events. None if `before` has no events.

    Given K events in all, those after are binomial(K, N2 r / (N1 + N2 r)); the ends are Clopper and Pearson's.
    """
    from scipy.special import betaincinv

    (k1, n1), (k2, n2) = before, after
    if k1 <= 0 or n1 <= 0 or n2 <= 0:
        return None
    tail = (1 - confidence) / 2
    low = float(betaincinv(k2, k1 + 1, tail)) if k2 > 0 else 0.0
    high = float(betaincinv(k2 + 1, k1, 1 - tail))
    return Interval((k2 / n2) / (k1 / n1), _odds(low) * n1 / n2, _odds(high) * n1 / n2)


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else math.inf


def chance_of_more(before: tuple[int, int], after: tuple[int, int]) -> float:
    """One-sided p of the exact conditional test: given all events, how likely so many fall on `after` if the rates are equal."""
    from scipy.special import bdtrc

    (k1, n1), (k2, n2) = before, after
    if k2 == 0 or n1 + n2 == 0:
        return 1.0
    return float(bdtrc(k2 - 1, k1 + k2, n2 / (n1 + n2)))


def chance_of_more_effective(before: tuple[float, float], after: tuple[float, float]) -> float:
    """`chance_of_more` for effective counts, which are not whole: the binomial tail continued by the incomplete beta function."""
    from scipy.special import betainc

    (k1, n1), (k2, n2) = before, after
    if k2 <= 0 or n1 + n2 <= 0:
        return 1.0
    return float(betainc(k2, k1 + 1, n2 / (n1 + n2)))


def with_estimated_variance(confidence: float, *, freedom: int) -> float:
    """The confidence to ask of a normal interval so that it has Student's width for `freedom` degrees of freedom.

    A burstiness seen in a few blocks is itself uncertain; source: P. McCullagh and J. A. Nelder, "Generalized Linear
    Models" (1989), 4.5. `confidence` itself without degrees of freedom.
    """
    from scipy.special import stdtrit

    if freedom < 1:
        return confidence
    # Seven standard deviations stand for all that is wider: beyond them a confidence is 1 in floating point.
    return min(1 - 1e-12, 2 * NormalDist().cdf(float(stdtrit(freedom, 1 - (1 - confidence) / 2))) - 1)


def burstiness(sides: Sequence[Sequence[tuple[int, int]]]) -> float:
    """How much more the blocks of a side differ than independent errors would: Pearson's chi-square by its degrees of freedom.

    1.0 at least. Counts divided by it carry the information of that many independent requests (the design effect of
    J. N. K. Rao and A. J. Scott, Biometrics 48 (1992)), so that one burst does not pass for a hundred observations.
    """
    chi_square, freedom = 0.0, 0
    for blocks in sides:
        events, total = sum(k for k, _ in blocks), sum(n for _, n in blocks)
        if len(blocks) < 2 or not 0 < events < total:
            continue
        share = events / total
        chi_square += sum((k - n * share) ** 2 / (n * share * (1 - share)) for k, n in blocks if n)
        freedom += len(blocks) - 1
    return max(1.0, chi_square / freedom) if freedom else 1.0
