"""Valid or not, and the figures of a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.recovery import failure_outcome
from perfproof.load.rows import Rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof.load.verdict import summarise

RowsOf = Callable[..., Rows]
SummaryOf = Callable[..., GeneratorSummary]


def document_of(plan: LoadPlan, rows: Rows, summary: GeneratorSummary, **more: Any) -> dict[str, Any]:
    """The document of one test of the baseline of the shop."""
    return summarise(rows, plan=plan, summary=summary, service="shop", endpoint="baseline", rows_reference={"name": "r"}, **more)


def test_a_good_test_is_valid_and_its_figures_are_those_of_its_rows(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """Two latencies in known shares give known percentiles; the slow warm-up is not in them."""
    rows = rows_of(plan, latency_ms=lambda due: 900 if due < 0.1 else 400 if due > 10.2 else 20, late_ms=0)
    document = document_of(plan, rows, summary_of(plan))
    slow = int((rows.intended_start > 10.2).sum())
    assert document["valid"], document["invalid_reasons"]
    assert document["requests"] == 400
    assert document["offered_rate"] == 40
    assert document["latency"]["p50"] == 20
    assert document["latency"]["p95"] == (400 if slow > 20 else 20)
    assert document["latency"]["p99"] == 400
    assert document["throughput"] == pytest.approx(40, rel=0.05)
    assert document["by_transaction"]["orders"]["requests"] == 280
    assert document["error_rate"] == 0
    assert document["upper_95"]["error_rate"] == pytest.approx(0.951, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpu_percent": 81.0}, "of a core"),
        ({"cpu_percent": float("nan")}, "of a core"),
        ({"build_after": "b2"}, "build changed"),
        ({"plan_sha256": "0" * 64}, "another plan"),
        ({"outcome": Outcome.STOPPED, "reason": "lease"}, "lease"),
        ({"outcome": Outcome.ABORTED, "reason": "errors"}, "errors"),
    ],
)
def test_what_the_generator_admits_makes_the_test_invalid(
    plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf, changes: dict[str, Any], words: str
) -> None:
    """CPU, another build, another plan, or an early end."""
    document = document_of(plan, rows_of(plan), summary_of(plan, **changes))
    assert not document["valid"]
    assert any(words in reason for reason in document["invalid_reasons"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"status": lambda due: -1 if 5 < due < 5.5 else 200}, "dropped"),
        ({"late_ms": 30.0}, "started late"),
        ({"until": 10.0}, "rows for"),
        ({"until": 10.0}, "started in time"),
        ({"until": 0.5}, "no request after"),
    ],
)
def test_what_the_rows_show_makes_the_test_invalid(
    plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf, arguments: dict[str, Any], words: str
) -> None:
    """Dropped, late or missing requests, whatever the summary says."""
    document = document_of(plan, rows_of(plan, **arguments), summary_of(plan))
    assert not document["valid"]
    assert any(words in reason for reason in document["invalid_reasons"])


def test_a_slow_service_may_have_a_generator_that_is_a_little_later(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """30 ms late is a lot for 20 ms of latency, and little for 400 ms."""
    assert document_of(plan, rows_of(plan, late_ms=30, latency_ms=lambda _: 400), summary_of(plan))["valid"]


def test_too_few_samples_for_a_judged_percentile_are_no_peak(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """367 requests bound p95 but not p99; the same rows are a fine block of a measurement."""
    short = replace(plan, stages=(Stage(36.7, 10),))
    peak = document_of(short, rows_of(short), summary_of(short))
    assert peak["invalid_reasons"] == ["p99 needs 368 samples, there are 367"]
    assert peak["upper_95"]["p99"] is None
    block = replace(short, scenario=Scenario.MEASUREMENT)
    assert document_of(block, rows_of(block), summary_of(block))["valid"]


def test_failed_requests_count_with_the_time_they_took(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """A tenth of time-outs shows in p95 and in the error rate, not in the throughput of good answers."""
    rows = rows_of(
        plan,
        status=lambda due: -2 if 4 < due < 5 else 200,
        latency_ms=lambda due: 5000 if 4 < due < 5 else 20,
    )
    document = document_of(plan, rows, summary_of(plan))
    share = 100 * document["errors"] / document["requests"]
    assert document["latency"]["p95"] > 5000
    assert document["error_rate"] == pytest.approx(share, abs=0.001)
    assert document["statuses"]["timeout"] == document["errors"]
    assert document["throughput"] == pytest.approx(40 * (1 - share / 100), rel=0.05)


def test_steps_of_a_stress_test_tell_their_own_figures(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """Concurrency is what Little's law gives: rate times time in service."""
    stress = replace(plan, scenario=Scenario.STRESS, stages=(Stage(20, 4), Stage(80, 4)))
    rows = rows_of(stress, latency_ms=lambda due: 50 if due < 5 else 200)
    steps = document_of(stress, rows, summary_of(stress))["steps"]
    assert [s["requests"] for s in steps] == [80, 320]
    assert [s["p95"] for s in steps] == pytest.approx([51, 201])
    assert [s["concurrency"] for s in steps] == pytest.approx([1.0, 16.0], rel=0.1)
    assert all(s["complete"] for s in steps)
    assert steps[0]["too_few_samples_for"] == ["p99"]


def test_a_stress_test_may_end_at_the_limit_it_looks_for(plan: LoadPlan, rows_of: RowsOf, summary_of: SummaryOf) -> None:
    """Aborted in its second step it is valid and the step incomplete; aborted in its first it found nothing."""
    stress = replace(plan, scenario=Scenario.STRESS, stages=(Stage(20, 4), Stage(80, 4)))
    ended = summary_of(stress, outcome=Outcome.ABORTED, reason="p99", build_after=None)
    later = document_of(stress, rows_of(stress, until=7.0), ended)
    assert later["valid"]
    assert [s["complete"] for s in later["steps"]] == [True, False]
    assert not document_of(stress, rows_of(stress, until=4.0), ended)["valid"]
    stopped = summary_of(stress, outcome=Outcome.STOPPED, reason="lease", build_after=None)
    assert not document_of(stress, rows_of(stress, until=7.0), stopped)["valid"]


@pytest.mark.parametrize(
    ("failing", "took", "recovered"),
    [((4.0, 5.0), 1.0, True), ((4.0, 8.0), 4.0, False), ((4.0, 11.0), None, False), ((3.0, 3.5), 0.0, True)],
)
def test_recovery_is_measured_from_the_injection_to_the_last_failure(
    plan: LoadPlan, rows_of: RowsOf, failing: tuple[float, float], took: float | None, recovered: bool
) -> None:
    """In time, too late, never, and a fault that hurt nobody (the earlier errors are not its doing)."""
    rows = rows_of(plan, status=lambda due: 500 if failing[0] <= due < failing[1] else 200)
    outcome = failure_outcome(rows, plan=plan, fault="x", injected_at=4.0, recover_within_seconds=2)
    assert outcome["recovered"] is recovered
    assert outcome["at_second"] == 3.0
    assert outcome["recovered_after_seconds"] == (None if took is None else pytest.approx(took, abs=0.1))
    assert document_has(outcome)


def document_has(outcome: dict[str, Any]) -> bool:
    """Whether the failure document holds what other modules read."""
    return {"fault", "at_second", "errors_during", "recovered_after_seconds", "recover_within_seconds", "recovered"} <= set(outcome)
