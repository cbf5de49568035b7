"""How much neighbouring blocks depend on each other, and what that does to an interval that assumes they do not.

Four to twelve values a side do not show their autocorrelation: at 8 blocks a side the estimate is off by 0.25 as often as
not. So three numbers are given. `r1` is the best estimate. `bound` is what the values do not rule out at 90 % (one-sided); a
claim that blames or praises must hold even then. `reckoned` is what an interval of two sides that were measured apart reckons
with: an estimate above zero is also one that may be too low, and the more it stands out the more it is taken for real, up to
two and a half standard errors. Independent values lose little by it, since half of their estimates lie below zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

# An effective number of blocks below a twentieth of the real one would only say "no idea".
MOST = 0.9
CAUTION = NormalDist().inv_cdf(0.90)
# Two sides that were measured apart may be in two states, which nothing cancels: a claim must hold against more.
CAUTION_APART = NormalDist().inv_cdf(0.975)
# How many standard errors are added to an estimate that stands out, and from where on it stands out (95 %, one-sided). From 20 values
# on it takes fewer, since more values show their dependence. Chosen by simulation (`bench/error_rates.py`): intervals of 4 to 12
# AR(1) blocks a side then hold the truth nearly as often as those of independent ones, and those of more blocks not more often.
RECKONED_ERRORS = 2.5
FEW_VALUES, FADES_OVER = 20, 18
STANDS_OUT = NormalDist().inv_cdf(0.95)
# Dependence counts as visible if independent values would show as much in one of a hundred cases.
VISIBLE = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Dependence:
    """Lag-1 autocorrelation `r1` (corrected for its bias, -1 to 0.9), its upper `bound`, and `values` of the smaller side."""

    r1: float
    bound: float
    values: int
    visible: bool = False
    reckoned: float = 0.0
    bound_apart: float = 0.0

    @property
    def stretch(self) -> float:
        """By how much intervals grow: the square root of (1 + r1) / (1 - r1), 1 at least."""
        return _stretch(self.r1)

    @property
    def stretch_apart(self) -> float:
        """The same for two sides that were measured apart, where nothing of the dependence cancels in pairs."""
        return _stretch(self.reckoned)

    @property
    def cautious_stretch(self) -> float:
        """The same for the strongest dependence that the values do not rule out."""
        return _stretch(self.bound)

    @property
    def cautious_stretch_apart(self) -> float:
        """The strongest that the values of two sides apart do not rule out at 97.5 %: their states never cancel."""
        return _stretch(self.bound_apart)

    @property
    def effective(self) -> float:
        """n (1 - r1) / (1 + r1): as many independent blocks of the smaller side would tell as much. Never more than there are."""
        return self.values / self.stretch**2

    def too_strong(self, needed: int) -> bool:
        """Whether dependence is visible and leaves fewer than `needed` effective blocks a side."""
        return self.visible and self.effective < needed


INDEPENDENT = Dependence(0.0, 0.0, 0)


def _stretch(r: float) -> float:
    return math.sqrt((1 + r) / (1 - r)) if r > 0 else 1.0


def reckoned_with(r1: float, error: float) -> float:
    """`r1` and up to two and a half of its standard errors, in the measure in which it stands out; 0 for an estimate below zero."""
    if r1 <= 0:
        return 0.0
    errors = RECKONED_ERRORS * math.exp(-max(0.0, 1 / error**2 - FEW_VALUES) / FADES_OVER)
    return r1 + min(1.0, r1 / (STANDS_OUT * error)) * errors * error


def growth_of_interval(r1: float, error: float, *, pairs: bool = False) -> float:
    """By how much an interval grows for an estimate with this standard error; `pairs`: for what depends in the differences of pairs."""
    return _stretch(min(MOST, r1 if pairs else reckoned_with(r1, error)))


def growth_of_claim(r1: float, error: float, *, pairs: bool = False) -> float:
    """The same for the interval that a claim takes."""
    return _stretch(min(MOST, r1 + CAUTION * error if pairs else _bound_apart(r1, error)))


def _bound_apart(r1: float, error: float) -> float:
    return max(reckoned_with(r1, error), r1 + CAUTION_APART * error)


def dependence(*series: Sequence[float], resolution: float = 0.0) -> Dependence:
    """Dependence of neighbours within each of `series`, each in the order of measuring and about a mean of its own.

    The lag-1 coefficient of a short series is too small by (1 + 3 r) / n (F. H. C. Marriott and J. A. Pope, Biometrika 41
    (1954); M. G. Kendall, the same volume); its standard error is about 1 / sqrt(all values). Series that vary by no more than
    `resolution` (rounding), or of fewer than 3 values, show nothing. n_eff: G. V. Bayley and J. M. Hammersley, JRSS Supplement 8 (1946).
    """
    products, squares, count, used = 0.0, 0.0, 0, 0
    for values in series:
        if len(values) < 3 or max(values) - min(values) <= resolution:
            continue
        mean = math.fsum(values) / len(values)
        residuals = [v - mean for v in values]
        products += math.fsum(a * b for a, b in pairwise(residuals))
        squares += math.fsum(r * r for r in residuals)
        count, used = count + len(values), used + 1
    smallest = min((len(values) for values in series), default=0)
    if squares == 0:
        return Dependence(0.0, 0.0, smallest)
    raw, error = products / squares, 1 / math.sqrt(count)
    r1 = min(MOST, raw + (1 + 3 * max(raw, 0.0)) * used / count)
    return Dependence(
        r1=r1, bound=max(0.0, min(MOST, r1 + CAUTION * error)), values=smallest, visible=r1 > VISIBLE * error,
        reckoned=min(MOST, reckoned_with(r1, error)), bound_apart=max(0.0, min(MOST, _bound_apart(r1, error))),
    )  # fmt: skip
