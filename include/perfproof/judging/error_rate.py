"""Errors among requests, judged as counts: did the rate rise by more than the floor, or fall by the target's threshold?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from perfproof.config import Mode
from perfproof.errors import TelemetryError
from perfproof.judging.phrases import confidence_text, figure, more_blocks, plain, too_few, worse_or_better
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, Scale, TargetLabel, TargetVerdict, blocks_at_least
from perfproof.statistics.counts import Interval, burstiness, chance_of_more, difference, ratio
from perfproof.statistics.percent_change import exact, improvement
from perfproof.statistics.sample_size import MOST_BLOCKS
from perfproof.telemetry import Direction, Unit

Blocks = Sequence[tuple[int, int]]


def _checked(blocks: Blocks, *, where: str) -> tuple[tuple[int, int], ...]:
    for position, block in enumerate(blocks):
        whole = len(block) == 2 and all(type(v) is int for v in block)
        if not whole or not 0 <= block[0] <= block[1]:
            raise TelemetryError(
                312, where=f"{where}[{position}]", what="not errors of requests", got=block, expected="(errors, requests)",
                fix="correct the measurement",
            )  # fmt: skip
    return tuple((k, n) for k, n in blocks)


def _pooled(blocks: Blocks) -> tuple[int, int]:
    return sum(k for k, _ in blocks), sum(n for _, n in blocks)


def _without_requests(before: Blocks, after: Blocks) -> str | None:
    for side, blocks in (("baseline", before), ("candidate", after)):
        if not blocks:
            return f"The {side} has no block."
        empty = sum(1 for _, n in blocks if n == 0)
        if empty:
            return f"{empty} of {len(blocks)} blocks of the {side} have no request."
    return None


def judge_error_rate(
    name: str,
    *,
    before: Blocks,
    after: Blocks,
    floor_points: float,
    confidence: float,
    mode: Mode = Mode.PROVED,
    margin: float = 0.0,
) -> GuardVerdict:
    """Whether the error rate rose by more than `floor_points` percentage points (or `margin`, a share of the baseline's rate).

    `before` and `after` are (errors, requests) per block. The interval is Newcombe's for a difference of shares, on counts
    reduced by the burstiness of the errors; all figures but `regression_percentage` are percentage points. Labels as
    `judge_guard`. TelemetryError for anything but whole numbers with 0 <= errors <= requests.
    """
    x, y = _checked(before, where=f"{name} of the baseline"), _checked(after, where=f"{name} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = GuardVerdict(
        metric=name, unit=Unit.PERCENT, direction=Direction.LOWER, label=GuardLabel.INCONCLUSIVE, scale=Scale.POINTS,
        baseline=None, optimized=None, worsening=None, regression_percentage=None, ci_low=None, ci_high=None, margin=None,
        floor=floor_points, confidence=confidence, blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = _without_requests(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    old, new = _pooled(x), _pooled(y)
    base, best = Fraction(100 * old[0], old[1]), Fraction(100 * new[0], new[1])
    allowed = max(exact(margin) * base, exact(floor_points))
    beyond, limit, bursts = best - base > allowed, float(allowed), burstiness((x, y))
    span = _points(old, new, bursts, confidence)
    enough = min(blocks) >= needed
    proved = enough and span.low > 0 and span.estimate > limit
    if mode is Mode.POINT:
        label = GuardLabel.REGRESSION if beyond or proved else GuardLabel.NO_REGRESSION
    elif proved:
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
    )
    return replace(verdict, reason=_reason(verdict, old, new, bursts, mode=mode))


def _points(old: tuple[int, int], new: tuple[int, int], bursts: float, confidence: float, *, factor: float = 1.0) -> Interval:
    scale = factor / bursts
    found = difference((old[0] * scale, old[1] * scale), (new[0] * scale, new[1] * scale), confidence=confidence)
    return Interval(100 * found.estimate, 100 * found.low, 100 * found.high)


def _more_blocks(old: tuple[int, int], new: tuple[int, int], bursts: float, limit: float, *, have: int, confidence: float) -> int:
    """Blocks a side to add until the same rates would decide, found by bisection."""

    def decides(blocks: int) -> bool:
        span = _points(old, new, bursts, confidence, factor=blocks / have)
        return span.low > 0 if span.estimate > limit else span.high < limit

    low, high = have, have + MOST_BLOCKS
    if not decides(high):
        return MOST_BLOCKS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return min(MOST_BLOCKS, max(1, high - have))


def _reason(verdict: GuardVerdict, old: tuple[int, int], new: tuple[int, int], bursts: float, *, mode: Mode) -> str:
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
    if bursts > 1.05:
        text += f", widened because errors came in bursts, {bursts:.1f} times the variance of single ones"
    elif new[0]:
        text += f", exact p of a rise {chance_of_more(old, new):.2g}"
    text += ")"
    if verdict.label is GuardLabel.REGRESSION:
        return f"{text}: beyond {margin}."
    if verdict.label is GuardLabel.INCONCLUSIVE:
        return f"{text}: {margin} is neither kept nor broken for certain. {more_blocks(verdict.runs_needed)}"
    if verdict.ci_high < bound:
        return f"{text}: all of it is within {margin}."
    return f"{text}: the estimate is within {margin}, the interval is not."


def judge_error_rate_target(
    metric: str, *, before: Blocks, after: Blocks, threshold_percent: float = 15.0, mode: Mode, confidence: float = 0.95
) -> TargetVerdict:
    """Whether the error rate, as the target metric, fell by `threshold_percent` of itself or more. Labels as `judge_target`.

    The interval is exact for the ratio of two rates given all errors, on counts reduced by the burstiness of the errors.
    """
    x, y = _checked(before, where=f"{metric} of the baseline"), _checked(after, where=f"{metric} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = TargetVerdict(
        metric=metric, unit=Unit.PERCENT, direction=Direction.LOWER, label=TargetLabel.INCONCLUSIVE, passes=False,
        baseline=None, optimized=None, absolute=None, improvement_percent=None, meets_threshold=False,
        threshold_percent=threshold_percent, estimate_percent=None, ci_low=None, ci_high=None, confidence=confidence,
        blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = _without_requests(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    old, new = _pooled(x), _pooled(y)
    base, best = Fraction(100 * old[0], old[1]), Fraction(100 * new[0], new[1])
    nothing = replace(nothing, baseline=float(base), optimized=float(best), absolute=float(base - best))
    change = improvement(base, best, Direction.LOWER)
    bursts = burstiness((x, y))
    found = ratio((old[0] / bursts, old[1] / bursts), (new[0] / bursts, new[1] / bursts), confidence=confidence)
    if change is None or found is None:
        return replace(nothing, reason="The baseline has no errors: no share of them can be saved.")
    meets, enough = change >= exact(threshold_percent), min(blocks) >= needed
    low, high = 100 * (1 - found.high), 100 * (1 - found.low)
    if not enough:
        point = TargetLabel.MET if meets else TargetLabel.SHORT
        label = point if mode is Mode.POINT else TargetLabel.INCONCLUSIVE
    elif high < threshold_percent:
        label = TargetLabel.SHORT
    elif meets:
        label = TargetLabel.PROVED if low >= threshold_percent else TargetLabel.MET
    else:
        label = TargetLabel.SHORT if mode is Mode.POINT else TargetLabel.INCONCLUSIVE
    text = f"{new[0]} errors in {new[1]} requests after {old[0]} in {old[1]}, {figure(float(change), bound=threshold_percent)} % fewer"
    if enough:
        text += f" ({confidence_text(confidence)} interval {figure(low)} to {figure(high)} %)."
    else:
        text += ". With so few blocks nothing is known of the noise." if mode is Mode.POINT else f". {too_few(blocks, needed)}"
    return replace(
        nothing,
        label=label,
        passes=label is TargetLabel.PROVED or (mode is Mode.POINT and label is TargetLabel.MET),
        improvement_percent=float(change),
        meets_threshold=meets,
        estimate_percent=float(change),
        ci_low=low if enough else None,
        ci_high=high if enough else None,
        runs_needed=max(1, needed - min(blocks)) if label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE) else 0,
        reason=text,
    )
