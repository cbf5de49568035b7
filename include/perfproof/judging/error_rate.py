"""Errors among requests, judged as counts: did the rate rise by more than the floor?"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from perfproof.config import Mode
from perfproof.judging.error_counts import Blocks, Bursts, Pooled, bursts_of, checked_counts, pooled, without_requests
from perfproof.judging.error_rate_target import judge_error_rate_target
from perfproof.judging.levels import claim_confidence, claim_tail
from perfproof.judging.phrases import confidence_text, more_blocks, plain, too_few, worse_or_better
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, Scale, blocks_at_least
from perfproof.statistics.counts import chance_of_more, chance_of_more_effective, difference
from perfproof.statistics.percent_change import exact
from perfproof.statistics.sample_size import MOST_BLOCKS
from perfproof.telemetry import Direction, Unit

__all__ = ["judge_error_rate", "judge_error_rate_target"]


def judge_error_rate(
    name: str,
    *,
    before: Blocks,
    after: Blocks,
    floor_points: float,
    confidence: float,
    mode: Mode = Mode.PROVED,
    margin: float = 0.0,
    ordered: bool = True,
) -> GuardVerdict:
    """Whether the error rate rose by more than `floor_points` percentage points (or `margin`, a share of the baseline's rate).

    `before` and `after` are (errors, requests) per block. The interval is Newcombe's for a difference of shares, on counts
    reduced by the burstiness of the errors and by its lasting over blocks (`ordered`: as they were measured); all figures
    but `regression_percentage` are percentage points. Labels as `judge_guard`: a regression takes the interval at
    1 - (1 - confidence) / 5, and the exact conditional test at the same level, on counts of the strongest dependence
    between blocks that cannot be ruled out. TelemetryError for anything but whole numbers with 0 <= errors <= requests.
    """
    x, y = checked_counts(before, where=f"{name} of the baseline"), checked_counts(after, where=f"{name} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = GuardVerdict(
        metric=name, unit=Unit.PERCENT, direction=Direction.LOWER, label=GuardLabel.INCONCLUSIVE, scale=Scale.POINTS,
        baseline=None, optimized=None, worsening=None, regression_percentage=None, ci_low=None, ci_high=None, margin=None,
        floor=floor_points, confidence=confidence, blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = without_requests(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    old, new = pooled(x), pooled(y)
    base, best = Fraction(100 * old[0], old[1]), Fraction(100 * new[0], new[1])
    allowed = max(exact(margin) * base, exact(floor_points))
    beyond, limit, bursts = best - base > allowed, float(allowed), bursts_of(x, y, ordered=ordered)
    span = bursts.points(old, new, confidence=confidence)
    enough = min(blocks) >= needed
    looks_worse = enough and _plain_low(bursts, old, new, confidence) > 0 and span.estimate > limit
    claimed = enough and span.estimate > limit and _claims(bursts, old, new, confidence)
    if mode is Mode.POINT:
        label = GuardLabel.REGRESSION if beyond or claimed else GuardLabel.NO_REGRESSION
        label = GuardLabel.INCONCLUSIVE if looks_worse and label is GuardLabel.NO_REGRESSION else label
    elif claimed:
        label = GuardLabel.REGRESSION
    else:
        label = GuardLabel.NO_REGRESSION if enough and span.high < limit else GuardLabel.INCONCLUSIVE
    runs = 0 if enough else max(1, needed - min(blocks))
    if enough and label is GuardLabel.INCONCLUSIVE:
        runs = _more_blocks(old, new, bursts, limit, have=min(blocks), confidence=confidence)
    verdict = replace(
        nothing,
        label=label,
        baseline=float(base),
        optimized=float(best),
        worsening=span.estimate,
        regression_percentage=float((best - base) / base * 100) if base else None,
        ci_low=span.low if enough else None,
        ci_high=span.high if enough else None,
        margin=limit,
        runs_needed=runs,
        looks_worse=looks_worse,
        p=chance_of_more_effective(bursts.reduced(old), bursts.reduced(new)) if enough else None,
        level=confidence if enough else None,
        autocorrelation=bursts.dependence.r1 if enough and ordered and bursts.factor > 1 else None,
    )
    return replace(verdict, reason=_reason(verdict, old, new, bursts, mode=mode))


def _plain_low(bursts: Bursts, old: Pooled, new: Pooled, confidence: float) -> float:
    before, after = ((k / bursts.factor, n / bursts.factor) for k, n in (old, new))
    return difference(before, after, confidence=confidence).low


def _claims(bursts: Bursts, old: Pooled, new: Pooled, confidence: float, *, times: float = 1.0) -> bool:
    strict = claim_confidence(confidence)
    before, after = (bursts.reduced(counts, cautious=True, times=times) for counts in (old, new))
    exact_too = chance_of_more_effective(before, after) <= claim_tail(confidence)
    return exact_too and bursts.points(old, new, confidence=strict, cautious=True, times=times).low > 0


def _more_blocks(old: Pooled, new: Pooled, bursts: Bursts, limit: float, *, have: int, confidence: float) -> int:
    """Blocks a side to add until the same rates would decide, found by bisection."""

    def decides(blocks: int) -> bool:
        span = bursts.points(old, new, confidence=confidence, times=blocks / have)
        return _claims(bursts, old, new, confidence, times=blocks / have) if span.estimate > limit else span.high < limit

    low, high = have, have + MOST_BLOCKS
    if not decides(high):
        return MOST_BLOCKS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return min(MOST_BLOCKS, max(1, high - have))


def _reason(verdict: GuardVerdict, old: Pooled, new: Pooled, bursts: Bursts, *, mode: Mode) -> str:
    bound = verdict.margin or 0.0
    text = f"{new[0]} errors in {new[1]} requests after {old[0]} in {old[1]}"
    change = worse_or_better(verdict.worsening or 0.0, "points", bound=bound)
    margin = f"the margin of {plain(bound)} points"
    if verdict.ci_low is None or verdict.ci_high is None:
        if mode is Mode.PROVED:
            return f"{text}, {change}. {too_few(verdict.blocks, blocks_at_least(verdict.confidence))}"
        compared = "more than" if verdict.label is GuardLabel.REGRESSION else "within"
        return f"{text}, {change}, {compared} {margin}."
    low, high = (worse_or_better(end, "points", bound=bound) for end in (verdict.ci_low, verdict.ci_high))
    text += f", {change} ({confidence_text(verdict.confidence)} interval {low} to {high}"
    if bursts.factor > 1.05:
        text += f", widened because errors came in bursts, {bursts.factor:.1f} times the variance of single ones"
    elif new[0]:
        text += f", exact p of a rise {chance_of_more(old, new):.2g}"
    text += ")"
    if verdict.label is GuardLabel.REGRESSION:
        return f"{text}: beyond {margin}."
    if verdict.label is GuardLabel.INCONCLUSIVE and verdict.looks_worse:
        sure = confidence_text(claim_confidence(verdict.confidence))
        return f"{text}: it looks worse, but not at the {sure} that a regression takes. {more_blocks(verdict.runs_needed)}"
    if verdict.label is GuardLabel.INCONCLUSIVE:
        return f"{text}: {margin} is neither kept nor broken for certain. {more_blocks(verdict.runs_needed)}"
    if verdict.ci_high < bound:
        return f"{text}: all of it is within {margin}."
    return f"{text}: the estimate is within {margin}, the interval is not."
