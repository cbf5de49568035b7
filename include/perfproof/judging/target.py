"""Did the target metric improve by at least the threshold?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfproof.config import Mode
from perfproof.judging.block_values import measured, trouble_with
from perfproof.judging.phrases import confidence_text, figure, more_blocks, plain, too_few
from perfproof.judging.relative_change import Span, relative_change, turned
from perfproof.judging.verdicts import NO_NOISE, TargetLabel, TargetVerdict, blocks_at_least
from perfproof.statistics.effect_size import cliffs_delta
from perfproof.statistics.percent_change import exact, exact_median, improvement
from perfproof.statistics.sample_size import more_blocks_to_decide
from perfproof.telemetry import Direction, Unit


def judge_target(
    metric: str,
    unit: Unit,
    direction: Direction,
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    threshold_percent: float = 15.0,
    mode: Mode,
    confidence: float = 0.95,
) -> TargetVerdict:
    """Whether `metric` improved by `threshold_percent` or more, from one value per block of each side.

    proved: the whole interval and the plain change reach the threshold. met: the plain change does, the interval does
    not. short: the interval ends below the threshold, or, in mode `point`, the plain change does not reach it.
    inconclusive: all else, among it a missing value and, in mode `proved`, fewer than 4 blocks a side. Mode `point`
    passes met and proved, mode `proved` only proved. Text instead of numbers raises TelemetryError.
    """
    x, y = measured(before, where=f"{metric} of the baseline"), measured(after, where=f"{metric} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = TargetVerdict(
        metric=metric, unit=unit, direction=direction, label=TargetLabel.INCONCLUSIVE, passes=False,
        baseline=None, optimized=None, absolute=None, improvement_percent=None, meets_threshold=False,
        threshold_percent=threshold_percent, estimate_percent=None, ci_low=None, ci_high=None, confidence=confidence,
        blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = trouble_with(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    base, best = exact_median(x), exact_median(y)
    change = improvement(base, best, direction)
    if change is None:
        reason = "The baseline is zero: no share of it can be improved."
        return replace(
            nothing,
            baseline=float(base),
            optimized=float(best),
            absolute=float(direction.sign * (best - base)),
            reason=reason,
        )
    meets = change >= exact(threshold_percent)
    found = relative_change(x, y, confidence=confidence)
    gain = turned(found, direction.sign)
    enough = min(blocks) >= needed
    verdict = replace(
        nothing,
        baseline=float(base),
        optimized=float(best),
        absolute=float(direction.sign * (best - base)),
        improvement_percent=float(change),
        meets_threshold=meets,
        estimate_percent=100 * gain.estimate,
        ci_low=100 * gain.low if enough else None,
        ci_high=100 * gain.high if enough else None,
        cliffs_delta=cliffs_delta(x, y),
    )
    quiet = enough and len(set(x)) == 1 and len(set(y)) == 1
    label = _target_label(gain, float(threshold_percent), meets, enough=enough, quiet=quiet, mode=mode)
    passes = label is TargetLabel.PROVED or (mode is Mode.POINT and label is TargetLabel.MET)
    runs = 0
    if not enough:
        runs = max(1, needed - min(blocks))
    elif label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE):
        share = direction.sign * float(threshold_percent) / 100
        distance = found.distance(found.estimate, share)
        runs = more_blocks_to_decide(found.deviation, distance, have=min(blocks), confidence=confidence)
    verdict = replace(verdict, label=label, passes=passes, runs_needed=runs)
    return replace(verdict, reason=_target_reason(verdict, mode=mode, enough=enough, quiet=quiet))


def _target_label(gain: Span, threshold: float, meets: bool, *, enough: bool, quiet: bool, mode: Mode) -> TargetLabel:
    if not enough:
        if mode is Mode.PROVED:
            return TargetLabel.INCONCLUSIVE
        return TargetLabel.MET if meets else TargetLabel.SHORT
    if quiet:
        return TargetLabel.PROVED if meets else TargetLabel.SHORT
    if 100 * gain.high < threshold:
        return TargetLabel.SHORT
    if meets:
        return TargetLabel.PROVED if 100 * gain.low >= threshold else TargetLabel.MET
    return TargetLabel.SHORT if mode is Mode.POINT else TargetLabel.INCONCLUSIVE


def _target_reason(verdict: TargetVerdict, *, mode: Mode, enough: bool, quiet: bool) -> str:
    bound = verdict.threshold_percent
    change = verdict.improvement_percent or 0.0
    word = "improved" if change >= 0 else "got worse"
    text = f"{verdict.metric} {word} by {figure(abs(change), bound=bound)} %"
    if not enough or verdict.ci_low is None or verdict.ci_high is None:
        if mode is Mode.PROVED:
            return f"{text}. {too_few(verdict.blocks, blocks_at_least(verdict.confidence))}"
        compared = "reaches" if verdict.meets_threshold else "is below"
        return f"{text}, which {compared} {plain(bound)} %. With so few blocks nothing is known of the noise."
    if quiet:
        compared = "reaches" if verdict.meets_threshold else "is below"
        return f"{text}, which {compared} {plain(bound)} %. {NO_NOISE}"
    low, high = figure(verdict.ci_low, bound=bound), figure(verdict.ci_high, bound=bound)
    text += f" ({confidence_text(verdict.confidence)} interval {low} to {high} %, {verdict.blocks[0]} and {verdict.blocks[1]} blocks)"
    if verdict.label is TargetLabel.PROVED:
        return f"{text}: all of it reaches {plain(bound)} %."
    if verdict.label is TargetLabel.MET:
        return f"{text}: the estimate reaches {plain(bound)} %, the lower end does not. {more_blocks(verdict.runs_needed)}"
    if verdict.label is TargetLabel.INCONCLUSIVE:
        return f"{text}: the estimate is below {plain(bound)} %, and more is still possible. {more_blocks(verdict.runs_needed)}"
    if verdict.ci_high < bound:
        return f"{text}: all of it is below {plain(bound)} %."
    return f"{text}: the estimate is below {plain(bound)} %."
