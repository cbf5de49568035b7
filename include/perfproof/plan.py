"""The optimization plan of phase 3: the optimizations under consideration, in the order in which the findings support them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from perfproof.amdahl import largest_gain
from perfproof.config import Cause, Optimization, Risk
from perfproof.errors import ArtifactError, ParameterError
from perfproof.findings import MINOR, DiagnosticFinding, described_kinds, names_in_common
from perfproof.moments import stamp
from perfproof.telemetry import Direction

NO_FINDING = "not supported by a finding"
RISKS = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)


class Support(IntEnum):
    """How far the findings carry an optimization; the lowest comes first."""

    DESCRIBED = 0
    SAME_CAUSE = 1
    NONE = 2


@dataclass(frozen=True, slots=True)
class _Gain:
    """What can be expected in percent, and why. `bound` is the most that the found share allows, None where no share is known.

    `finding` says that the owner promises more than that.
    """

    expected: float
    basis: str
    bound: float | None = None
    finding: str | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    optimization: Optimization
    support: Support
    findings: tuple[DiagnosticFinding, ...]
    gain: _Gain


def define_plan(
    *,
    optimizations: Sequence[Optimization],
    considered: Sequence[str],
    findings: Sequence[DiagnosticFinding],
    hypotheses: Mapping[str, Any],
    target_metric: str,
    baseline: Mapping[str, Any],
    references: Mapping[str, Mapping[str, str]],
    plan_id: str,
    now: datetime,
) -> dict[str, Any]:
    """`optimization-plan.json` (shape 9).

    With `considered` ids those optimizations are planned, supported or not; without, every one that a finding supports,
    and the others stand under `not_planned`. `references` holds {name, sha256} of `baseline`, `query-plans` and
    `profile-<service>` as far as they exist. Raises ParameterError if nothing can be planned or an id is unknown, and
    ArtifactError if an optimization cannot be traced to a baseline metric.
    """
    known = {o.id: o for o in optimizations}
    unknown = [wanted for wanted in considered if wanted not in known]
    if unknown:
        got, expected = ", ".join(unknown), ", ".join(known)
        raise ParameterError(251, where="optimizations", what="unknown id", got=got, expected=expected, fix="use one of these")
    direction = _direction(target_metric, baseline)
    judged = [_judge(o, findings, direction) for o in optimizations if not considered or o.id in considered]
    planned = [j for j in judged if considered or j.support is not Support.NONE]
    if not planned:
        raise ParameterError(
            252, where="optimizations", what="no optimization is supported by a finding", got=", ".join(known) or "no optimizations",
            fix="name those to plan nevertheless in the trigger form, or describe others in the protocol file",
        )  # fmt: skip
    planned.sort(key=lambda j: (j.support, -j.gain.expected, RISKS.index(j.optimization.risk), j.optimization.id))
    tasks = [
        _task(j, priority, hypotheses=hypotheses, target_metric=target_metric, baseline=baseline, references=references)
        for priority, j in enumerate(planned, start=1)
    ]
    return {
        "plan_date": stamp(now),
        "plan_id": plan_id,
        "target_metric": target_metric,
        "baseline": dict(references["baseline"]),
        "tasks": tasks,
        "unresolved_dependencies": [
            {"task": t["id"], "dependency": d["name"]} for t in tasks for d in t["dependencies"] if not d["resolved"]
        ],
        "not_planned": [{"id": j.optimization.id, "title": j.optimization.title, "reason": NO_FINDING} for j in judged if j not in planned],
    }


def _judge(optimization: Optimization, findings: Sequence[DiagnosticFinding], direction: Direction) -> _Judged:
    """The heaviest finding that is what `confirms` describes; if it describes nothing known, the heaviest of the same cause."""
    own = [f for f in findings if f.service == optimization.service and f.cause is optimization.cause and f.weight >= MINOR]
    own.sort(key=lambda f: (not f.confirming, -f.weight, f.kind, f.text))
    kinds = described_kinds(optimization.confirms) if optimization.cause is Cause.DATABASE_CONTENTION else frozenset()
    described = [f for f in own if f.kind in kinds or _named(optimization, f)]
    if described:
        alike = [f for f in described if f.kind == described[0].kind]
        return _Judged(optimization, Support.DESCRIBED, tuple(alike), _gain(optimization, alike, direction))
    if own and not kinds and own[0].confirming:
        # Whether the optimization is about this finding is not known, so its share bounds nothing.
        return _Judged(optimization, Support.SAME_CAUSE, (own[0],), _gain(optimization, [], direction))
    return _Judged(optimization, Support.NONE, (), _gain(optimization, [], direction))


def _named(optimization: Optimization, finding: DiagnosticFinding) -> list[float]:
    """Shares of the frames of a hot path that `confirms` names."""
    return [share for name, share in finding.frames if names_in_common(optimization.confirms, [name])]


def _direction(target_metric: str, baseline: Mapping[str, Any]) -> Direction:
    """Which way the target metric is to go. A cell that does not say so is of a metric like latency, the target of most cycles."""
    told = (cell.get("direction") for cell in baseline["cells"] if cell["metric_name"] == target_metric)
    return Direction(next((direction for direction in told if direction), Direction.LOWER))


def _gain(optimization: Optimization, findings: Sequence[DiagnosticFinding], direction: Direction) -> _Gain:
    """Amdahl: removing parts that take a share p of the time saves p at most, over all requests, and raises a rate by p/(1-p).

    Statements take their shares side by side; paths of one profile overlap, so of those the heaviest named frame counts.
    """
    stated = optimization.expected_gain_percent
    expects = f"the owner expects {stated:g} percent"
    shares = {f.subject: max(_named(optimization, f), default=f.share) for f in findings}
    known = [share for share in shares.values() if share is not None]
    if not known or len(known) < len(shares):
        return _Gain(stated, f"{expects}; no share is known that would bound it")
    together = min(1.0, max(known) if findings[0].frames else math.fsum(known))
    largest = 100 * largest_gain(together, direction=direction)
    # All of the time bounds no rate.
    bound = round(largest, 2) if math.isfinite(largest) else None
    basis = f"{expects}; what the findings name takes {round(100 * together, 2):g} percent of {findings[0].share_of}"
    if bound is None or bound >= stated:
        return _Gain(stated, basis, bound)
    rate = f", which bounds the gain of a rate by {bound:g} percent" if direction is Direction.HIGHER else ""
    finding = f"promises {stated:g} percent, more than its share allows: at most {bound:g} percent"
    basis += f"{rate}, so no more can be saved over all requests (a single transaction may gain more)"
    return _Gain(bound, basis, bound, finding)


def _task(
    judged: _Judged,
    priority: int,
    *,
    hypotheses: Mapping[str, Any],
    target_metric: str,
    baseline: Mapping[str, Any],
    references: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    optimization = judged.optimization
    hypothesis = _hypothesis(optimization, hypotheses)
    cell = _baseline_cell(optimization, hypothesis, target_metric, baseline)
    text = judged.findings[0].text if judged.findings else NO_FINDING
    if len(judged.findings) > 1:
        text += f" (and {len(judged.findings) - 1} more)"
    if judged.support is Support.SAME_CAUSE:
        text += " (same cause; whether this is what would confirm the optimization is for its owner to say)"
    if judged.gain.finding:
        text += f"; it {judged.gain.finding}"
    return {
        "id": optimization.id,
        "title": optimization.title,
        "service": optimization.service,
        "owner": optimization.owner,
        "risk": optimization.risk.value,
        "risk_notes": optimization.risk_notes,
        "expected_gain_percent": judged.gain.expected,
        "stated_gain_percent": optimization.expected_gain_percent,
        "gain_bound_percent": judged.gain.bound,
        "gain_basis": judged.gain.basis,
        "gain_finding": judged.gain.finding,
        "cause": optimization.cause.value,
        "finding": text,
        "support": judged.support.name.lower(),
        "confirms": optimization.confirms,
        "evidence": _evidence(judged.findings, references),
        "hypothesis": hypothesis["id"] if hypothesis else None,
        "dependencies": [{"name": d.name, "resolved": d.resolved} for d in optimization.dependencies],
        "baseline_metric": cell["metric_name"],
        "baseline_value": cell["value"],
        "baseline_unit": cell["unit"],
        "priority": priority,
    }


def _hypothesis(optimization: Optimization, hypotheses: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The hypothesis of the same service and cause; a confirmed one before an open, and none that was refuted."""
    same = [h for h in hypotheses["hypotheses"] if h["service"] == optimization.service and h["cause"] == optimization.cause]
    alive = [h for h in same if h["status"] != "refuted"]
    return min(alive, key=lambda h: (h["status"] != "confirmed", h["id"]), default=None)


def _baseline_cell(
    optimization: Optimization, hypothesis: Mapping[str, Any] | None, target: str, baseline: Mapping[str, Any]
) -> Mapping[str, Any]:
    cells = [c for c in baseline["cells"] if c["service"] == optimization.service and c["value"] is not None]
    wanted = [target, *([hypothesis["metric"]] if hypothesis else [])]
    named = [c for name in wanted for c in cells if c["metric_name"] == name]
    cell: Mapping[str, Any] | None = next(iter([*named, *(c for c in cells if c["kind"] == "latency")]), None)
    if cell is None:
        raise ArtifactError(
            251, where=f"plan {optimization.id}", what="no baseline metric to trace to", got=optimization.service, expected=target,
            fix="capture the baseline of that service",
        )  # fmt: skip
    return cell


def _evidence(findings: Sequence[DiagnosticFinding], references: Mapping[str, Mapping[str, str]]) -> list[dict[str, str]]:
    keys = sorted({"query-plans" if f.source == "query_plans" else f"profile-{f.service}" for f in findings})
    return [dict(references[key]) for key in keys if key in references]
