"""The order that makes the protocol a protocol: nothing gets past a gate, an approval or the last guard.

A task that joins several waits for all of them, so what counts is not a path but what must have succeeded before it.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from perfproof_airflow.gate import GATE_TASKS
from perfproof_airflow.sensors.decisions import GateDecision, Rollback
from perfproof_airflow.sensors.owner_tasks import ImplementationApproval
from perfproof_airflow.sensors.questions import ProtocolApproval

HAND_OFF = "governance.hand_off"
APPROVALS = {
    "prerequisites.await_prerequisite_approvals",
    "optimization.await_plan_approval",
    "optimization.await_implementation",
    "governance.await_slo_approvals",
    "governance.await_handoff",
}
DECISIONS = {
    1: "intake_and_baseline.gate_1_decision",
    2: "diagnostics.gate_2_decision",
    3: "optimization.gate_3_decision",
    4: "governance.gate_4_decision",
}
RETRIES = {
    1: "intake_and_baseline.collect_telemetry",
    2: "diagnostics.profile_transactions",
    3: "optimization.await_implementation",
    4: "governance.propose_slo_updates",
}
ALL_DONE = {*DECISIONS.values(), "optimization.await_rollback", "completion"}
SENDS_LOAD = {
    "diagnostics.profile_transactions",
    "diagnostics.run_load_tests",
    "optimization.rerun_load_tests",
    "optimization.measure_blocks",
    "optimization.compare_profiles",
}
# Functions of the glue that put load on a target.
LOAD_FUNCTIONS = ("profile_service", "run_scenario", "measure_candidate", "compare_service")
APPLIES = ("governance.record_slo_updates", "governance.apply_instrumentation")


def made_of(task: Any, kind: type) -> bool:
    """Whether a task, mapped or not, is of that class."""
    return issubclass(task.operator_class if task.is_mapped else type(task), kind)


def argument(task: Any, name: str) -> Any:
    """The argument that a task, mapped or not, was made with."""
    return task.partial_kwargs[name] if task.is_mapped else getattr(task, name)


def needed_by(flow: Any, task_id: str) -> set[str]:
    """What must have succeeded; a decision succeeds only for a gate that was evaluated, so it hands the need on."""
    found: set[str] = flow.needed_by(task_id, through=frozenset(DECISIONS.values()))
    return found


def test_the_handoff_needs_every_approval_to_have_succeeded(flow: Any) -> None:
    """Prerequisites, plan, implementation, SLO updates, handoff."""
    assert needed_by(flow, HAND_OFF) >= APPROVALS


def test_the_handoff_needs_every_gate_and_every_decision(flow: Any) -> None:
    """A decision succeeds only for a gate that passed or was waived."""
    assert needed_by(flow, HAND_OFF) >= {*GATE_TASKS.values(), *DECISIONS.values()}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_decision_stands_directly_and_only_behind_its_gate(flow: Any, number: int) -> None:
    """It judges that very result, whatever became of the task."""
    assert flow.upstream[DECISIONS[number]] == {GATE_TASKS[number]}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_nothing_but_its_decision_follows_a_gate(flow: Any, number: int) -> None:
    """There is no way around a gate that did not pass."""
    assert flow.downstream[GATE_TASKS[number]] == {DECISIONS[number]}


@pytest.mark.parametrize(("number", "group"), [(1, "diagnostics."), (2, "optimization."), (3, "governance.")])
def test_no_task_of_a_phase_starts_before_the_gate_of_the_phase_before_was_decided(flow: Any, number: int, group: str) -> None:
    """Also not one that needs nothing of it: each has the decision's success behind it. The rollback alone acts on a failure."""
    tasks = {task_id for task_id in flow.upstream if task_id.startswith(group)} - {"optimization.await_rollback"}
    assert len(tasks) > 5
    assert {task_id for task_id in tasks if DECISIONS[number] not in needed_by(flow, task_id)} == set()


def test_the_first_phase_waits_for_the_prerequisite_approvals(flow: Any) -> None:
    """No telemetry is read for a cycle that nobody prioritized."""
    for task_id in flow.upstream:
        if task_id.startswith("intake_and_baseline."):
            assert "prerequisites.await_prerequisite_approvals" in needed_by(flow, task_id), task_id


@pytest.mark.parametrize("task_id", sorted(SENDS_LOAD))
def test_load_needs_its_authorization(flow: Any, task_id: str) -> None:
    """Nothing is sent before the SRE lead and security have answered."""
    assert "prerequisites.await_prerequisite_approvals" in needed_by(flow, task_id)


def test_no_other_task_sends_load(flow: Any) -> None:
    """The list above is complete: each task whose code calls one of the functions that send is in it, and no other."""
    functions = {task.task_id: python_of(task) for task in flow.dag.tasks}
    sources = {task_id: inspect.getsource(inspect.unwrap(function)) for task_id, function in functions.items() if function is not None}
    assert len(sources) > 25
    assert {task_id for task_id, source in sources.items() if any(name in source for name in LOAD_FUNCTIONS)} == SENDS_LOAD


def python_of(task: Any) -> Any:
    """The function of a task, mapped or not; None for the classes that wait."""
    return getattr(task, "python_callable", None)


@pytest.mark.parametrize("task_id", sorted(SENDS_LOAD - {"diagnostics.profile_transactions", "diagnostics.run_load_tests"}))
def test_the_candidate_is_loaded_only_after_its_plan_was_approved_and_implemented(flow: Any, task_id: str) -> None:
    """What is measured is what was approved."""
    assert needed_by(flow, task_id) >= {"optimization.await_plan_approval", "optimization.await_implementation"}


@pytest.mark.parametrize("task_id", APPLIES)
def test_nothing_is_applied_before_the_slo_updates_are_approved(flow: Any, task_id: str) -> None:
    """Phase 3 prepares, phase 4 applies."""
    assert "governance.await_slo_approvals" in needed_by(flow, task_id)


def test_only_decisions_the_rollback_and_the_last_guard_run_after_a_failure(flow: Any) -> None:
    """Every other task needs the success of all that stand directly before it."""
    assert {task_id for task_id, rule in flow.rule.items() if rule != "all_success"} == ALL_DONE
    assert {flow.rule[task_id] for task_id in ALL_DONE} == {"all_done"}


def test_the_last_guard_is_the_only_leaf_and_knows_how_everything_ended(flow: Any) -> None:
    """The leaf decides whether a run is green, so it must be the guard, and every task must lead to it."""
    assert [task_id for task_id, after in flow.downstream.items() if not after] == ["completion"]
    assert flow.above("completion") == set(flow.upstream) - {"completion"}


def test_there_is_one_way_in(flow: Any) -> None:
    """The evidence log is open before anything else happens."""
    assert [task_id for task_id, before in flow.upstream.items() if not before] == ["prerequisites.open_cycle"]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_retry_starts_from_a_task_that_is_there_and_leads_back_to_the_gate(flow: Any, number: int) -> None:
    """Clearing it with everything after it runs the gate and the decision anew."""
    decision = flow.dag.get_task(DECISIONS[number])
    assert (decision.gate, decision.retry_from) == (number, RETRIES[number])
    assert {GATE_TASKS[number], DECISIONS[number]} <= flow.below(decision.retry_from)


def test_a_retry_keeps_the_gates_before_it(flow: Any) -> None:
    """What is cleared never holds an earlier gate, so its result and waiver stand."""
    for number, start in RETRIES.items():
        assert not {GATE_TASKS[before] for before in range(1, number)} & flow.below(start)


def test_the_rollback_follows_the_decision_of_gate_3_and_retries_from_the_same_task(flow: Any) -> None:
    """Roll back first, implement anew then."""
    rollback = flow.dag.get_task("optimization.await_rollback")
    assert isinstance(rollback, Rollback)
    assert flow.upstream["optimization.await_rollback"] == {DECISIONS[3]}
    assert rollback.retry_from == flow.dag.get_task(DECISIONS[3]).retry_from == RETRIES[3]


def test_the_waiting_tasks_are_exactly_the_approvals_the_decisions_and_the_rollback(flow: Any) -> None:
    """And each asks the step of the protocol file that it is named after."""
    waiting = {task.task_id for task in flow.dag.tasks if made_of(task, ProtocolApproval)}
    assert waiting == APPROVALS | set(DECISIONS.values()) | {"optimization.await_rollback"}
    assert all(isinstance(flow.dag.get_task(name), GateDecision) for name in DECISIONS.values())
    assert made_of(flow.dag.get_task("optimization.await_implementation"), ImplementationApproval)
    steps = {name: argument(flow.dag.get_task(name), "step") for name in APPROVALS if "plan" in name or "governance" in name}
    assert steps == {
        "optimization.await_plan_approval": "plan",
        "governance.await_slo_approvals": "slo_updates",
        "governance.await_handoff": "handoff",
    }


def test_what_is_asked_is_bound_to_the_evidence_of_its_step(flow: Any) -> None:
    """By name here; the sensor takes the digest."""
    evidence = {name: argument(flow.dag.get_task(name), "evidence") for name in APPROVALS}
    assert evidence == {
        "prerequisites.await_prerequisite_approvals": ["prerequisites.json"],
        "optimization.await_plan_approval": ["optimization-plan.json"],
        "optimization.await_implementation": ["optimization-plan.json"],
        "governance.await_slo_approvals": ["evidence/slo-proposal.json"],
        "governance.await_handoff": ["gate-4-result.json", "optimization-validation-report.json", "PERFORMANCE-REPORT.md"],
    }


def test_no_wait_can_end_in_a_skip_or_a_silent_pass(flow: Any) -> None:
    """No execution timeout, no soft failure: an unanswered question stays a question until it expires red."""
    for task in flow.dag.tasks:
        if made_of(task, ProtocolApproval) and not task.is_mapped:
            assert task.execution_timeout is None
            assert not getattr(task, "soft_fail", False)


def test_one_load_test_at_a_time(flow: Any) -> None:
    """Two scenarios at once would measure each other."""
    assert flow.dag.get_task("diagnostics.run_load_tests").max_active_tis_per_dagrun == 1
    assert "diagnostics.explain_queries" in flow.upstream["diagnostics.run_load_tests"]


def test_the_candidate_is_profiled_after_the_verdict_and_before_the_gate(flow: Any) -> None:
    """Never during measured blocks, and never while somebody rolls it back."""
    assert {"optimization.measure_blocks", "optimization.validate"} <= needed_by(flow, "optimization.compare_profiles")
    assert {"optimization.compare_profiles", "optimization.compare_query_plans"} <= needed_by(flow, "optimization.gate_3")
    assert not {"optimization.compare_profiles", "optimization.compare_query_plans"} & flow.above("optimization.validate")


def test_a_retry_of_gate_3_profiles_the_new_candidate(flow: Any) -> None:
    """Another implementation has another profile."""
    assert {"optimization.compare_profiles", "optimization.compare_query_plans"} <= flow.below(RETRIES[3])
