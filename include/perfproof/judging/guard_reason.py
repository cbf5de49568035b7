"""Why a guard got its answer, in words."""

from __future__ import annotations

from perfproof.config import Mode
from perfproof.judging.evidence import Evidence
from perfproof.judging.levels import blocks_to_claim, claim_confidence
from perfproof.judging.phrases import confidence_text, dependent, more_blocks, plain, too_few, worse_or_better
from perfproof.judging.verdicts import NO_NOISE, GuardLabel, GuardVerdict, Scale, blocks_at_least


def guard_reason(verdict: GuardVerdict, evidence: Evidence, *, beyond: bool, quiet: bool, mode: Mode) -> str:
    """One to three sentences: the change, its interval and how many blocks it rests on, what that means, what would decide."""
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
        more = f" {more_blocks(verdict.runs_needed)}" if verdict.runs_needed else ""
        return f"{text}, {compared} {margin}. {NO_NOISE}{more}"
    low, high = (worse_or_better(end, unit, bound=bound) for end in (verdict.ci_low, verdict.ci_high))
    text += f" ({confidence_text(verdict.level or verdict.confidence)} interval {low} to {high}"
    text += f", {verdict.blocks[0]} and {verdict.blocks[1]} blocks{' in pairs' if evidence.paired else ''}"
    if evidence.stretch > 1.05:
        text += f", {evidence.stretch:.1f} times as wide since neighbouring blocks resemble each other"
    return f"{text}){_meaning(verdict, evidence, margin=margin, bound=bound)}" + (f" {verdict.warning}" if verdict.warning else "")


def _meaning(verdict: GuardVerdict, evidence: Evidence, *, margin: str, bound: float) -> str:
    if verdict.label is GuardLabel.REGRESSION:
        return f": beyond {margin}."
    if verdict.label is GuardLabel.NO_REGRESSION:
        inside = verdict.ci_high is not None and verdict.ci_high < bound
        return f": all of it is within {margin}." if inside else f": the estimate is within {margin}, the interval is not."
    if evidence.dependent:
        return f". {dependent(evidence.dependence.r1, evidence.dependence.effective, min(verdict.blocks))}"
    more = more_blocks(verdict.runs_needed)
    if not verdict.looks_worse:
        return f": {margin} is neither kept nor broken for certain. {more}"
    least = blocks_to_claim(verdict.confidence)
    if not evidence.can_claim:
        return f": it looks worse, but fewer than {least} blocks a side cannot tell a regression from noise. {more}"
    sure = confidence_text(claim_confidence(verdict.confidence))
    return f": it looks worse, but not at the {sure} that a regression takes, whatever the dependence between blocks. {more}"
