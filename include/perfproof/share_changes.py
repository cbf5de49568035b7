"""What became of shares, of one profile a side or of several: the difference, its interval, and a name for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, variance

from perfproof.statistics.counts import difference

# One profile a side: three standard errors, because all functions are looked at together.
ONE_PROFILE_CONFIDENCE = 0.9973
# Several: of the changes that are named, this part is expected to be none, at most.
FALSE_DISCOVERIES = 0.05


class Change(StrEnum):
    """What became of a share. `unchanged` says that no change is shown, `unknown` that the sampling error is not known."""

    NEW = "new"
    GONE = "gone"
    GROWN = "grown"
    SHRUNK = "shrunk"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Side:
    """The shares (0 to 1) by function in each profile of a side, and the samples of each, 0 where that is not known."""

    shares: tuple[Mapping[str, float], ...]
    samples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A function's share (0 to 1) before and after, and the interval of after - before.

    With one profile a side the interval has 99.73 % confidence and comes from counting alone (Newcombe); None if the number of
    samples is not known. With several it has 95 % and comes from the profiles (Welch), and `p` is adjusted for all functions.
    """

    function: str
    before: float
    after: float
    low: float | None
    high: float | None
    p: float | None
    change: Change


def changes_of(before: Side, after: Side, *, least: float) -> tuple[ShareChange, ...]:
    """What became of each function, the largest change first. Differences of `least` at most are no change.

    Several profiles of one side only are taken as one. Samples are counted as if they were independent, which those of one long
    call are not: several profiles a side tell more than one long one.
    """
    functions = sorted({f for side in (before, after) for shares in side.shares for f in shares})
    if min(len(before.shares), len(after.shares)) >= 2:
        found = _tested(functions, before, after, least)
    else:
        found = [_counted(f, before, after, least) for f in functions]
    return tuple(sorted(found, key=lambda c: (-abs(c.after - c.before), c.function)))


def _counted(function: str, before: Side, after: Side, least: float) -> ShareChange:
    (x, m), (y, n) = _pooled(before, function), _pooled(after, function)
    if not m or not n:
        return ShareChange(function, x, y, None, None, None, Change.UNKNOWN)
    interval = difference((x * m, m), (y * n, n), confidence=ONE_PROFILE_CONFIDENCE)
    certain = interval.low > 0 or interval.high < 0
    return ShareChange(function, x, y, interval.low, interval.high, None, _name(x, y, certain=certain, least=least))


def _pooled(side: Side, function: str) -> tuple[float, int]:
    """The share over all profiles of a side, each counting by its samples, and the samples; 0 if one of them is not known."""
    values = [shares.get(function, 0.0) for shares in side.shares]
    if not all(side.samples):
        return fmean(values), 0
    # A share of 1 can come out of the mean a rounding above 1.
    return min(1.0, fmean(values, weights=side.samples)), sum(side.samples)


def _tested(functions: Sequence[str], before: Side, after: Side, least: float) -> list[ShareChange]:
    from scipy.stats import false_discovery_control

    if not functions:
        return []
    welch = [_welch(_values(before, f), _values(after, f), _floors(before, f), _floors(after, f)) for f in functions]
    adjusted = false_discovery_control([p for _, _, p in welch], method="bh")
    found = []
    for function, (low, high, _), p in zip(functions, welch, adjusted, strict=True):
        x, y = fmean(_values(before, function)), fmean(_values(after, function))
        name = _name(x, y, certain=bool(p <= FALSE_DISCOVERIES), least=least)
        found.append(ShareChange(function, x, y, low, high, float(p), name))
    return found


def _values(side: Side, function: str) -> list[float]:
    return [shares.get(function, 0.0) for shares in side.shares]


def _floors(side: Side, function: str) -> float:
    """The variance of the mean that counting alone makes, 0 where the samples are not known: profiles may agree by luck."""
    share = fmean(_values(side, function))
    return fmean(share * (1 - share) / n if n else 0.0 for n in side.samples) / len(side.samples)


def _welch(before: Sequence[float], after: Sequence[float], floor_before: float, floor_after: float) -> tuple[float, float, float]:
    """(low, high) of after - before at 95 % and the two-sided p of Welch's test; each variance of a mean is `floor` at least.

    Source: B. L. Welch, "The generalization of Student's problem", Biometrika 34 (1947).
    """
    from scipy.special import stdtr, stdtrit

    m, n = len(before), len(after)
    a, b = max(variance(before) / m, floor_before), max(variance(after) / n, floor_after)
    shift, error = fmean(after) - fmean(before), math.sqrt(a + b)
    if not error:
        return shift, shift, 1.0 if not shift else 0.0
    freedom = (a + b) ** 2 / (a * a / (m - 1) + b * b / (n - 1))
    half = float(stdtrit(freedom, 0.975)) * error
    return shift - half, shift + half, min(1.0, 2 * float(stdtr(freedom, -abs(shift) / error)))


def _name(before: float, after: float, *, certain: bool, least: float) -> Change:
    if not certain or abs(after - before) <= least:
        return Change.UNCHANGED
    if not before:
        return Change.NEW
    if not after:
        return Change.GONE
    return Change.GROWN if after > before else Change.SHRUNK
