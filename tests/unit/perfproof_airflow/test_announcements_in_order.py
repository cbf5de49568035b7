"""The nine announcements: each made by the step that it announces, before its work, in the order of the specification."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from perfproof.errors import ArtifactError
from perfproof_airflow import governance_steps
from perfproof_airflow.phases import diagnostics, governance, intake_and_baseline, optimization

REFERENCE = {"name": "evidence/x.json", "sha256": "a" * 64, "uri": ""}
# Word for word and in order, as in the specification's lines 52 to 121 and 158.
SAID = [
    "[MASTER RAY™ | PHASE 1 START] - Consolidating telemetry and incident evidence for performance triage...",
    "[PHASE 1] Baseline capture in progress. Documenting SLO adherence and bottlenecks...",
    "[MASTER RAY™ | PHASE 2 START] - Profiling critical transactions across services...",
    "[PHASE 2] Executing load scenarios to validate capacity and resilience...",
    "[MASTER RAY™ | PHASE 3 START] - Publishing optimization backlog with ownership and risk notes...",
    "[PHASE 3] Validating optimization changes against baseline metrics...",
    "[MASTER RAY™ | PHASE 4 START] - Documenting SLO updates and communicating performance improvements...",
    "[PHASE 4] Publishing performance report and distributing to stakeholders...",
    "[MASTER RAY™ | PHASE 4 COMPLETE] - Performance report published. Evidence: PERFORMANCE-REPORT.md.",
]
# Each step that announces, its task, its arguments, and where its work is done: in the order in which a cycle runs them.
STEPS: list[tuple[Any, str, tuple[Any, ...], str]] = [
    (
        intake_and_baseline.collect_telemetry,
        "intake_and_baseline.collect_telemetry",
        ("traces",),
        "perfproof_airflow.hooks.sources.read_source",
    ),
    (
        intake_and_baseline.capture_baseline,
        "intake_and_baseline.capture_baseline",
        ("shop",),
        "perfproof_airflow.hooks.baseline.capture_service",
    ),
    (diagnostics.profile_transactions, "diagnostics.profile_transactions", ("shop",), "perfproof_airflow.profile_steps.profile_service"),
    (diagnostics.run_load_tests, "diagnostics.run_load_tests", ("peak",), "perfproof_airflow.load_steps.run_scenario"),
    (
        optimization.define_plan,
        "optimization.define_plan",
        ({"json": REFERENCE}, {"plans": REFERENCE, "hypotheses": REFERENCE, "report": REFERENCE}),
        "perfproof.plan.define_plan",
    ),
    (optimization.measure_blocks, "optimization.measure_blocks", (REFERENCE,), "perfproof_airflow.measure_steps.measure_candidate"),
    (
        governance.propose_slo_updates,
        "governance.propose_slo_updates",
        (REFERENCE, REFERENCE),
        "perfproof_airflow.governance_steps.propose",
    ),
    (governance.publish_report, "governance.publish_report", (REFERENCE, REFERENCE), "perfproof_airflow.governance_steps.compile_report"),
]


def stops(*arguments: Any, **named: Any) -> Any:
    """Stands for the work of a step, and halts it."""
    raise ArtifactError(1, where="work", what="not done here", fix="nothing")


ANNOUNCED = [(*step, text) for step, text in zip(STEPS, SAID[:8], strict=True)]


@pytest.mark.parametrize(("step", "task_id", "arguments", "work", "text"), ANNOUNCED, ids=SAID[:8])
def test_a_step_announces_before_its_work(
    run: Any, monkeypatch: pytest.MonkeyPatch, step: Any, task_id: str, arguments: tuple[Any, ...], work: str, text: str
) -> None:
    """Also if the work then halts: what was begun has been said."""
    run.publish("evidence/profile-shop.json", {})
    monkeypatch.setattr(work, stops)
    with pytest.raises(AirflowFailException):
        run.call(step, task_id, *arguments)
    assert [body["text"] for body in run.entries("announce")] == [text]


def test_the_last_is_said_only_when_everything_is_handed_off(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the approval and the checklist, and before the log is closed."""
    monkeypatch.setattr(governance_steps, "verified_approvals", lambda cycle, step: [])
    monkeypatch.setattr("perfproof_airflow.gate.handoff_state", lambda cycle: None)
    run.publish("PERFORMANCE-REPORT.md", "# Performance report\n")
    with monkeypatch.context() as patched:
        patched.setattr("perfproof.handoff.require_complete", stops)
        with pytest.raises(AirflowFailException):
            run.call(governance.hand_off, "governance.hand_off")
        assert run.entries("announce") == []
    monkeypatch.setattr("perfproof.handoff.require_complete", lambda state: None)
    run.call(governance.hand_off, "governance.hand_off")
    kinds = [entry.type for entry in run.cycle().store.entries()]
    assert [body["text"] for body in run.entries("announce")] == SAID[8:]
    assert kinds.index("handoff.completed") < kinds.index("announce") < kinds.index("run.closed")


def test_the_texts_are_those_of_the_specification(run: Any) -> None:
    """The list above is held against the enumeration that the steps use."""
    from perfproof.announcements import Announcement

    assert [announcement.value for announcement in Announcement] == SAID


def test_the_steps_run_in_the_order_of_their_announcements() -> None:
    """Each announcing step is somewhere above the next in the protocol's graph."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(Path(__file__).resolve().parents[3] / "dags" / "performance_optimization.py").dags["performance_optimization"]
    order = [task_id for _, task_id, _, _ in STEPS] + ["governance.hand_off"]
    for earlier, later in pairwise(order):
        assert earlier in dag.get_task(later).get_flat_relative_ids(upstream=True), (earlier, later)


def test_mapped_steps_announce_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three load scenarios, one line."""
    monkeypatch.setattr("perfproof_airflow.load_steps.run_scenario", lambda cycle, scenario, *, side, name: {})
    for index, scenario in enumerate(("peak", "stress", "failure")):
        run.call(diagnostics.run_load_tests, "diagnostics.run_load_tests", scenario, map_index=index)
    assert [body["text"] for body in run.entries("announce")] == [SAID[3]]
