"""Did the target metric improve by at least the threshold?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from perfproof.config import Mode
from perfproof.judging.block_values import measured, trouble_with
from perfproof.judging.evidence import Evidence, least_gain_of_pairs, weigh
from perfproof.judging.levels import blocks_to_claim, claim_confidence
from perfproof.judging.noise import noise_warning
from perfproof.judging.relative_change import turned
from perfproof.judging.target_reason import target_reason
from perfproof.judging.verdicts import TargetLabel, TargetVerdict, blocks_at_least
from perfproof.statistics.autocorrelation import growth_of_claim, growth_of_interval
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
    ordered: bool = True,
    paired: bool = False,
) -> TargetVerdict:
    """Whether `metric` improved by `threshold_percent` or more, from one value per block of each side.

    proved: the whole interval at `confidence` and the plain change reach the threshold, and with the evidence that a claim
    takes (see `perfproof.judging.levels`; below 5 blocks a side that of the interval), widened by the dependence between
    blocks that cannot be ruled out, there is an improvement at all. met: the plain change reaches the threshold, the rest
    does not hold. short: the interval ends below the threshold, or, in mode `point`, the plain change does not reach it.
    inconclusive: all else, among it a missing value and, in mode `proved`, fewer than 4 blocks a side. Blocks that visibly
    depend on their neighbours rarely leave anything but met or inconclusive. Mode `point` passes met and proved, mode
    `proved` only proved.

    Blocks in pairs that depend on each other also prove it if the interval that takes them as independent reaches the threshold
    and every one of at least 8 pairs improved by twice the threshold (on logarithms: 27.75 % for 15 %). Whatever drifts falls
    on both blocks of a pair; a drift of one side alone would have to hold for all of them.

    `ordered`: the values stand in the order of measuring. `paired`: blocks i of both sides were measured side by side. All
    levels follow from `confidence`. Text instead of numbers raises TelemetryError.
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
    evidence = weigh(x, y, confidence=confidence, ordered=ordered, paired=paired)
    found, gain = evidence.found, turned(evidence.found, direction.sign)
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
        level=found.level if enough else None,
        autocorrelation=evidence.dependence.r1 if enough and ordered else None,
        warning=noise_warning(x, y) if enough else None,
    )
    quiet = enough and len(set(x)) == 1 and len(set(y)) == 1
    least = least_gain_of_pairs(x, y, sign=direction.sign) if paired and enough else None
    clear = (
        least is not None
        and 100 * turned(evidence.plain, direction.sign).low >= threshold_percent
        and least >= _twice(threshold_percent, direction)
    )
    label = _target_label(verdict, evidence, enough=enough, quiet=quiet, clear=clear, mode=mode)
    passes = label is TargetLabel.PROVED or (mode is Mode.POINT and label is TargetLabel.MET)
    runs = 0
    if not enough:
        runs = max(1, needed - min(blocks))
    elif label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE):
        runs = _runs_needed(verdict, evidence, needed=needed)
    verdict = replace(verdict, label=label, passes=passes, runs_needed=runs)
    return replace(verdict, reason=target_reason(verdict, evidence, mode=mode, enough=enough, quiet=quiet, least=least))


def _twice(threshold_percent: float, direction: Direction) -> float:
    """The share that a metric improves by if it improves by the threshold twice."""
    once = 1 + direction.sign * threshold_percent / 100
    return direction.sign * (once * abs(once) - 1)


def _target_label(verdict: TargetVerdict, evidence: Evidence, *, enough: bool, quiet: bool, clear: bool, mode: Mode) -> TargetLabel:
    gain, sign, threshold = turned(evidence.found, verdict.direction.sign), verdict.direction.sign, float(verdict.threshold_percent)
    if not enough:
        if mode is Mode.PROVED:
            return TargetLabel.INCONCLUSIVE
        return TargetLabel.MET if verdict.meets_threshold else TargetLabel.SHORT
    if quiet:
        return TargetLabel.PROVED if verdict.meets_threshold else TargetLabel.SHORT
    # By the letter a wider interval must not turn a failure into a pass.
    high = turned(evidence.plain, sign).high if mode is Mode.POINT else gain.high
    if 100 * high < threshold:
        return TargetLabel.SHORT
    if verdict.meets_threshold:
        if clear:
            return TargetLabel.PROVED
        better = turned(evidence.claimed, sign).low > 0
        return TargetLabel.PROVED if 100 * gain.low >= threshold and better else TargetLabel.MET
    return TargetLabel.SHORT if mode is Mode.POINT else TargetLabel.INCONCLUSIVE


def _runs_needed(verdict: TargetVerdict, evidence: Evidence, *, needed: int) -> int:
    found, have, sign = evidence.found, min(verdict.blocks), verdict.direction.sign
    distance = found.distance(found.estimate, sign * float(verdict.threshold_percent) / 100)
    pairs = evidence.side_by_side
    runs = more_blocks_to_decide(
        found.deviation, distance, have=have, confidence=verdict.confidence, growth=growth_of_interval, pairs=pairs
    )
    if evidence.dependent:
        runs = max(runs, math.ceil(needed * evidence.dependence.stretch**2) - have)
    if verdict.meets_threshold:
        level = claim_confidence(verdict.confidence)
        nothing = found.distance(found.estimate, 0.0)
        runs = max(runs, blocks_to_claim(verdict.confidence) - have)
        more = more_blocks_to_decide(found.deviation, nothing, have=have, confidence=level, growth=growth_of_claim, pairs=pairs)
        runs = max(runs, more)
    return runs
