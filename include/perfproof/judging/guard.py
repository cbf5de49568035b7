"""Did a guard metric get worse by more than its margin?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from perfproof.config import Mode
from perfproof.errors import ConfigError
from perfproof.judging.block_values import measured, trouble_with
from perfproof.judging.evidence import Evidence, chance_of_worse, weigh
from perfproof.judging.growth import growth_of
from perfproof.judging.guard_reason import guard_reason
from perfproof.judging.levels import blocks_to_claim, chance_of_two_constants, claim_confidence, claim_tail
from perfproof.judging.noise import noise_warning
from perfproof.judging.relative_change import Span, turned
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, Scale, blocks_at_least
from perfproof.statistics.autocorrelation import growth_of_claim, growth_of_interval
from perfproof.statistics.percent_change import exact, exact_median
from perfproof.statistics.sample_size import more_blocks_to_decide
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
    ordered: bool = True,
    paired: bool = False,
) -> GuardVerdict:
    """Whether `name` got worse by more than its margin: `margin` (a share of the baseline) or `floor`, whichever is larger.

    no regression: the whole interval of the worsening at `confidence`, and the plain change, stay inside the margin.
    regression: the interval at 1 - (1 - confidence) / 5 (99 % for 95 %), widened by the dependence between blocks that
    cannot be ruled out, excludes "not worse", and the estimate exceeds the margin; this takes 5 blocks a side, or 4 where
    neither side varies at all. In mode `point` also a plain change beyond the margin. inconclusive: all else, among it
    missing values and, in mode `proved`, fewer than 4 blocks a side, and most comparisons of blocks that visibly depend on
    their neighbours.

    `ordered`: the values stand in the order of measuring. `paired`: blocks i of both sides were measured side by side.
    With `trend` a steady growth that would leave the margin within as many blocks again keeps a guard from passing. All
    levels follow from `confidence`. Text instead of numbers raises TelemetryError, a negative margin ConfigError.
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
    asked = _ask(x, y, sign=-direction.sign, margin=margin, floor=floor, confidence=confidence, ordered=ordered, paired=paired)
    found, factor = asked.evidence.found, 100.0 if asked.evidence.found.relative else 1.0
    label = _guard_label(asked, trend=trend, confidence=confidence, mode=mode)
    base, best = exact_median(x), exact_median(y)
    verdict = replace(
        nothing,
        label=label,
        scale=Scale.PERCENT if found.relative else Scale.UNIT,
        baseline=float(base),
        optimized=float(best),
        worsening=factor * asked.span.estimate,
        regression_percentage=float(asked.worse / base * 100) if base else None,
        ci_low=factor * asked.span.low if asked.enough else None,
        ci_high=factor * asked.span.high if asked.enough else None,
        margin=factor * asked.limit,
        looks_worse=asked.looks_worse,
        p=chance_of_worse(x, y, sign=-direction.sign, paired=asked.evidence.paired) if asked.enough and not asked.quiet else None,
        level=found.level if asked.enough else None,
        autocorrelation=asked.evidence.dependence.r1 if asked.enough and ordered else None,
        warning=noise_warning(x, y) if asked.enough else None,
    )
    verdict = replace(verdict, runs_needed=_runs_needed(verdict, asked, needed=needed, confidence=confidence))
    verdict = replace(verdict, reason=guard_reason(verdict, asked.evidence, beyond=asked.beyond, quiet=asked.quiet, mode=mode))
    return _with_trend(verdict, asked) if trend and asked.enough else verdict


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question of one guard and what bears on it: positive is worse, `limit` is the margin on the scale of the spans."""

    before: tuple[float, ...]
    after: tuple[float, ...]
    sign: int
    evidence: Evidence
    span: Span
    limit: float
    worse: Fraction
    beyond: bool
    enough: bool
    quiet: bool

    @property
    def looks_worse(self) -> bool:
        return self.enough and turned(self.evidence.plain, self.sign).low > 0 and self.span.estimate > self.limit


def _ask(
    x: tuple[float, ...], y: tuple[float, ...], *, sign: int, margin: float, floor: float, confidence: float, ordered: bool, paired: bool
) -> _Asked:  # fmt: skip
    base, best = exact_median(x), exact_median(y)
    worse, allowed = sign * (best - base), max(exact(margin) * base, exact(floor))
    evidence = weigh(x, y, confidence=confidence, ordered=ordered, paired=paired)
    enough = min(len(x), len(y)) >= blocks_at_least(confidence)
    return _Asked(
        before=x, after=y, sign=sign, evidence=evidence, span=turned(evidence.found, sign),
        limit=float(allowed / base) if evidence.found.relative else float(allowed), worse=worse, beyond=worse > allowed,
        enough=enough, quiet=enough and len(set(x)) == 1 and len(set(y)) == 1,
    )  # fmt: skip


def _guard_label(asked: _Asked, *, trend: bool, confidence: float, mode: Mode) -> GuardLabel:
    if mode is Mode.POINT:
        if asked.beyond or (not asked.quiet and _claims(asked, trend=trend, confidence=confidence)):
            return GuardLabel.REGRESSION
        # The letter would pass it although all blocks together look worse: undecided.
        return GuardLabel.INCONCLUSIVE if asked.looks_worse and not asked.quiet else GuardLabel.NO_REGRESSION
    if not asked.enough:
        return GuardLabel.INCONCLUSIVE
    if asked.quiet:
        if not asked.beyond:
            return GuardLabel.NO_REGRESSION
        rare = chance_of_two_constants(len(asked.before), len(asked.after)) <= claim_tail(confidence)
        return GuardLabel.REGRESSION if rare else GuardLabel.INCONCLUSIVE
    if _claims(asked, trend=trend, confidence=confidence):
        return GuardLabel.REGRESSION
    return GuardLabel.NO_REGRESSION if asked.span.high < asked.limit and not asked.beyond else GuardLabel.INCONCLUSIVE


def _claims(asked: _Asked, *, trend: bool, confidence: float) -> bool:
    evidence = asked.evidence
    if not (asked.enough and evidence.can_claim and asked.span.estimate > asked.limit):
        return False
    if turned(evidence.claimed, asked.sign).low > 0:
        return True
    if not trend:
        return False
    # What grows steadily resembles its neighbours for that reason: the growth is evidence of its own, not dependence.
    growth = growth_of(asked.before, asked.after, evidence.plain, sign=asked.sign)
    steady = growth is not None and growth.p <= claim_tail(confidence)
    return steady and chance_of_worse(asked.before, asked.after, sign=asked.sign, paired=evidence.paired) <= claim_tail(confidence)


def _runs_needed(verdict: GuardVerdict, asked: _Asked, *, needed: int, confidence: float) -> int:
    if not asked.enough:
        return max(1, needed - min(verdict.blocks))
    if verdict.label is not GuardLabel.INCONCLUSIVE:
        return 0
    evidence, have = asked.evidence, min(verdict.blocks)
    least = 1
    if evidence.dependent:
        least = math.ceil(needed * evidence.dependence.stretch**2) - have
    if asked.span.estimate > asked.limit:
        # Beyond the margin it is "not worse at all" that must be excluded, and with the evidence that blame takes.
        least = max(least, blocks_to_claim(confidence) - have)
        distance = evidence.found.distance(evidence.found.estimate, 0.0)
        level, growth = claim_confidence(confidence), growth_of_claim
    else:
        distance = evidence.found.distance(evidence.found.estimate, asked.sign * asked.limit)
        level, growth = confidence, growth_of_interval
    runs = more_blocks_to_decide(
        evidence.found.deviation, distance, have=have, confidence=level, growth=growth, pairs=evidence.side_by_side
    )
    return max(least, runs)


def _with_trend(verdict: GuardVerdict, asked: _Asked) -> GuardVerdict:
    """`verdict`, but no pass for a metric that steadily grows out of its margin."""
    growth = growth_of(asked.before, asked.after, asked.evidence.plain, sign=asked.sign)
    if growth is None or growth.p > (1 - verdict.confidence) / 2 or growth.ahead <= asked.limit:
        return verdict
    if verdict.label is GuardLabel.REGRESSION:
        return replace(verdict, reason=f"{verdict.reason} And it is still growing from block to block.")
    word = "And" if verdict.label is GuardLabel.INCONCLUSIVE else "But"
    reason = (
        f"{verdict.reason} {word} it grows from block to block (p {growth.p:.2g}), and would leave the margin within"
        f" as many blocks again: measure {len(asked.after)} more a side."
    )
    runs = max(verdict.runs_needed, len(asked.after))
    return replace(verdict, label=GuardLabel.INCONCLUSIVE, runs_needed=runs, reason=reason)
