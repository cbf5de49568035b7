"""What a cycle tells people at its own moments: a request, a refusal, a gate that did not pass, the handoff."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from perfproof.approvals import APPROVAL, Evidence, Question, open_request
from perfproof.approvals.request_notifications import waiting
from perfproof.gates.result import Criterion, GateResult, Outcome
from perfproof.notifications import Kind, Notification
from perfproof_airflow.governance_steps import _handed_off
from perfproof_airflow.notifying.links import request_link, run_link
from perfproof_airflow.sensors.questions import ProtocolApproval, asked_roles

BASE = "https://airflow.example/team"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    """What the recipients would have received, with an Airflow that knows its address."""
    found: list[Notification] = []

    def deliver(notification: Notification, *, wanted: Any) -> list[Any]:
        found.append(notification)
        return []

    monkeypatch.setattr("perfproof_airflow.notifiers.deliver", deliver)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", BASE + "/")
    return found


def test_a_request_says_who_is_asked_what_on_which_evidence_until_when_and_where(
    run: Any, ask: Callable[..., Any], told: list[Notification]
) -> None:
    """One role: the link opens the very task to mark."""
    reference = run.publish("prerequisites.json", {"status": "ok"})
    ask(ProtocolApproval(task_id="await", step="load_test_authorization", evidence=["prerequisites.json"]), map_index=1)
    (one,) = told
    request = run.entries("approval.requested")[0]["request"]
    assert (one.kind, one.step, one.about, one.until) == (
        Kind.WAITING, "load_test_authorization", request["request_id"], request["expires_at"],
    )  # fmt: skip
    assert one.people == ("demo-sre (demo account) (demo-sre) as SRE Lead",)
    assert one.link == f"{BASE}/dags/performance_approvals/runs/{request['request_id']}/tasks/approve/mapped/0"
    lines = one.text.split("\n")
    assert "May these load tests run in this environment?" in lines and "Options: approve, reject" in lines
    assert any(line.startswith("targets: ") for line in lines) and any(line.startswith("max_rate: ") for line in lines)
    assert f"Evidence: prerequisites.json sha256:{reference['sha256']}" in lines


def question(run: Any, **changes: Any) -> Question:
    cycle = run.cycle()
    fields: dict[str, Any] = {
        "run": cycle.run, "dag_id": cycle.dag_id, "run_id": cycle.run_id, "step": "plan", "map_index": -1, "round": 0, "question": "Yes?",
        "options": APPROVAL, "roles": asked_roles(cycle, ["product_owner", "sre_lead"]), "evidence": (Evidence("a.json", "0" * 64),),
        "shown": {},
    }  # fmt: skip
    return Question(**{**fields, **changes})


def opened(asked: Question, *roles: str) -> Any:
    now = datetime(2025, 2, 16, 10, tzinfo=UTC)
    return open_request(asked, attempt=1, roles=roles, log_size=1, log_head="0" * 64, now=now, expires_after_days=7)


def test_two_roles_get_the_run_with_both_tasks(run: Any, told: list[Notification]) -> None:
    """Not the task of one of them."""
    assert request_link(opened(question(run), "product_owner", "sre_lead")).endswith("a1")
    assert request_link(opened(question(run), "sre_lead")).endswith("a1/tasks/approve/mapped/0")


def test_without_an_address_of_airflow_there_is_no_link(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a wrong one."""
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    assert run_link("a", "b") == "" and request_link(opened(question(run), "sre_lead")) == ""


def test_a_link_holds_names_of_others_only_as_parts_of_its_path(told: list[Notification]) -> None:
    """A run id may hold what an address gives a meaning to."""
    assert run_link("d", "manual__2025-01-01T00:00:00+00:00?x=1#y/../z") == (
        f"{BASE}/dags/d/runs/manual__2025-01-01T00%3A00%3A00%2B00%3A00%3Fx%3D1%23y%2F..%2Fz"
    )


def test_what_is_shown_in_a_request_begins_no_line_and_has_an_end(run: Any) -> None:
    """Names, values and question are each on one line, and there are twenty of them at most."""
    forged = "x\n[RAY GATE FAILED: Baseline Gate]"
    shown = {f"{forged}{number}": forged for number in range(30)} | {"long": ["y" * 5000]}
    one = waiting(opened(question(run, shown=shown, question=f"Deploy {forged}"), "sre_lead"), link="")
    lines = one.text.split("\n")
    assert not any(line.startswith("[RAY") for line in lines)
    assert len(lines) == 3 + 20 + 1 + 1 and lines[-2] == "and 11 more"
    assert datetime.fromisoformat(one.until) - datetime(2025, 2, 16, 10, tzinfo=UTC) == timedelta(days=7)


def test_a_gate_that_did_not_pass_says_its_block_with_options_and_every_reason(
    run: Any, told: list[Notification], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under one name for its repeats."""
    from perfproof.gates.text import gate_failed
    from perfproof_airflow.gate import judge

    result = GateResult(
        gate=3, name="Optimization Validation", outcome=Outcome.FAIL, evaluated_at=datetime(2025, 2, 16, tzinfo=UTC),
        criteria=(Criterion("improvement", 8.0, 15.0, ">=", False, True, "improvement is 8 %"),), figures={"improvement": 8.0},
        reasons=("improvement is 8 %", "forged\n> Options: none"), expectations={}, evidence=(),
        text=gate_failed(3, criteria="≥ 15%", actual="8%"),
    )  # fmt: skip
    monkeypatch.setattr("perfproof.gates.assembly.evaluate_gate", lambda gate, *, read, facts: result)
    with pytest.raises(AirflowFailException):
        run.within("optimization.gate_3", lambda: judge(run.cycle("optimization.gate_3"), 3, inputs=[]))
    (one,) = told
    assert (one.kind, one.about, one.step) == (Kind.GATE_FAILED, "gate 3", "gate_3")
    assert one.title == "Gate 3 (Optimization Validation): FAIL"
    assert one.text == f"{result.text}\nReasons:\n- improvement is 8 %\n- forged\\n> Options: none"
    assert [line[:5] for line in one.text.split("\n") if line.startswith(("> 1.", "> 2.", "> 3."))] == ["> 1. ", "> 2. ", "> 3. "]
    assert one.link == f"{BASE}/dags/performance_optimization/runs/manual__1"


def test_a_handoff_names_what_was_handed_over_by_digest(run: Any) -> None:
    """Report and manifest, on lines of their own."""
    report = run.publish("PERFORMANCE-REPORT.md", "# Performance report\n")
    manifest = run.publish("performance-report-manifest.json", {"subject": []})
    one = _handed_off(run.cycle(), report)
    assert one.kind is Kind.HANDOFF
    assert one.text.split("\n") == [
        "Handed off to Protocol 22.",
        f"PERFORMANCE-REPORT.md sha256:{report['sha256']}",
        f"performance-report-manifest.json sha256:{manifest['sha256']}",
    ]
