"""Who does not answer is reminded: at the time, once, and only while they are waited for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from perfproof.config import load_protocol
from perfproof.moments import parse_stamp
from perfproof_airflow.sensors.approval import SETTLE_SECONDS
from perfproof_airflow.sensors.questions import ProtocolApproval

PLAN = "optimization-plan.json"
TASK = {
    "id": "OPT-001", "title": "Index", "service": "shop", "owner": "demo-engineer", "risk": "low", "risk_notes": "drop it",
    "expected_gain_percent": 40, "finding": "the whole table is read",
}  # fmt: skip
DEPUTY = "deputies: [{id: dora, name: Dora D., stands_for: demo-owner, first_day: %s, last_day: %s}]"


class Clock:
    """The time of the tasks: that of the machine, moved on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_hours(self, hours: float) -> None:
        self.ahead += timedelta(hours=hours)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("perfproof_airflow.sensors.approval_log.ApprovalLog.now", staticmethod(made))
    monkeypatch.setattr("perfproof_airflow.cycle.now", made)
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the notifiers received, as kind and text."""
    found: list[tuple[str, str]] = []

    def deliver(notification: Any, *, wanted: Any) -> list[Any]:
        found.append((notification.kind, notification.text))
        return []

    monkeypatch.setattr("perfproof_airflow.notifiers.deliver", deliver)
    return found


@pytest.fixture
def escalating(workspace: Any) -> None:
    """The demo's protocol, with escalation to security and a deputy of the product owner."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    today = datetime.now(UTC)
    deputy = DEPUTY % (f"{today:%Y-%m-%d}", f"{today + timedelta(days=30):%Y-%m-%d}")
    text = path.read_text().replace(
        "  expires_after_days: 7\n", "  expires_after_days: 7\n  escalate_after_hours: 120\n  escalate_to: security\n"
    )
    text = text.replace("(demo account)}]\n  sre_lead:", f"(demo account)}}]\n    {deputy}\n  sre_lead:")
    assert load_protocol(text.encode(), where="demo.yaml").roles["product_owner"].deputies
    path.write_text(text)


@pytest.fixture
def wake(run: Any, desk: Any, ask: Callable[..., Any], clock: Clock) -> Callable[[], Any]:
    """Runs the task that waits for the plan's two approvals."""
    run.publish(PLAN, {"target_metric": "orders_latency_p95", "tasks": [TASK]})

    def once() -> Any:
        return ask(ProtocolApproval(task_id="await_plan", step="plan", evidence=[PLAN]))

    return once


def kinds(told: list[tuple[str, str]]) -> list[str]:
    return [kind for kind, _ in told if kind in ("reminder", "escalation")]


def test_it_wakes_up_for_the_next_reminder_and_not_before_it_has_settled(wake: Any, clock: Clock, run: Any) -> None:
    """24 hours after the request, then 72; then the expiry is all that is left."""
    first = wake().trigger
    request = run.entries("approval.requested")[0]["request"]
    asked_at = parse_stamp(request["requested_at"])
    assert first.wake_at == (asked_at + timedelta(hours=24)).timestamp()
    assert first.not_before >= clock().timestamp() + SETTLE_SECONDS - 1
    clock.pass_hours(24.1)
    assert wake().trigger.wake_at == (asked_at + timedelta(hours=72)).timestamp()
    clock.pass_hours(48)
    last = wake().trigger
    assert last.wake_at is None and last.expires_at == parse_stamp(request["expires_at"]).timestamp() + 1


def test_each_reminder_is_logged_and_sent_once_however_often_the_task_runs(wake: Any, clock: Clock, run: Any, told: Any) -> None:
    """A retry, a clear or a restarted triggerer reminds nobody twice."""
    wake()
    clock.pass_hours(24.1)
    for _ in range(3):
        assert isinstance(wake(), TaskDeferred)
    clock.pass_hours(48)
    for _ in range(3):
        wake()
    assert [(body["number"], body["covers"], body["roles"]) for body in run.entries("approval.reminded")] == [
        (1, [1], ["product_owner", "sre_lead"]),
        (2, [2], ["product_owner", "sre_lead"]),
    ]
    assert kinds(told) == ["reminder", "reminder"]
    text = next(text for kind, text in told if kind == "reminder")
    assert "demo-owner" in text and "demo-sre" in text and run.entries("approval.requested")[0]["request_id"] in text


def test_a_triggerer_that_was_dead_for_days_sends_one_reminder(wake: Any, clock: Clock, run: Any, told: Any) -> None:
    """Which says what it stands for."""
    wake()
    clock.pass_hours(73)
    wake()
    assert [(body["number"], body["covers"]) for body in run.entries("approval.reminded")] == [(2, [1, 2])]
    assert kinds(told) == ["reminder"]


def test_who_has_answered_is_not_reminded(wake: Any, clock: Clock, desk: Any, run: Any, told: Any) -> None:
    """Also if the answer is found by the very run that reminds."""
    wake()
    clock.pass_hours(24.1)
    desk.answer("sre_lead", "demo-sre", time=f"{clock():%Y-%m-%dT%H:%M:%SZ}")
    wake()
    assert [body["roles"] for body in run.entries("approval.reminded")] == [["product_owner"]]
    assert all("demo-sre" not in text for kind, text in told if kind == "reminder")


def test_nobody_is_reminded_when_everybody_has_answered(wake: Any, clock: Clock, desk: Any, run: Any, told: Any) -> None:
    """The reminder was due, and so was the answer."""
    wake()
    clock.pass_hours(25)
    for role, who in (("product_owner", "demo-owner"), ("sre_lead", "demo-sre")):
        desk.answer(role, who, time=f"{clock():%Y-%m-%dT%H:%M:%SZ}")
    assert wake()["decision"] == "approve"
    assert run.entries("approval.reminded") == [] and kinds(told) == []


def test_a_role_that_is_asked_again_is_reminded_of_the_new_request(wake: Any, clock: Clock, desk: Any, run: Any) -> None:
    """Its time begins anew, beside that of the role which still waits for the first."""
    wake()
    clock.pass_hours(20)
    desk.answer("sre_lead", "demo-engineer", time=f"{clock():%Y-%m-%dT%H:%M:%SZ}")
    wake()
    clock.pass_hours(5)
    wake()
    clock.pass_hours(20)
    wake()
    assert [(body["attempt"], body["roles"]) for body in run.entries("approval.reminded")] == [(1, ["product_owner"]), (2, ["sre_lead"])]


@pytest.mark.usefixtures("escalating")
def test_what_nobody_answers_is_escalated_once_to_the_role_of_the_protocol_file(wake: Any, clock: Clock, run: Any, told: Any) -> None:
    """They are told whom the cycle waits for, deputies included; they are not asked."""
    wake()
    for _ in range(6):
        clock.pass_hours(24.5)
        wake()
    assert [body["number"] for body in run.entries("approval.escalated")] == [1]
    (text,) = [text for kind, text in told if kind == "escalation"]
    assert text.startswith("For demo-security (demo account) (demo-security): nobody has answered.")
    assert "demo-owner" in text and "Dora D. (dora)" in text
    assert all(person["id"] != "demo-security" for r in run.entries("approval.requested")[0]["request"]["roles"] for person in r["people"])


def test_seven_days_without_an_answer_are_two_reminders_and_a_failure(wake: Any, clock: Clock, run: Any, told: Any) -> None:
    """Looked at every six hours: nothing is sent at or after the expiry, and nothing is approved."""
    wake()
    with pytest.raises(AirflowFailException, match="APR-412"):
        for _ in range(40):
            clock.pass_hours(6)
            wake()
    assert kinds(told) == ["reminder", "reminder"]
    assert run.entries("approval.granted") == [] and len(run.entries("approval.expired")) == 1


def test_a_notifier_that_fails_stops_nothing(wake: Any, clock: Clock, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reminder is in the log, the failure too, and the task goes on waiting."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", "no_such_module:notify")
    wake()
    clock.pass_hours(24.1)
    assert isinstance(wake(), TaskDeferred)
    assert len(run.entries("approval.reminded")) == 1 and run.entries("notify.failed")


@pytest.mark.usefixtures("escalating")
def test_a_deputy_of_the_protocol_file_answers_and_the_record_says_for_whom(wake: Any, desk: Any, run: Any, clock: Clock) -> None:
    """Asked with the people of the role, and told to the notifiers like them."""
    wake()
    desk.answer("product_owner", "dora")
    desk.answer("sre_lead", "demo-sre")
    assert wake()["decision"] == "approve"
    found = {body["role"]: body for body in run.entries("approval.granted")}
    assert found["product_owner"]["person"]["id"] == "dora"
    assert found["product_owner"]["deputy_for"] == {"id": "demo-owner", "name": "demo-owner (demo account)"}
    assert found["sre_lead"]["deputy_for"] is None
