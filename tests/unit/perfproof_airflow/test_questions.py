"""What each step of the protocol asks, of whom, about which evidence, and who may not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from perfproof.errors import ApprovalError
from perfproof_airflow.sensors.owner_tasks import ImplementationApproval
from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX, PREREQUISITE_STEPS, QUESTIONS, ProtocolApproval

PLAN = {
    "target_metric": "orders_latency_p95",
    "tasks": [
        {
            "id": "OPT-001", "title": "Index orders by customer", "service": "shop", "owner": "demo-engineer", "risk": "low",
            "risk_notes": "drop it to roll back", "expected_gain_percent": 40, "finding": "the whole table is read",
        }
    ],
}  # fmt: skip


def approval(step: str, *evidence: str) -> ProtocolApproval:
    return ProtocolApproval(task_id=f"await_{step}", step=step, evidence=list(evidence))


def asked(run: Any, sensor: Any, *, map_index: int = -1) -> Any:
    return sensor.build_question(run.context(sensor.task_id, map_index=map_index))


def test_every_step_of_the_protocol_file_is_asked_somewhere(run: Any) -> None:
    """Gate decisions, implementation and rollback are classes of their own."""
    own_classes = {"gate_1_decision", "gate_2_decision", "gate_3_decision", "gate_4_decision", "implementation", "rollback"}
    assert set(QUESTIONS) | own_classes == set(run.cycle().protocol.approvals.steps)
    assert [PREREQUISITE_INDEX[step] for step in PREREQUISITE_STEPS] == [0, 1, 2]


@pytest.mark.parametrize(
    ("step", "role", "shows"),
    [
        ("prioritization", "product_owner", {"objective", "services", "target metric", "environment", "optimizations"}),
        (
            "load_test_authorization", "sre_lead",
            {"targets", "max_rate", "max_duration_seconds", "max_tests", "window", "abort", "planned"},
        ),
        ("profiling_clearance", "security", {"services", "deployments", "profilers", "what is sampled"}),
    ],
)  # fmt: skip
def test_the_prerequisites_are_asked_of_their_role_with_what_they_decide_on(run: Any, step: str, role: str, shows: set[str]) -> None:
    """Bound to the verified prerequisites."""
    reference = run.publish("prerequisites.json", {"status": "ok"})
    question = asked(run, approval(step, "prerequisites.json"), map_index=PREREQUISITE_INDEX[step])
    assert [r.role for r in question.roles] == [role]
    assert set(question.shown) == shows
    assert [(e.name, e.sha256) for e in question.evidence] == [("prerequisites.json", reference["sha256"])]
    assert question.map_index == PREREQUISITE_INDEX[step]


def test_a_question_is_the_same_each_time_it_is_built(run: Any) -> None:
    """A sensor that wakes up a day later asks nothing new."""
    run.publish("prerequisites.json", {"status": "ok"})
    for step in PREREQUISITE_STEPS:
        sensor = approval(step, "prerequisites.json")
        assert asked(run, sensor).subject_sha256 == asked(run, sensor).subject_sha256


def test_the_load_window_opens_when_the_prerequisites_were_verified(run: Any) -> None:
    """So that it is the same at each try, and no authorization exists without them."""
    sensor = approval("load_test_authorization")
    with pytest.raises(ApprovalError, match=r"APR-436 .*clear verify_system_state"):
        asked(run, sensor)
    run.publish("prerequisites.json", {"status": "ok"})
    entry = run.cycle().store.live("prerequisites.json")
    assert asked(run, sensor).shown["window"]["start"] == entry.time[:19] + "Z"


def test_who_triggered_the_run_may_not_answer(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Also with the role; the other people of the role are asked again."""
    run.user = "demo-owner"
    run.publish("prerequisites.json", {"status": "ok"})
    sensor = approval("prioritization", "prerequisites.json")
    ask(sensor)
    desk.answer("product_owner", "demo-owner")
    assert isinstance(ask(sensor), TaskDeferred)
    assert [body["code"] for body in run.entries("approval.refused")] == ["APR-405"]


@pytest.mark.parametrize("user", [None, ""])
def test_a_run_that_nobody_triggered_forbids_nobody(run: Any, user: str | None) -> None:
    """A run of a schedule has no requester."""
    run.user = user
    run.publish("prerequisites.json", {"status": "ok"})
    assert asked(run, approval("prioritization", "prerequisites.json")).forbidden == ()


def test_the_plan_shows_every_task_and_its_owners_may_not_approve_it(run: Any) -> None:
    """Owner, risk, expected gain and finding: what the specification's plan holds."""
    reference = run.publish("optimization-plan.json", PLAN)
    question = asked(run, approval("plan", "optimization-plan.json"))
    assert question.shown["tasks"] == PLAN["tasks"]
    assert question.forbidden == ("demo-engineer", "demo-requester")
    assert [r.role for r in question.roles] == ["product_owner", "sre_lead"]
    assert question.evidence[0].sha256 == reference["sha256"]


def test_evidence_that_is_not_there_halts_and_asks_nobody(run: Any, ask: Callable[..., Any]) -> None:
    """A request about nothing could be approved."""
    with pytest.raises(AirflowFailException, match=r"EVI-[0-9]+ .*optimization-plan\.json"):
        ask(approval("plan", "optimization-plan.json"))
    assert run.entries("approval.requested") == []


def implementation(optimization: str = "OPT-001") -> ImplementationApproval:
    return ImplementationApproval(task_id="await_implementation", evidence=["optimization-plan.json"], optimization=optimization)


def test_an_implementation_is_asked_of_its_owner_and_needs_a_change_reference(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Where to deploy what; the note names the change."""
    run.publish("optimization-plan.json", PLAN)
    ask(implementation(), map_index=0)
    request = run.entries("approval.requested")[0]["request"]
    assert request["question"].startswith("Deploy OPT-001 (Index orders by customer) to 127.0.0.1:18102")
    assert [p["id"] for r in request["roles"] for p in r["people"]] == ["demo-engineer"]
    desk.answer("task_owner", "demo-engineer", note="done")
    assert isinstance(ask(implementation(), map_index=0), TaskDeferred)
    assert run.entries("approval.refused")[0]["code"] == "APR-410"
    desk.answer("task_owner", "demo-engineer", note="build 1.4.2")
    assert ask(implementation(), map_index=0)["decision"] == "approve"


def test_deputies_are_asked_with_whom_they_stand_in_for(run: Any, workspace: Any) -> None:
    """In their role; and for the work of its owner, whatever the role: saying that it is done approves nothing."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    days = "first_day: 2026-12-01, last_day: 2026-12-31"
    text = path.read_text()
    for who, deputy in (("demo-owner", "dora"), ("demo-engineer", "dan")):
        people = f"    people: [{{id: {who}, name: {who} (demo account)}}]\n"
        assert people in text
        text = text.replace(people, f"{people}    deputies: [{{id: {deputy}, name: {deputy}, stands_for: {who}, {days}}}]\n")
    path.write_text(text)
    later = type(run)(workspace, "manual__deputies")
    later.open()
    later.publish("optimization-plan.json", PLAN)
    plan = asked(later, approval("plan", "optimization-plan.json"))
    assert [(r.role, [d.id for d in r.deputies]) for r in plan.roles] == [("product_owner", ["dora"]), ("sre_lead", [])]
    work = asked(later, implementation(), map_index=0)
    assert [([p.id for p in r.people], [d.id for d in r.deputies]) for r in work.roles] == [(["demo-engineer"], ["dan"])]


def test_an_implementation_is_asked_anew_in_each_round(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """After a retry the change is another one, although the plan is the same."""
    run.publish("optimization-plan.json", PLAN)
    ask(implementation(), map_index=0)
    desk.answer("task_owner", "demo-engineer", note="build 1.4.2")
    ask(implementation(), map_index=0)
    run.round = 1
    assert isinstance(ask(implementation(), map_index=0), TaskDeferred)


def test_a_plan_stays_approved_in_a_later_round(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Unchanged evidence is never asked twice."""
    run.publish("optimization-plan.json", PLAN)
    sensor = approval("plan", "optimization-plan.json")
    ask(sensor)
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre")
    assert ask(sensor)["decision"] == "approve"
    run.round = 1
    assert ask(sensor)["decision"] == "approve"
    assert len(run.entries("approval.requested")) == 1


def test_an_optimization_that_is_not_in_the_plan_says_what_to_clear(run: Any, ask: Callable[..., Any]) -> None:
    """Not an IndexError."""
    run.publish("optimization-plan.json", PLAN)
    with pytest.raises(AirflowFailException, match=r"APR-434 .*OPT-009.*clear define_plan"):
        ask(implementation("OPT-009"), map_index=0)


def test_an_owner_who_is_nobody_of_the_protocol_file_is_not_asked(run: Any, ask: Callable[..., Any]) -> None:
    """Nobody could answer."""
    run.publish("optimization-plan.json", {**PLAN, "tasks": [{**PLAN["tasks"][0], "owner": "somebody"}]})  # type: ignore[dict-item]
    with pytest.raises(AirflowFailException, match="APR-435"):
        ask(implementation(), map_index=0)


def test_the_handoff_is_asked_with_the_confirmation_prompt(run: Any) -> None:
    """Word for word, with the two artifacts, improvement, gates and who approved the SLO updates."""
    run.publish("optimization-validation-report.json", {"improvement": {"percentage": 28.9}, "regression_count": 0})
    run.publish("PERFORMANCE-REPORT.md", "# Performance report\n")
    update = {"slo_name": "Orders", "previous_target": "250ms", "new_target": "120ms", "approvers": [{"role": "SRE Lead", "name": "Sam"}]}
    run.publish("slo-update-record.json", {"updates": [update]})
    run.publish("gate-4-result.json", {"gate": 4, "outcome": "PASS"})
    question = asked(run, approval("handoff", "gate-4-result.json", "optimization-validation-report.json", "PERFORMANCE-REPORT.md"))
    assert question.question == (
        "[RAY CONFIRMATION REQUIRED]\n"
        '> "Performance optimization validation complete.\n'
        "> - optimization-validation-report.json\n"
        "> - PERFORMANCE-REPORT.md\n"
        ">\n"
        '> Approve SLO updates and handoff to Protocol 22?"'
    )
    assert question.shown["improvement percent"] == 28.9
    assert question.shown["gates"] == {"gate 1": "NOT EVALUATED", "gate 2": "NOT EVALUATED", "gate 3": "NOT EVALUATED", "gate 4": "PASS"}
    assert question.shown["SLO approvals"] == ["SRE Lead: Sam"]
    assert len(question.evidence) == 3


def test_the_protocol_file_says_how_long_a_question_can_be_answered_and_how_often_it_is_looked_at(
    run: Any, ask: Callable[..., Any]
) -> None:
    """Not the class's own defaults."""
    run.publish("optimization-plan.json", PLAN)
    sensor = approval("plan", "optimization-plan.json")
    deferral = ask(sensor)
    assert (sensor.expires_after_days, sensor.poll_seconds) == (7, 1)
    assert deferral.trigger.poll_seconds == 1


def test_who_is_waited_for_is_told_to_the_notifiers(run: Any, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """By name and step, so that nobody waits for a person who does not know."""
    told: list[tuple[str, str]] = []

    def deliver(notification: Any, *, wanted: Any) -> list[Any]:
        told.append((notification.kind, notification.text))
        return []

    monkeypatch.setattr("perfproof_airflow.notifiers.deliver", deliver)
    run.publish("optimization-plan.json", PLAN)
    ask(approval("plan", "optimization-plan.json"))
    assert [kind for kind, _ in told] == ["waiting"]
    assert "Waiting for demo-owner, demo-sre: plan" in told[0][1]
