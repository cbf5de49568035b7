"""What is asked of measured blocks, and what they answer by themselves: target, guards, and what nobody guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfproof.config import Judge, Mode, Service, Thresholds
from perfproof.judging.error_rate import judge_error_rate_target
from perfproof.judging.guarded import errors_of, judge_guards, values_of
from perfproof.judging.measured_blocks import Block, Kind, Located, Side, in_pairs
from perfproof.judging.samples import enough_requests
from perfproof.judging.target import judge_target
from perfproof.judging.unguarded import judge_unguarded
from perfproof.judging.verdicts import GuardVerdict, TargetLabel, TargetVerdict


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdicts on one set of blocks. `reported` are metrics that nobody guards."""

    target: TargetVerdict
    guards: tuple[GuardVerdict, ...]
    reported: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of blocks, at whichever confidence."""

    service: Service
    target: Located
    thresholds: Thresholds
    judge: Judge
    block_seconds: float

    def answer(self, blocks: Sequence[Block], *, confidence: float) -> Answer:
        """What these blocks say by themselves."""
        judge = replace(self.judge, confidence=confidence)
        unguarded = judge_unguarded(blocks, self.service, self.target, judge=judge, block_seconds=self.block_seconds)
        guards = judge_guards(blocks, self.service, judge=judge, block_seconds=self.block_seconds)
        return Answer(self._target(blocks, judge), (*guards, *unguarded.suspects), unguarded.reported)

    def _target(self, blocks: Sequence[Block], judge: Judge) -> TargetVerdict:
        target, threshold = self.target, self.thresholds.improvement
        if target.kind is Kind.ERROR_RATE:
            old, new = (errors_of(blocks, side) for side in Side)
            return judge_error_rate_target(
                target.name, before=old, after=new, threshold_percent=threshold, mode=judge.mode, confidence=judge.confidence
            )
        before, after = (values_of(blocks, side, target, block_seconds=self.block_seconds) for side in Side)
        verdict = judge_target(
            target.name, target.unit, target.direction, before, after,
            threshold_percent=threshold, mode=judge.mode, confidence=judge.confidence, paired=in_pairs(blocks),
        )  # fmt: skip
        too_short = enough_requests(blocks, target)
        if too_short and judge.mode is Mode.PROVED and verdict.label is not TargetLabel.INCONCLUSIVE:
            return replace(verdict, label=TargetLabel.INCONCLUSIVE, passes=False, reason=f"{verdict.reason} But {too_short}")
        return replace(verdict, reason=f"{verdict.reason} But {too_short}") if too_short else verdict
