"""Every declared guard judged on the blocks, and the error rate even where none is declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfproof.config import Guard, GuardKind, Judge, Mode, Service
from perfproof.judging.error_rate import judge_error_rate
from perfproof.judging.guard import judge_guard
from perfproof.judging.levels import blocks_to_claim_one_of, claim_tail
from perfproof.judging.measured_blocks import Block, Kind, Located, Side, in_pairs, value_in
from perfproof.judging.phrases import more_blocks, plain
from perfproof.judging.verdicts import GuardLabel, GuardVerdict
from perfproof.statistics.multiplicity import holm
from perfproof.telemetry import Direction, Unit

# A build that fails fast has a fine latency: errors are guarded whether the protocol file asks for it or not.
ERROR_RATE = Guard("error_rate", GuardKind.ERROR_RATE, Unit.PERCENT, Direction.LOWER, margin=0.0, floor=0.5)


def values_of(blocks: Sequence[Block], side: Side, metric: Located, *, block_seconds: float) -> tuple[float | None, ...]:
    """The metric in each block of `side`, in order."""
    return tuple(value_in(b, metric, block_seconds=block_seconds) for b in blocks if b.side is side)


def errors_of(blocks: Sequence[Block], side: Side) -> tuple[tuple[int, int], ...]:
    """(errors, requests) in each block of `side`, in order."""
    return tuple((b.errors, b.requests) for b in blocks if b.side is side)


def judge_guards(blocks: Sequence[Block], service: Service, *, judge: Judge, block_seconds: float) -> tuple[GuardVerdict, ...]:
    """One verdict per guard, in the order of the protocol file. A gauge is also judged for growing from block to block."""
    guards = service.guards
    if all(g.kind is not GuardKind.ERROR_RATE for g in guards):
        guards = (*guards, ERROR_RATE)
    return named_together([_judge(blocks, guard, judge=judge, block_seconds=block_seconds) for guard in guards], mode=judge.mode)


def named_together(verdicts: Sequence[GuardVerdict], *, mode: Mode) -> tuple[GuardVerdict, ...]:
    """`verdicts`, with regressions only where they stand after Holm's correction for having looked at all of them.

    "None of these regressed" needs no correction, since each guard must show it by itself (an intersection-union test);
    "these regressed" does, or ten guards of an identical build would raise ten times the false alarms. Guards without
    noise have no p and are left as they are. In mode `point` the letter decides and nothing is corrected.
    """
    family = [i for i, v in enumerate(verdicts) if v.p is not None]
    if mode is Mode.POINT:
        return tuple(verdicts)
    adjusted = dict(zip(family, holm([verdicts[i].p or 0.0 for i in family]), strict=True))
    return tuple(_corrected(v, adjusted.get(i), among=len(family)) for i, v in enumerate(verdicts))


def _corrected(verdict: GuardVerdict, p: float | None, *, among: int) -> GuardVerdict:
    if p is None or verdict.label is not GuardLabel.REGRESSION or p <= claim_tail(verdict.confidence):
        return verdict
    runs = max(1, blocks_to_claim_one_of(among, confidence=verdict.confidence) - min(verdict.blocks))
    reason = (
        f"{verdict.reason} But among {among} guards one may look so by chance (p {p:.2g} after Holm's correction, at most"
        f" {plain(claim_tail(verdict.confidence))} is needed). {more_blocks(runs)}"
    )
    return replace(verdict, label=GuardLabel.INCONCLUSIVE, runs_needed=runs, reason=reason)


def _judge(blocks: Sequence[Block], guard: Guard, *, judge: Judge, block_seconds: float) -> GuardVerdict:
    if guard.kind is GuardKind.ERROR_RATE:
        return judge_error_rate(
            guard.name,
            before=errors_of(blocks, Side.BASELINE),
            after=errors_of(blocks, Side.CANDIDATE),
            floor_points=guard.floor,
            margin=guard.margin,
            confidence=judge.confidence,
            mode=judge.mode,
        )
    metric = Located(guard.name, Kind.GUARD, guard.unit, guard.direction, key=guard.name)
    return judge_guard(
        guard.name,
        guard.unit,
        guard.direction,
        values_of(blocks, Side.BASELINE, metric, block_seconds=block_seconds),
        values_of(blocks, Side.CANDIDATE, metric, block_seconds=block_seconds),
        margin=guard.margin,
        floor=guard.floor,
        confidence=judge.confidence,
        mode=judge.mode,
        trend=guard.kind is GuardKind.GAUGE,
        paired=in_pairs(blocks),
    )
