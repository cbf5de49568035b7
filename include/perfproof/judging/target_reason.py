"""Why the target got its answer, in words."""

from __future__ import annotations

from perfproof.config import Mode
from perfproof.judging.evidence import Evidence
from perfproof.judging.phrases import between, confidence_text, dependent, figure, more_blocks, plain, too_few
from perfproof.judging.verdicts import NO_NOISE, TargetLabel, TargetVerdict, blocks_at_least


def target_reason(verdict: TargetVerdict, evidence: Evidence, *, mode: Mode, enough: bool, quiet: bool, least: float | None) -> str:
    """One to three sentences: the change, its interval and how many blocks it rests on, what that means, what would decide.

    `least` is the smallest improvement of a pair, where blocks are pairs.
    """
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
    ends = between(verdict.ci_low, verdict.ci_high, "%", bound=bound)
    text += f" ({confidence_text(verdict.level or verdict.confidence)} interval {ends}"
    text += f", {verdict.blocks[0]} and {verdict.blocks[1]} blocks{' in pairs' if evidence.paired else ''}"
    if evidence.stretch > 1.05:
        text += f", {evidence.stretch:.1f} times as wide since neighbouring blocks resemble each other"
    return f"{text}){_meaning(verdict, evidence, bound=bound, least=least)}" + (f" {verdict.warning}" if verdict.warning else "")


def _meaning(verdict: TargetVerdict, evidence: Evidence, *, bound: float, least: float | None) -> str:
    if verdict.label is TargetLabel.PROVED and least is not None and (verdict.ci_low is None or verdict.ci_low < bound):
        return (
            f", and every one of {min(verdict.blocks)} pairs improved by {figure(100 * least, bound=bound)} % or more:"
            f" far beyond {plain(bound)} %."
        )
    if verdict.label is TargetLabel.PROVED:
        return f": all of it reaches {plain(bound)} %."
    if verdict.label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE) and evidence.dependent:
        return f". {dependent(evidence.dependence.r1, evidence.dependence.effective, min(verdict.blocks))}"
    more = more_blocks(verdict.runs_needed)
    if verdict.label is TargetLabel.MET:
        if verdict.ci_low is not None and verdict.ci_low >= bound:
            return (
                f": all of it reaches {plain(bound)} %, but blocks that depend on each other more than these show could feign an"
                f" improvement. {more}"
            )
        return f": the estimate reaches {plain(bound)} %, the lower end does not. {more}"
    if verdict.label is TargetLabel.INCONCLUSIVE:
        return f": the estimate is below {plain(bound)} %, and more is still possible. {more}"
    if verdict.ci_high is not None and verdict.ci_high < bound:
        return f": all of it is below {plain(bound)} %."
    return f": the estimate is below {plain(bound)} %."
