"""The requests of a run in their order: which step asks what, and when it is asked at all."""

from __future__ import annotations

from dataclasses import dataclass

from perfproof.artifacts import gate_result_name

WHEN_NOT_PASSED = "if gate {} does not pass"
DECIDE = "decide about the gate: retry, waiver or halt"


@dataclass(frozen=True, slots=True)
class Asking:
    """One step of `approvals.steps`. `condition` is None for a request that every run makes."""

    step: str
    phase: int
    task: str
    asks: str
    evidence: tuple[str, ...]
    condition: str | None = None


def _prerequisite(step: str, asks: str) -> Asking:
    return Asking(step, 0, "prerequisites.await_prerequisite_approvals", asks, ("prerequisites.json",))


def _gate(gate: int, group: str, more: str = "") -> Asking:
    condition = WHEN_NOT_PASSED.format(gate)
    return Asking(f"gate_{gate}_decision", gate, f"{group}.gate_{gate}_decision", DECIDE + more, (gate_result_name(gate),), condition)


ORDER = (
    _prerequisite("prioritization", "approve the objective, the services and the target metric of this cycle"),
    _prerequisite("load_test_authorization", "authorize the load: where, how fast, how long, how often, until when"),
    _prerequisite("profiling_clearance", "clear the profiling of baseline and candidate, and what is sampled"),
    _gate(1, "intake_and_baseline"),
    _gate(2, "diagnostics"),
    Asking("plan", 3, "optimization.await_plan_approval", "approve the optimization plan", ("optimization-plan.json",)),
    Asking(
        "implementation", 3, "optimization.await_implementation", "deploy it to the candidate, and say so with the change reference",
        ("optimization-plan.json",),
    ),
    _gate(3, "optimization", "; where a guard regressed or may have, product owner and SRE lead both"),
    Asking(
        "rollback", 3, "optimization.await_rollback", "roll the candidate back, and say so with the change reference",
        (gate_result_name(3), "evidence/measurement.json"), "if gate 3 does not pass, and is retried or halted",
    ),
    Asking("slo_updates", 4, "governance.await_slo_approvals", "approve the SLO updates", ("evidence/slo-proposal.json",)),
    _gate(4, "governance"),
    Asking(
        "handoff", 4, "governance.await_handoff", "approve the handoff",
        (gate_result_name(4), "optimization-validation-report.json", "PERFORMANCE-REPORT.md"),
    ),
)  # fmt: skip
