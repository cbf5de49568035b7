"""Errors among requests as the target metric: did the rate fall by the threshold?"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from perfproof.config import Mode
from perfproof.judging.error_counts import Blocks, bursts_of, checked_counts, pooled, without_requests
from perfproof.judging.phrases import between, confidence_text, figure, too_few
from perfproof.judging.verdicts import TargetLabel, TargetVerdict, blocks_at_least
from perfproof.statistics.counts import ratio, with_estimated_variance
from perfproof.statistics.percent_change import exact, improvement
from perfproof.telemetry import Direction, Unit


def judge_error_rate_target(
    metric: str,
    *,
    before: Blocks,
    after: Blocks,
    threshold_percent: float = 15.0,
    mode: Mode,
    confidence: float = 0.95,
    ordered: bool = True,
) -> TargetVerdict:
    """Whether the error rate, as the target metric, fell by `threshold_percent` of itself or more. Labels as `judge_target`.

    The interval is exact for the ratio of two rates given all errors, on counts reduced by the burstiness of the errors and
    by its lasting over blocks. `proved` needs all of it at the threshold, so identical builds are far below 1 %.
    """
    x, y = checked_counts(before, where=f"{metric} of the baseline"), checked_counts(after, where=f"{metric} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = TargetVerdict(
        metric=metric, unit=Unit.PERCENT, direction=Direction.LOWER, label=TargetLabel.INCONCLUSIVE, passes=False,
        baseline=None, optimized=None, absolute=None, improvement_percent=None, meets_threshold=False,
        threshold_percent=threshold_percent, estimate_percent=None, ci_low=None, ci_high=None, confidence=confidence,
        blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = without_requests(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    old, new = pooled(x), pooled(y)
    base, best = Fraction(100 * old[0], old[1]), Fraction(100 * new[0], new[1])
    nothing = replace(nothing, baseline=float(base), optimized=float(best), absolute=float(base - best))
    change = improvement(base, best, Direction.LOWER)
    bursts = bursts_of(x, y, ordered=ordered)
    asked = confidence if bursts.factor == 1 else with_estimated_variance(confidence, freedom=bursts.freedom)
    found = ratio(bursts.reduced(old), bursts.reduced(new), confidence=asked)
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
        text += f" ({confidence_text(confidence)} interval {between(low, high, '%')})."
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
