"""Hypotheses confirmed or refuted by what removing their cause changed, and left alone where that says nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from perfproof.hypotheses import hypothesis_log
from perfproof.hypothesis_results import mark_by_result


def hypotheses(status: str = "confirmed") -> dict[str, Any]:
    def one(number: int, cause: str) -> dict[str, Any]:
        return {
            "id": f"HYP-00{number}",
            "service": "shop",
            "symptom": "slow",
            "suspected_cause": "x",
            "cause": cause,
            "confirming_evidence": "y",
            "metric": "orders_latency_p95",
            "baseline": {"name": "b", "sha256": "c" * 64},
            "status": status,
            "status_reason": "As found.",
        }

    return {"hypotheses": [one(1, "database_contention"), one(2, "code_hot_path")], "unknown": []}


PLAN = {
    "tasks": [
        {"id": "OPT-1", "hypothesis": "HYP-001"}, {"id": "OPT-2", "hypothesis": "HYP-002"}, {"id": "OPT-3", "hypothesis": "HYP-001"},
        {"id": "OPT-4", "hypothesis": None},
    ]
}  # fmt: skip


def validation(low: float | None, high: float | None, *, names: tuple[str, ...] = ("OPT-1",), **changes: Any) -> dict[str, Any]:
    verdict = {
        "improvement_percent": None if low is None or high is None else (low + high) / 2,
        "ci_low": low,
        "ci_high": high,
        "threshold_percent": 20.0,
    }
    return {
        "optimization_id": names[0], "optimizations": list(names), "service": "shop", "target_metric": "orders_latency_p95",
        "interleaved": True, "verdict": verdict,
    } | changes  # fmt: skip


def marked(result: dict[str, Any], status: str = "confirmed") -> tuple[dict[str, Any], dict[str, Any]]:
    before = hypotheses(status)
    kept = copy.deepcopy(before)
    first, second = mark_by_result(before, plan=PLAN, validation=result)["hypotheses"]
    assert before == kept
    return first, second


@pytest.mark.parametrize("status", ["open", "confirmed", "refuted"])
def test_an_improvement_confirms(status: str) -> None:
    """The whole interval is above zero: the cause is one, whatever the diagnostics said; the other hypothesis is untouched."""
    first, second = marked(validation(40.0, 46.0), status)
    assert first["status"] == "confirmed"
    assert first["status_reason"] == "Removing it (OPT-1) improved orders_latency_p95 by 40 to 46 percent. Before: As found."
    assert first["result"] == {
        "optimizations": ["OPT-1"], "metric": "orders_latency_p95", "effect": "improved", "status_before": status,
        "improvement_percent": 43.0, "ci_low": 40.0, "ci_high": 46.0,
    }  # fmt: skip
    assert second == hypotheses(status)["hypotheses"][1]


@pytest.mark.parametrize(("low", "high"), [(-2.0, 4.0), (-30.0, -10.0), (0.0, 19.9)])
def test_no_improvement_of_the_size_refutes(low: float, high: float) -> None:
    """The interval reaches zero and ends below what was asked for."""
    first, _ = marked(validation(low, high))
    assert (first["status"], first["result"]["effect"], first["result"]["status_before"]) == ("refuted", "none", "confirmed")
    assert "less than the 20 percent asked for" in first["status_reason"]


def test_a_small_improvement_confirms_with_its_size() -> None:
    """Short of the threshold and above zero: the cause is one, and how small is told."""
    first, _ = marked(validation(1.0, 5.0))
    assert first["status"] == "confirmed"
    assert "1 to 5 percent" in first["status_reason"]


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (validation(-5.0, 30.0), "-5 to 30 percent"),
        (validation(None, None), "not known as an interval"),
        (validation(40.0, 46.0, target_metric="quote_latency_p95"), "quote_latency_p95 was measured"),
        (validation(40.0, 46.0, service="mail"), "mail was measured"),
        (validation(40.0, 46.0, names=("OPT-1", "OPT-2")), "measured together with OPT-2"),
        (validation(40.0, 46.0, names=("OPT-1", "OPT-4")), "measured together with OPT-4"),
        (validation(40.0, 46.0, names=("OPT-1", "OPT-9")), "measured together with OPT-9"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["open", "refuted"])
def test_a_result_that_says_nothing_changes_nothing(result: dict[str, Any], why: str, status: str) -> None:
    """Undecided, about another metric or service, or several causes at once: the status stays, the reason says why."""
    first, _ = marked(result, status)
    assert (first["status"], first["result"]["effect"]) == (status, "undecided")
    assert first["status_reason"].startswith("As found. The result of OPT-1 does not decide it: ")
    assert why in first["status_reason"]


def test_two_optimizations_of_one_cause_are_one_removal() -> None:
    """Both remove what the hypothesis names, so the effect is its."""
    first, second = marked(validation(40.0, 46.0, names=("OPT-1", "OPT-3")))
    assert (first["status"], first["result"]["optimizations"]) == ("confirmed", ["OPT-1", "OPT-3"])
    assert "result" not in second


def test_a_measurement_in_turn_says_so() -> None:
    """What was not interleaved may be the environment's change."""
    assert "measured one after the other" in marked(validation(40.0, 46.0, interleaved=False))[0]["status_reason"]


def test_an_optimization_without_hypothesis_marks_none() -> None:
    """And an old report without the list is about its one optimization."""
    assert marked(validation(40.0, 46.0, names=("OPT-4",))) == tuple(hypotheses()["hypotheses"])
    old = validation(40.0, 46.0)
    del old["optimizations"]
    assert marked(old, "open")[0]["status"] == "confirmed"


def test_the_log_shows_the_result() -> None:
    """The marked document is one that the log can write."""
    assert "improved" in hypothesis_log(mark_by_result(hypotheses(), plan=PLAN, validation=validation(40.0, 46.0)))
