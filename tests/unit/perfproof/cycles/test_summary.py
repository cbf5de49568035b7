"""What the summary of a cycle says in each state, and that it says nothing that the log does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from perfproof.approvals import GATE_DECISION
from perfproof.cycles.summary import cycle_summary, store_summary, summary_of, unreadable_summary
from perfproof.evidence import EntryType, EvidenceStore, MemoryBackend
from perfproof.run_key import run_key

FAR = "intake_and_baseline.collect_telemetry"


def summary(cycle: Any) -> dict[str, Any]:
    found = store_summary(cycle.store)
    assert found is not None
    return found


def gates(found: dict[str, Any]) -> list[str | None]:
    return [row["outcome"] for row in found["gates"]]


def all_gates(cycle: Any) -> None:
    for gate in (1, 2, 3, 4):
        cycle.gate(gate)


def test_a_cycle_that_was_opened_runs_and_claims_nothing(cycle: Any) -> None:
    """What was not measured, decided or ended is null."""
    found = summary(cycle)
    assert (found["state"], found["phase"], found["objective"]) == ("running", 0, "Make it fast")
    assert (found["dag_id"], found["run_id"], found["protocol"]) == ("performance_optimization", "manual__1", "demo")
    assert (found["services"], found["triggered_by"]) == (["shop"], "tim")
    for key in ("improvement_percent", "verdict", "ended_at", "assurance", "error", "problem"):
        assert found[key] is None
    assert gates(found) == [None] * 4
    assert (found["entries"], found["artifacts"], found["head"]) == (1, 0, cycle.entries[-1].sha256)


def test_without_the_genesis_what_it_would_say_is_unknown(cycle: Any) -> None:
    """The log alone does not say what a cycle is about."""
    found = cycle_summary(cycle.entries)
    assert (found["run"], found["objective"], found["dag_id"], found["services"]) == (cycle.run, None, None, [])


def test_a_cycle_waits_for_each_role_that_has_not_answered(cycle: Any) -> None:
    """The task to mark is that of the role, the task that waits is that of the protocol's run."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann")
    found = summary(cycle)
    assert found["state"] == "waiting"
    (one,) = found["waiting"]
    assert (one["role"], one["role_label"], one["step"]) == ("sre_lead", "SRE Lead", "plan")
    assert (one["dag_id"], one["run_id"], one["task_id"], one["map_index"]) == ("performance_approvals", request.request_id, "approve", 1)
    assert one["asked_by"] == {
        "dag_id": "performance_optimization", "run_id": "manual__1", "task_id": "optimization.await_plan_approvals", "map_index": -1,
    }  # fmt: skip
    assert [who["id"] for who in one["people"]] == ["sam", "dee"]
    assert found["assurance"] == "A1"


def test_when_all_have_answered_the_cycle_runs(cycle: Any) -> None:
    """An answered request waits for nobody."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann")
    cycle.answer(request, "sre_lead", "sam")
    assert (summary(cycle)["state"], summary(cycle)["waiting"]) == ("running", [])


@pytest.mark.parametrize("kind", ["approval.refused", "approval.void", "approval.expired"])
def test_a_request_that_can_not_be_answered_any_more_waits_for_nobody(cycle: Any, kind: str) -> None:
    """A refused role is asked again by another request; that one is waited for."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann")
    cycle.refuse(request, "sre_lead", kind=kind)
    assert summary(cycle)["waiting"] == []
    again = cycle.ask(attempt=2, asked=("sre_lead",))
    assert [(w["request_id"], w["map_index"]) for w in summary(cycle)["waiting"]] == [(again.request_id, 0)]


def test_a_role_of_an_earlier_request_still_waits_beside_one_that_is_asked_again(cycle: Any) -> None:
    """Of two roles one was refused: both have to answer, in different requests."""
    first = cycle.ask()
    cycle.refuse(first, "sre_lead")
    second = cycle.ask(attempt=2, asked=("sre_lead",))
    waits = {(w["role"], w["request_id"]) for w in summary(cycle)["waiting"]}
    assert waits == {("product_owner", first.request_id), ("sre_lead", second.request_id)}


def test_a_role_whose_time_is_over_is_not_waited_for_while_another_is(cycle: Any) -> None:
    """Of two roles of one request the log says of one that nobody answered in time."""
    request = cycle.ask()
    cycle.refuse(request, "sre_lead", kind="approval.expired")
    assert [w["role"] for w in summary(cycle)["waiting"]] == ["product_owner"]


def test_one_decision_to_halt_ends_the_waiting_for_the_others(cycle: Any) -> None:
    """Stopping needs one person."""
    cycle.gate(3, "FAIL")
    request = cycle.ask("gate_3_decision", options=GATE_DECISION, task="optimization.gate_3_decision")
    assert summary(cycle)["state"] == "waiting"
    cycle.answer(request, "product_owner", "ann", "halt")
    assert summary(cycle)["waiting"] == []


def test_a_rejection_ends_the_waiting_and_its_error_fails_the_cycle(cycle: Any) -> None:
    """Nobody is asked for an answer that changes nothing."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann", "reject")
    assert summary(cycle)["waiting"] == []
    error = cycle.fail("optimization.await_plan_approvals", code="APR-431")
    found = summary(cycle)
    assert (found["state"], found["error"]["seq"], found["error"]["code"]) == ("failed", error.seq, "APR-431")


def test_a_request_of_a_task_that_failed_afterwards_waits_for_nobody(cycle: Any) -> None:
    """Nothing polls the answer any more."""
    cycle.ask()
    cycle.fail("optimization.await_plan_approvals")
    assert summary(cycle)["waiting"] == []


def test_a_request_of_an_earlier_round_waits_for_nobody(cycle: Any) -> None:
    """After a clear the question is asked anew."""
    cycle.ask()
    cycle.round = 1
    again = cycle.ask()
    assert {w["request_id"] for w in summary(cycle)["waiting"]} == {again.request_id}


def test_a_closed_cycle_whose_gates_passed_has_passed(cycle: Any) -> None:
    """With the gain and the verdict of the validation report."""
    cycle.validated(81.8, "proved")
    all_gates(cycle)
    assert summary(cycle)["state"] == "running"
    closed = cycle.close()
    found = summary(cycle)
    assert (found["state"], found["improvement_percent"], found["verdict"]) == ("passed", 81.8, "proved")
    assert found["ended_at"] == closed.time
    assert gates(found) == ["PASS"] * 4


def test_news_after_the_end_leave_it_closed(cycle: Any) -> None:
    """A late notification changes nothing."""
    all_gates(cycle)
    cycle.close()
    cycle.add(EntryType.NOTIFY_FAILED, {"recipient": "x"}, task="governance.hand_off")
    assert summary(cycle)["state"] == "passed"


def test_a_waived_gate_is_never_shown_as_passed(cycle: Any) -> None:
    """The cycle is waived, the gate is, and the waiver is shown with its expiry."""
    for gate in (1, 2):
        cycle.gate(gate)
    cycle.gate(3, "FAIL")
    cycle.waive(3, "improvement")
    cycle.gate(4)
    cycle.close()
    found = summary(cycle)
    assert (found["state"], gates(found)) == ("waived", ["PASS", "PASS", "WAIVED", "PASS"])
    (waiver,) = found["waivers"]
    assert (waiver["gate"], waiver["criterion"], waiver["in_use"]) == (3, "improvement", True)
    assert waiver["expires_at"] > waiver["granted_at"]


def test_a_waiver_of_another_result_excuses_nothing(cycle: Any) -> None:
    """The gate was evaluated again after the waiver."""
    cycle.gate(3, "FAIL")
    cycle.waive(3, "improvement")
    cycle.round = 1
    cycle.gate(3, "FAIL")
    found = summary(cycle)
    assert (gates(found)[2], found["waivers"][0]["in_use"]) == ("FAIL", False)


def test_a_waiver_that_leaves_a_criterion_open_does_not_let_through(cycle: Any) -> None:
    """Two criteria are not met, one is waived."""
    other = {"criterion": "regressions", "actual": 1.0, "threshold": 0.0, "comparison": "==", "met": False, "waivable": True, "reason": "r"}
    unmet = {**other, "criterion": "improvement"}
    cycle.gate(3, "FAIL", (unmet, other))
    cycle.waive(3, "improvement")
    assert gates(summary(cycle))[2] == "FAIL"


@pytest.mark.parametrize("outcome", ["FAIL", "INDETERMINATE"])
def test_a_closed_cycle_with_a_gate_that_did_not_pass_has_failed(cycle: Any, outcome: str) -> None:
    """A log that says it is complete and is not is no pass."""
    for gate in (1, 2, 4):
        cycle.gate(gate)
    cycle.gate(3, outcome)
    cycle.close()
    assert (summary(cycle)["state"], gates(summary(cycle))[2]) == ("failed", outcome)


def test_a_closed_cycle_that_lacks_a_gate_has_failed(cycle: Any) -> None:
    """Missing is never passed."""
    cycle.gate(1)
    cycle.close()
    assert summary(cycle)["state"] == "failed"


def test_a_decision_to_halt_halts_and_the_rollback_still_waits(cycle: Any) -> None:
    """Both are shown: that it is over, and what is left to do."""
    cycle.gate(3, "FAIL")
    decided = cycle.decide(3, "halt")
    cycle.fail("optimization.gate_3_decision", code="GAT-303")
    cycle.ask("rollback", task="optimization.await_rollback")
    found = summary(cycle)
    assert (found["state"], found["ended_at"]) == ("halted", decided.time)
    assert {w["step"] for w in found["waiting"]} == {"rollback"}


def test_a_gate_that_is_evaluated_after_a_halt_has_lifted_it(cycle: Any) -> None:
    """Somebody cleared the run."""
    cycle.gate(1, "FAIL")
    cycle.decide(1, "halt")
    cycle.fail("intake_and_baseline.gate_1_decision", code="GAT-303")
    cycle.round = 1
    cycle.gate(1)
    assert summary(cycle)["state"] == "running"


def test_a_retry_is_no_failure_and_goes_back_to_its_phase(cycle: Any) -> None:
    """The task that asked ends with an error then, which says nothing."""
    cycle.gate(1)
    cycle.gate(2, "FAIL")
    cycle.decide(2, "retry")
    cycle.fail("diagnostics.gate_2_decision", code="GAT-303")
    found = summary(cycle)
    assert (found["state"], found["error"], found["phase"], found["phase_name"]) == ("running", None, 2, "Diagnostics")


def test_a_step_that_fails_stays_failed_while_other_tasks_go_on(cycle: Any) -> None:
    """Parallel tasks write after it; only what could not be without it shows that it was done again."""
    cycle.fail(FAR, map_index=2)
    cycle.publish("evidence/source-traces.json", task=FAR)
    assert summary(cycle)["state"] == "failed"
    cycle.gate(1)
    assert (summary(cycle)["state"], summary(cycle)["error"]) == ("running", None)


def test_a_failed_step_that_writes_again_has_been_cleared(cycle: Any) -> None:
    """The same task, run again."""
    cycle.fail("diagnostics.profile_transactions")
    cycle.round = 1
    cycle.publish("evidence/profile-shop.json", task="diagnostics.profile_transactions")
    assert summary(cycle)["state"] == "running"


def test_a_later_phase_ends_an_error_of_an_earlier_one_and_not_its_own(cycle: Any) -> None:
    """The phase could not have started without the step."""
    cycle.fail(FAR)
    cycle.announce("[MASTER RAY™ | PHASE 1 START] - Consolidating", task="intake_and_baseline.other")
    assert summary(cycle)["state"] == "failed"
    cycle.announce("[MASTER RAY™ | PHASE 2 START] - Profiling", task="diagnostics.profile_transactions")
    assert summary(cycle)["state"] == "running"


def test_a_beginning_of_the_log_gives_the_summary_of_that_moment(cycle: Any) -> None:
    """A superseded report is the one that counts before it was superseded."""
    cycle.validated(10.0, "not proved")
    size = len(cycle.entries)
    cycle.round = 1
    cycle.validated(50.0)
    assert summary_of(cycle.store, cycle.entries[:size])["improvement_percent"] == 10.0
    assert (summary(cycle)["improvement_percent"], summary(cycle)["artifacts"]) == (50.0, 1)


def test_a_report_without_a_figure_gives_none(cycle: Any) -> None:
    """An improvement that nobody measured is not zero."""
    cycle.publish("optimization-validation-report.json", {"improvement": {"percentage": None}, "verdict": "proved"})
    assert (summary(cycle)["improvement_percent"], summary(cycle)["verdict"]) == (None, None)


def test_hostile_text_passes_through_as_data(cycles: Callable[..., Any]) -> None:
    """Escaping is for whoever shows it: here it stays what was written, and is JSON."""
    words = '<script>alert(1)</script>"\u202e{{7*7}}'
    cycle = cycles(MemoryBackend(), objective=words)
    cycle.ask(words=words)
    found = summary(cycle)
    assert found["objective"] == words
    assert json.loads(json.dumps(found)) == found


def test_bodies_of_another_shape_break_nothing(cycle: Any) -> None:
    """A log is well formed whatever its bodies hold."""
    for kind in (
        EntryType.APPROVAL_REQUESTED, EntryType.APPROVAL_GRANTED, EntryType.APPROVAL_EXPIRED, EntryType.GATE_EVALUATED,
        EntryType.WAIVER_GRANTED, EntryType.DECISION_RECORDED, EntryType.ERROR, EntryType.ANNOUNCE,
    ):  # fmt: skip
        cycle.add(kind, {"request": {"asked": [1]}, "gate": "one", "result": 3, "text": ["x"], "role": {}, "step": 5}, task="x")
        cycle.add(kind, {"gate": 1, "outcome": "FAIL", "criteria": "none", "result": {"sha256": "f" * 64}}, task="diagnostics.y")
    found = summary(cycle)
    assert (gates(found)[0], found["waiting"]) == ("FAIL", [])


def test_a_run_that_was_never_opened_has_no_summary() -> None:
    """An empty directory is no cycle."""
    assert store_summary(EvidenceStore(MemoryBackend(), run_key("d", "r"))) is None


def test_an_unreadable_cycle_has_the_keys_of_a_readable_one(cycle: Any) -> None:
    """Pages need not tell them apart to look something up."""
    assert set(unreadable_summary("run", "EVI-603 …")) == set(summary(cycle))
