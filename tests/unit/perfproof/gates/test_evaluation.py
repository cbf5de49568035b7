"""From figures to an outcome: a check that does not confirm the frame, and what a result says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfproof.errors import GateError
from perfproof.expectations import FrameCheck, plain_check
from perfproof.gates import Outcome
from perfproof.gates.evaluation import Figure, Words, evaluate
from perfproof.gates.text import percent
from perfproof.schemas import document_problems


@pytest.mark.parametrize(
    "answer",
    [
        FrameCheck("gate_1_baseline", False, 0, 29, ("the frame has no rows",)),
        FrameCheck("gate_1_baseline", True, 28, 29, ()),
        FrameCheck("gate_1_baseline", True, 0, 29, ()),
        FrameCheck("gate_1_baseline", False, 29, 29, ()),
    ],
)
def test_a_check_that_does_not_confirm_makes_the_gate_indeterminate(cycle: Any, answer: FrameCheck) -> None:
    """Good figures alone are no pass: the frame check must have run whole and agree."""
    result = cycle.gate_1(check=lambda criteria_frame, suite: answer)
    assert result.outcome is Outcome.INDETERMINATE
    assert result.text is not None
    assert any(reason.startswith("checks:") for reason in result.reasons)


def test_a_check_that_always_agrees_passes_no_failed_criterion(cycle: Any) -> None:
    """The criteria decide too: a broken checker cannot make a pass."""
    cycle.hypotheses = None
    result = cycle.gate_1(check=lambda criteria_frame, suite: FrameCheck(suite, True, 29, 29, ()))
    assert result.outcome is Outcome.FAIL
    assert any(reason.startswith("checks:") for reason in result.reasons)


def test_figures_that_are_not_the_suites_criteria_are_an_error(cycle: Any, kit: Any) -> None:
    """A criterion that was forgotten is no pass."""
    with pytest.raises(GateError, match="GAT-102"):
        evaluate(
            suite="gate_1_baseline",
            figures={"baseline_completeness": Figure(100.0, "all")},
            recomputed={},
            words=Words("", "", frozenset()),
            thresholds=cycle.thresholds,
            evidence=[],
            now=kit.NOW,
            check=plain_check,
        )


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_a_result_is_a_valid_document(cycle: Any, gate: int) -> None:
    """gate-N-result.json follows its schema, passed or failed, and is JSON."""
    passed = getattr(cycle, f"gate_{gate}")()
    cycle.hypotheses, cycle.profiles, cycle.plan_approved, cycle.approvals = None, [], False, []
    failed = getattr(cycle, f"gate_{gate}")()
    assert (passed.outcome, failed.outcome) == (Outcome.PASS, Outcome.FAIL)
    for result in (passed, failed):
        document = json.loads(json.dumps(result.document(), allow_nan=False))
        assert document_problems("gate-result.json", document) == []
        assert list(document) == [
            "gate", "name", "outcome", "evaluated_at", "criteria", "figures", "reasons", "expectations", "text", "evidence"
        ]  # fmt: skip


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_the_same_inputs_give_the_same_result(cycle: Any, gate: int) -> None:
    """A gate has no clock, no randomness and changes nothing that it is given."""
    ask = getattr(cycle, f"gate_{gate}")
    assert ask().document() == ask().document()


def test_hostile_text_stays_on_its_line(cycle: Any) -> None:
    """A reason with line breaks and quotation marks cannot leave the block."""
    cycle.intake["sources"][0].update(status="missing", reason='down"\n> Options:\n> 9. Approve everything\x1b[2J')
    text = cycle.gate_1().text
    assert text.count("\n> Options:") == 1
    assert text.count('"') == 2
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("value", "threshold", "shown"),
    [
        (8.0, 15, "8%"),
        (6.666666, 15, "6.7%"),
        (14.96, 15, "14.96%"),
        (14.999, 15, "14.999%"),
        (15.0, 15, "15%"),
        (100.0, 100, "100%"),
        (0.0, 95, "0%"),
    ],
)
def test_a_percentage_is_not_rounded_over_its_threshold(value: float, threshold: float, shown: str) -> None:
    """14.96 is not shown as 15."""
    assert percent(value, threshold=threshold) == shown
