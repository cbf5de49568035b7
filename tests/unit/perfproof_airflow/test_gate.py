"""A gate's task: evaluates, keeps the result, says the specification's words, and fails red unless the gate passed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from perfproof.gates.result import Criterion, GateResult, Outcome
from perfproof_airflow.gate import EVALUATED, gate_decision, gate_outcomes, handed_off, judge

GATE_3 = "optimization.gate_3"
TEXT = "[RAY GATE FAILED: Optimization Validation Gate]"


def result(outcome: Outcome, *, actual: float = 8.0) -> GateResult:
    """A result of gate 3."""
    met = outcome is Outcome.PASS
    return GateResult(
        gate=3,
        name="Optimization Validation",
        outcome=outcome,
        evaluated_at=datetime(2025, 2, 16, tzinfo=UTC),
        criteria=(Criterion("improvement", actual, 15.0, ">=", met, True, f"improvement is {actual:g} %"),),
        figures={"improvement": actual},
        reasons=() if met else (f"improvement is {actual:g} %",),
        expectations={},
        evidence=(),
        text=None if met else TEXT,
    )


@pytest.fixture
def evaluates(monkeypatch: pytest.MonkeyPatch) -> list[GateResult]:
    """What the pure core answers, last first; how often it was asked shows in what is left."""
    answers: list[GateResult] = []
    monkeypatch.setattr("perfproof.gates.assembly.evaluate_gate", lambda gate, *, read, facts: answers.pop())
    return answers


def judged(run: Any, *, try_number: int = 1) -> Any:
    return run.within(GATE_3, lambda: judge(run.cycle(GATE_3, try_number=try_number), 3, inputs=[]), try_number=try_number)


def test_a_gate_that_passes_publishes_logs_and_returns_its_result(run: Any, evaluates: list[GateResult]) -> None:
    """The reference goes on to whoever follows."""
    evaluates.append(result(Outcome.PASS, actual=28.9))
    reference = judged(run)
    assert reference["name"] == "gate-3-result.json"
    assert run.cycle().document(reference)["outcome"] == "PASS"
    assert run.xcom[GATE_3, EVALUATED] == reference
    logged = run.entries("gate.evaluated")
    assert [(body["gate"], body["outcome"], body["result"]["sha256"]) for body in logged] == [(3, "PASS", reference["sha256"])]


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INDETERMINATE])
def test_a_gate_that_does_not_pass_publishes_says_its_text_and_fails_without_retries(
    run: Any, evaluates: list[GateResult], outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    """Result, log entry and XCom are there before the task fails: the decision needs them."""
    evaluates.append(result(outcome))
    with caplog.at_level("INFO"), pytest.raises(AirflowFailException, match=rf"gate 3 .*{outcome}: improvement is 8 %"):
        judged(run)
    reference = run.xcom[GATE_3, EVALUATED]
    assert run.cycle().document(reference)["outcome"] == outcome.value
    assert [body["text"] for body in run.entries("gate.evaluated")] == [TEXT]
    assert TEXT in caplog.text


def test_a_verdict_is_no_halt(run: Any, evaluates: list[GateResult]) -> None:
    """No `[RAY ERROR]` line: the gate's text says what to do."""
    evaluates.append(result(Outcome.FAIL))
    with pytest.raises(AirflowFailException):
        judged(run)
    assert run.entries("error") == []


def test_a_retry_in_the_same_round_comes_to_the_same_result(run: Any, evaluates: list[GateResult]) -> None:
    """A worker that died after publishing does not get another verdict, and the log has one entry."""
    evaluates.extend([result(Outcome.PASS), result(Outcome.FAIL)])
    for try_number in (1, 2):
        with pytest.raises(AirflowFailException):
            judged(run, try_number=try_number)
    assert len(evaluates) == 1
    assert len(run.entries("gate.evaluated")) == 1


def test_a_new_round_is_judged_anew_and_the_old_result_stays(run: Any, evaluates: list[GateResult]) -> None:
    """A gate that failed, was retried and passed shows both."""
    evaluates.extend([result(Outcome.PASS, actual=20), result(Outcome.FAIL)])
    with pytest.raises(AirflowFailException):
        judged(run)
    run.round = 1
    judged(run)
    assert [body["outcome"] for body in run.entries("gate.evaluated")] == ["FAIL", "PASS"]
    assert len(run.versions("gate-3-result.json")) == 2
    assert gate_outcomes(run.cycle())[3] == "PASS"


def test_a_gate_without_any_evidence_fails(run: Any) -> None:
    """The real gate, on a cycle in which nothing was written."""
    task = "intake_and_baseline.gate_1"
    with pytest.raises(AirflowFailException, match=r"gate 1 \(Baseline Validation\): (FAIL|INDETERMINATE)"):
        run.within(task, lambda: judge(run.cycle(task), 1, inputs=[]))
    assert gate_outcomes(run.cycle()) == {
        1: run.entries("gate.evaluated")[0]["outcome"],
        2: "NOT EVALUATED",
        3: "NOT EVALUATED",
        4: "NOT EVALUATED",
    }
    assert not gate_decision(run.cycle(), 1).lets_through


def test_nothing_is_handed_off_before_the_handoff(run: Any) -> None:
    """A report alone is none."""
    assert not handed_off(run.cycle())
    run.publish("PERFORMANCE-REPORT.md", "# Performance report\n")
    assert not handed_off(run.cycle())
