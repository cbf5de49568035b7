"""Gate 3, Optimization Validation: plan approved, the target metric measurably better, no guard metric worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.config import Mode, Role, Thresholds
from perfproof.expectations.frame_check import Check
from perfproof.gates.change import Change, read_change
from perfproof.gates.evaluation import Figure, Words, count, evaluate
from perfproof.gates.figures import as_float, at, digest_of, items, mappings, plain, rounded, text_at
from perfproof.gates.result import GateResult
from perfproof.gates.sign_offs import missing_sign_offs
from perfproof.gates.text import counted, percent
from perfproof.schemas import document_problems, markdown_problems
from perfproof.telemetry import Direction

MEASUREMENT = "evidence/measurement.json"
Document = Mapping[str, Any]


def gate_3(
    *,
    plan: Document,
    plan_approved: bool | Sequence[Document],
    validation: Document,
    measurement: Document | None,
    rejudged: Document | None,
    direction: Direction,
    instrumentation_log: str,
    thresholds: Thresholds,
    mode: Mode,
    evidence: Sequence[Document],
    now: datetime,
    check: Check,
    roles: Mapping[str, Role] | None = None,
) -> GateResult:
    """The result of gate 3.

    `plan_approved` are the verified approval records of the step `plan`, which must be bound to the digest of the plan in
    `evidence` and cover `roles`; True says that the caller has verified all of this itself. `rejudged` is the report that
    the judge gives now for the same `measurement`; without one, figures are recomputed from the report's own two values,
    which mode `proved` does not accept. `direction` is the target metric's.
    """
    change = read_change(validation, measurement=measurement, rejudged=rejudged, direction=direction, thresholds=thresholds, mode=mode)
    figures = {
        "plan_approvals_missing": count(_unapproved(plan_approved, roles or {}, evidence), good="the plan is approved"),
        "plan_dependencies_unresolved": count(_unresolved(plan), good="no dependency is open"),
        "plan_gaps": count(_plan_gaps(plan), good="the plan is complete"),
        "improvement": Figure(as_float(change.improvement), change.in_words, undecided=not change.decided),
        **_proof(change, measurement, thresholds, mode),
        "regressions": count((r.in_words for r in change.regressions), good="no guard metric regressed"),
        "guards_undecided": count(change.undecided, good="every guard metric is decided"),
        "instrumentation_gaps": count(
            (f"{Artifact.INSTRUMENTATION_LOG}: {p}" for p in markdown_problems(Artifact.INSTRUMENTATION_LOG, instrumentation_log)),
            good="dashboards, alerts and tracing are documented",
        ),
        "integrity_findings": count(
            (*change.complaints, *_trace_findings(plan, validation, measurement, evidence)), good="declared figures are the recomputed ones"
        ),
    }
    regressed = len(change.regressions)
    return evaluate(
        suite=f"gate_3_optimization_{mode.value}",
        figures=figures,
        recomputed=_recomputed(change, validation, thresholds, mode),
        words=Words(
            criteria=f"Improvement ≥ {plain(Decimal(str(thresholds.improvement)))}%, no regressions",
            actual=f"{_improvement(change, thresholds)}, {counted(regressed, 'regression')} detected",
            told=frozenset({"improvement", "regressions"}),
        ),
        thresholds=thresholds,
        evidence=evidence,
        now=now,
        check=check,
    )


def _proof(change: Change, measurement: Document | None, thresholds: Thresholds, mode: Mode) -> dict[str, Figure]:
    """What mode `proved` asks for beyond the estimate: blocks that can decide, and the interval's lower end."""
    if mode is not Mode.PROVED:
        return {}
    proved = change.proved is not None and change.proved >= Decimal(str(thresholds.improvement))
    reason = change.verdict_reason if proved else f"proof of improvement is inconclusive: {change.verdict_reason}"
    # Blocks that confirmed or refuted a regression say nothing of the target.
    old, new = (change.blocks[i] - _fresh(measurement, side) for i, side in enumerate(("baseline", "candidate")))
    sides = f"{counted(old, 'valid block')} of the baseline, {new} of the candidate"
    return {
        "improvement_proved": Figure(as_float(change.proved), reason),
        "blocks_per_side": Figure(float(min(old, new)), sides),
    }


def _fresh(measurement: Document | None, side: str) -> int:
    blocks = mappings(measurement, "blocks")
    return sum(1 for b in blocks if b.get("side") == side and b.get("valid") is True and b.get("confirmation") is True)


def _improvement(change: Change, thresholds: Thresholds) -> str:
    if change.improvement is None:
        return "Improvement unknown on targeted metric"
    return f"Improvement {percent(float(change.improvement), threshold=thresholds.improvement)} on targeted metric"


def _recomputed(change: Change, validation: Document, thresholds: Thresholds, mode: Mode) -> dict[str, Any]:
    return {
        "optimization_id": text_at(validation, "optimization_id"),
        "target_metric": change.metric,
        "baseline": as_float(change.baseline),
        "optimized": as_float(change.optimized),
        "improvement_percentage": rounded(change.improvement),
        "meets_threshold": change.improvement is not None and change.improvement >= Decimal(str(thresholds.improvement)),
        "target_metric_improvement": rounded(change.improvement),
        "regressions": [r.document() for r in change.regressions],
        "regression_count": len(change.regressions),
        "guards_undecided": [dict(g) for g in change.undecided_guards],
        "mode": mode.value,
        "improvement_lower_bound": rounded(change.proved, digits=2),
        "blocks": list(change.blocks),
    }


def _unapproved(approved: bool | Sequence[Document], roles: Mapping[str, Role], evidence: Sequence[Document]) -> list[str]:
    if isinstance(approved, bool):
        return [] if approved else ["the plan is not approved"]
    return missing_sign_offs(approved, step="plan", digest=digest_of(evidence, Artifact.OPTIMIZATION_PLAN), roles=roles)


def _unresolved(plan: Document) -> list[str]:
    named = [text_at(d, "dependency") or text_at(d, "name") or str(d) for d in items(plan, "unresolved_dependencies")]
    for task in mappings(plan, "tasks"):
        named += [text_at(d, "name") for d in mappings(task, "dependencies") if d.get("resolved") is not True]
    return [f"dependency {name} is not resolved" for name in dict.fromkeys(named)]


def _plan_gaps(plan: Document) -> list[str]:
    return [f"{Artifact.OPTIMIZATION_PLAN}: {problem}" for problem in document_problems(Artifact.OPTIMIZATION_PLAN, plan)]


def _trace_findings(plan: Document, validation: Document, measurement: Document | None, evidence: Sequence[Document]) -> list[str]:
    """Every optimization traces to the baseline: what plan and report cite must be what is in evidence."""
    complaints = []
    if text_at(plan, "target_metric") != text_at(validation, "target_metric"):
        complaints.append(
            f"the plan is about {text_at(plan, 'target_metric')!r}, the validation about {text_at(validation, 'target_metric')!r}"
        )
    cited = {
        "baseline": (at(validation, "traces_to", "baseline"), BASELINE_JSON),
        "plan": (at(validation, "traces_to", "plan"), Artifact.OPTIMIZATION_PLAN.value),
        "measurement": (at(validation, "traces_to", "measurement"), MEASUREMENT),
        "baseline of the plan": (at(plan, "baseline"), BASELINE_JSON),
    }
    for what, (reference, name) in cited.items():
        expected = digest_of(evidence, name)
        if what == "measurement" and measurement is None:
            continue
        if expected is None:
            complaints.append(f"{name} is not in evidence, so the {what} cannot be traced")
        elif at(reference, "sha256") != expected:
            complaints.append(f"the {what} that is cited is not the {name} in evidence")
    planned = {text_at(task, "id") for task in mappings(plan, "tasks")}
    claimed = [str(i) for i in items(validation, "optimizations")] or [text_at(validation, "optimization_id")]
    complaints += [f"optimization {name} is not in the plan" for name in claimed if name not in planned]
    return complaints
