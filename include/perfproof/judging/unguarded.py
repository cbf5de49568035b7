"""What nobody declared as a guard: latencies of the other transactions, and the other percentiles of the target's.

They are too noisy for a margin of 5 %, so an uncertain one does not keep a change from passing; it is reported with its
interval. Guarding decides who must show innocence, not whether guilt may be seen: one that looks worse at the usual
confidence leaves the change undecided, and one that is worse with the evidence of a regression (`perfproof.judging.levels`), after
correction for looking at several, counts as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfproof.config import Judge, Mode, Service
from perfproof.judging.block_values import measured
from perfproof.judging.documents import interval, number, rounded
from perfproof.judging.guard import judge_guard
from perfproof.judging.guarded import values_of
from perfproof.judging.levels import blocks_to_claim_one_of, claim_tail
from perfproof.judging.measured_blocks import Block, Kind, Located, Side, in_pairs
from perfproof.judging.relative_change import relative_change
from perfproof.judging.verdicts import GuardLabel, GuardVerdict
from perfproof.statistics.autocorrelation import growth_of_interval
from perfproof.statistics.multiplicity import holm
from perfproof.statistics.sample_size import MOST_BLOCKS, blocks_to_decide
from perfproof.telemetry import Direction, Unit

MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Unguarded:
    """`reported` are entries of the document's `unguarded`; `suspects` look worse, or are: they stand among the guards."""

    reported: tuple[dict[str, Any], ...]
    suspects: tuple[GuardVerdict, ...]


def _metrics(service: Service, target: Located) -> list[Located]:
    found = []
    for transaction in service.transactions:
        for key in ("p50", "p95", "p99") if transaction.name == target.transaction else ("p95",):
            name = f"{transaction.name}_latency_{key}"
            if name != target.name:
                found.append(Located(name, Kind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, key=key, transaction=transaction.name))
    return found


def judge_unguarded(blocks: Sequence[Block], service: Service, target: Located, *, judge: Judge, block_seconds: float) -> Unguarded:
    """All latencies that are neither target nor guard. Worsenings are claimed together, hence Holm's correction."""
    sides, paired = [], in_pairs(blocks)
    for metric in _metrics(service, target):
        before, after = (
            measured(values_of(blocks, side, metric, block_seconds=block_seconds), where=f"{metric.name} of the {side}") for side in Side
        )
        verdict = judge_guard(
            metric.name, metric.unit, metric.direction, before, after,
            margin=MARGIN, floor=0.0, confidence=judge.confidence, mode=Mode.PROVED, paired=paired,
        )  # fmt: skip
        sides.append((verdict, before, after))
    p_values = holm([1.0 if v.p is None else v.p for v, _, _ in sides])
    reported, suspects = [], []
    for (verdict, before, after), p in zip(sides, p_values, strict=True):
        certain = verdict.p is None or p <= claim_tail(judge.confidence)
        if verdict.label is GuardLabel.REGRESSION and certain:
            shown = "" if verdict.p is None else f" (p {p:.2g} after Holm's correction)"
            suspects.append(replace(verdict, reason=f"Not a declared guard, but its worsening is proved{shown}: {verdict.reason}"))
        elif verdict.looks_worse or verdict.label is GuardLabel.REGRESSION:
            least = blocks_to_claim_one_of(len(sides), confidence=judge.confidence) - min(verdict.blocks)
            runs = max(1, least, verdict.runs_needed)
            reason = (
                f"Not a declared guard, and it looks worse: {verdict.reason} Among several metrics that nobody named beforehand this"
                f" may be chance (p {p:.2g} after Holm's correction): measure {runs} or more blocks a side to decide."
            )
            suspects.append(replace(verdict, label=GuardLabel.INCONCLUSIVE, runs_needed=runs, reason=reason))
        else:
            reported.append(_entry(verdict, before, after))
    return Unguarded(tuple(reported), tuple(suspects))


def _entry(verdict: GuardVerdict, before: tuple[float, ...], after: tuple[float, ...]) -> dict[str, Any]:
    return {
        "metric": verdict.metric,
        "unit": verdict.unit.value,
        "baseline": number(verdict.baseline),
        "optimized": number(verdict.optimized),
        "change_percent": rounded(verdict.worsening_percent),
        **interval(verdict.ci_low, verdict.ci_high),
        "reason": _reason(verdict, before, after),
    }


def _reason(verdict: GuardVerdict, before: tuple[float, ...], after: tuple[float, ...]) -> str:
    if verdict.baseline is None or verdict.ci_low is None:
        return f"Reported, not guarded. {verdict.reason}"
    noise = relative_change(before, after, confidence=verdict.confidence).deviation
    needed = blocks_to_decide(noise, MARGIN, confidence=verdict.confidence, growth=growth_of_interval, pairs=True)
    count = f"{needed} blocks" if needed < MOST_BLOCKS else f"{MOST_BLOCKS} or more blocks"
    return (
        f"Reported, not guarded: one block differs from the next by {100 * noise:.0f} %, so a margin of {100 * MARGIN:g} % would take about"
        f" {count} a side. {verdict.reason}"
    )
