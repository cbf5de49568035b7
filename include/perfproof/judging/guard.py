"""Did a guard metric get worse by more than its margin?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from perfproof.config import Mode
from perfproof.errors import ConfigError
from perfproof.judging.block_values import measured, trouble_with
from perfproof.judging.phrases import confidence_text, more_blocks, plain, too_few, worse_or_better
from perfproof.judging.relative_change import Change, Span, relative_change, turned
from perfproof.judging.verdicts import NO_NOISE, GuardLabel, GuardVerdict, Scale, blocks_at_least
from perfproof.statistics.percent_change import exact, exact_median
from perfproof.statistics.sample_size import more_blocks_to_decide
from perfproof.statistics.trend import trend as trend_of
from perfproof.telemetry import Direction, Unit


def judge_guard(
    name: str,
    unit: Unit,
    direction: Direction,
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    margin: float,
    floor: float,
    confidence: float = 0.95,
    mode: Mode,
    trend: bool = False,
) -> GuardVerdict:
    """Whether `name` got worse by more than its margin: `margin` (a share of the baseline) or `floor`, whichever is larger.

    no regression: the whole interval of the worsening, and the plain change, stay inside the margin. regression: the
    interval excludes "not worse" and the estimate exceeds the margin; in mode `point` also a plain change beyond it.
    inconclusive: all else, among it missing values and, in mode `proved`, fewer than 4 blocks a side. With `trend` the
    values are taken in their order, and a steady growth that would leave the margin within as many blocks again keeps
    a guard from passing. Text instead of numbers raises TelemetryError, a negative margin ConfigError.
    """
    if not (math.isfinite(margin) and math.isfinite(floor) and margin >= 0 and floor >= 0):
        raise ConfigError(
            190,
            where=f"guard {name}",
            what="margin and floor must be 0 or more",
            got=(margin, floor),
            fix="correct them",
        )
    x, y = measured(before, where=f"{name} of the baseline"), measured(after, where=f"{name} of the candidate")
    blocks, needed = (len(x), len(y)), blocks_at_least(confidence)
    nothing = GuardVerdict(
        metric=name, unit=unit, direction=direction, label=GuardLabel.INCONCLUSIVE, scale=Scale.PERCENT, baseline=None,
        optimized=None, worsening=None, regression_percentage=None, ci_low=None, ci_high=None, margin=None, floor=floor,
        confidence=confidence, blocks=blocks, runs_needed=max(1, needed - min(blocks)), reason="",
    )  # fmt: skip
    trouble = trouble_with(x, y)
    if trouble:
        return replace(nothing, reason=trouble)
    base, best = exact_median(x), exact_median(y)
    worse, allowed = -direction.sign * (best - base), max(exact(margin) * base, exact(floor))
    found = relative_change(x, y, confidence=confidence)
    span, enough = turned(found, -direction.sign), min(blocks) >= needed
    factor = 100.0 if found.relative else 1.0
    limit = float(allowed / base) if found.relative else float(allowed)
    quiet = enough and len(set(x)) == 1 and len(set(y)) == 1
    beyond = worse > allowed
    label = _guard_label(span, limit, beyond, enough=enough, quiet=quiet, mode=mode)
    verdict = replace(
        nothing,
        label=label,
        scale=Scale.PERCENT if found.relative else Scale.UNIT,
        baseline=float(base),
        optimized=float(best),
        worsening=factor * span.estimate,
        regression_percentage=float(worse / base * 100) if base else None,
        ci_low=factor * span.low if enough else None,
        ci_high=factor * span.high if enough else None,
        margin=factor * limit,
    )
    if not enough:
        runs = max(1, needed - min(blocks))
    elif label is GuardLabel.INCONCLUSIVE:
        # Beyond the margin it is "not worse at all" that must be excluded, inside it the margin.
        bound = 0.0 if span.estimate > limit else -direction.sign * limit
        distance = found.distance(found.estimate, bound)
        runs = more_blocks_to_decide(found.deviation, distance, have=min(blocks), confidence=confidence)
    else:
        runs = 0
    verdict = replace(verdict, runs_needed=runs)
    verdict = replace(verdict, reason=_guard_reason(verdict, beyond=beyond, quiet=quiet, mode=mode))
    if trend and enough and label is not GuardLabel.INCONCLUSIVE:
        verdict = _with_trend(verdict, x, y, limit, found)
    return verdict


def _guard_label(span: Span, limit: float, beyond: bool, *, enough: bool, quiet: bool, mode: Mode) -> GuardLabel:
    if not enough and mode is Mode.PROVED:
        return GuardLabel.INCONCLUSIVE
    proved = enough and span.low > 0 and span.estimate > limit
    if not enough or quiet or mode is Mode.POINT:
        return GuardLabel.REGRESSION if beyond or (proved and not quiet) else GuardLabel.NO_REGRESSION
    if proved:
        return GuardLabel.REGRESSION
    return GuardLabel.NO_REGRESSION if span.high < limit and not beyond else GuardLabel.INCONCLUSIVE


def _guard_reason(verdict: GuardVerdict, *, beyond: bool, quiet: bool, mode: Mode) -> str:
    unit = "%" if verdict.scale is Scale.PERCENT else verdict.unit.value
    bound = verdict.margin or 0.0
    margin = f"the margin of {plain(bound)} {unit}"
    change = verdict.regression_percentage if verdict.scale is Scale.PERCENT else verdict.worsening
    text = worse_or_better(change or 0.0, unit, bound=bound)
    compared = "more than" if beyond else "within"
    if verdict.ci_low is None or verdict.ci_high is None:
        if mode is Mode.PROVED:
            return f"{text}. {too_few(verdict.blocks, blocks_at_least(verdict.confidence))}"
        return f"{text}, {compared} {margin}. With so few blocks nothing is known of the noise."
    if quiet:
        text = "No difference at all" if verdict.worsening == 0 else text
        return f"{text}, {compared} {margin}. {NO_NOISE}"
    low, high = (worse_or_better(end, unit, bound=bound) for end in (verdict.ci_low, verdict.ci_high))
    text += f" ({confidence_text(verdict.confidence)} interval {low} to {high}, {verdict.blocks[0]} and {verdict.blocks[1]} blocks)"
    if verdict.label is GuardLabel.REGRESSION:
        return f"{text}: beyond {margin}."
    if verdict.label is GuardLabel.INCONCLUSIVE:
        return f"{text}: {margin} is neither kept nor broken for certain. {more_blocks(verdict.runs_needed)}"
    if verdict.ci_high < bound:
        return f"{text}: all of it is within {margin}."
    return f"{text}: the estimate is within {margin}, the interval is not."


def _with_trend(verdict: GuardVerdict, x: Sequence[float], y: Sequence[float], limit: float, found: Change) -> GuardVerdict:
    """`verdict`, but no pass for a metric that steadily grows out of its margin.

    Compared block by block, so that what grows on both sides (a warming process) cancels.
    """
    before, after = ([math.log(v) for v in x], [math.log(v) for v in y]) if found.logarithmic else (list(x), list(y))
    partners = before if len(before) == len(after) else [median(before)] * len(after)
    scale = median(x) if found.relative and not found.logarithmic else 1.0
    sign = -verdict.direction.sign
    worsening = [sign * (b - a) / scale for a, b in zip(partners, after, strict=True)]
    growth, recent = trend_of(worsening), trend_of(worsening[len(worsening) // 2 :])
    if growth.slope <= 0 or growth.p > (1 - verdict.confidence) / 2:
        return verdict
    # A process that warms up slows down: the later half tells it from a leak.
    ahead = growth.at_end + max(0.0, min(growth.slope, recent.slope)) * len(after)
    worse = sign * math.expm1(sign * ahead) if found.logarithmic else ahead
    if worse <= limit:
        return verdict
    if verdict.label is GuardLabel.REGRESSION:
        return replace(verdict, reason=f"{verdict.reason} And it is still growing from block to block.")
    reason = (
        f"{verdict.reason} But it grows from block to block (p {growth.p:.2g}), and would leave the margin within"
        f" as many blocks again: measure {len(after)} more a side."
    )
    return replace(verdict, label=GuardLabel.INCONCLUSIVE, runs_needed=len(after), reason=reason)
