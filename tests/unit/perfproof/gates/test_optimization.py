"""Gate 3: the plan's approval, the improvement, regressions, and what the report traces to."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.config import Mode
from perfproof.gates import Outcome
from perfproof.telemetry import Direction


def guard(label: str, **changes: Any) -> dict[str, Any]:
    """A guard verdict as the judge writes it."""
    return {
        "metric": "memory_rss",
        "label": label,
        "baseline": 75,
        "optimized": 88,
        "worsening_percent": 17.3,
        "ci_low": 10.0,
        "ci_high": 20.0,
        "scale": "percent of the baseline",
        "reason": "as measured",
        **changes,
    }


def judged(cycle: Any, *, label: str, low: float | None, high: float | None = None, status: str = "pass", **changes: Any) -> None:
    """Gives the cycle four valid blocks a side and a judge who says `label`."""
    cycle.mode = Mode.PROVED
    cycle.measurement = {"blocks": [{"side": side, "valid": True} for side in ("baseline", "candidate") for _ in range(4)]}
    cycle.validation.update(
        mode="proved", status=status, verdict={"label": label, "reason": "words", "ci_low": low, "ci_high": high}, **changes
    )
    measured = next(e for e in cycle.evidence() if e["name"] == "evidence/measurement.json")
    cycle.validation["traces_to"]["measurement"] = measured
    cycle.rejudged = cycle.validation


def test_the_sample_with_its_traces_passes_in_mode_point(cycle: Any) -> None:
    """450 to 320 is 28.9 percent: PASS."""
    result = cycle.gate_3()
    assert (result.outcome, result.text, result.reasons) == (Outcome.PASS, None, ())
    assert result.figures["improvement_percentage"] == 28.9


def test_a_proved_improvement_passes_in_mode_proved(cycle: Any) -> None:
    """The interval's lower end reaches 15 percent over four blocks a side."""
    judged(cycle, label="proved", low=20.1, high=33.0)
    assert cycle.gate_3().outcome is Outcome.PASS


def test_blocks_that_confirmed_a_regression_do_not_count_for_the_target(cycle: Any) -> None:
    """Three blocks a side and four fresh ones are three: too few."""
    judged(cycle, label="proved", low=20.1, high=33.0)
    for block in cycle.measurement["blocks"]:
        block["confirmation"] = False
    cycle.measurement["blocks"] = [b for i, b in enumerate(cycle.measurement["blocks"]) if i % 4 < 3]
    cycle.measurement["blocks"] += [{"side": s, "valid": True, "confirmation": True} for s in ("baseline", "candidate") for _ in range(4)]
    cycle.validation["traces_to"]["measurement"] = next(e for e in cycle.evidence() if e["name"] == "evidence/measurement.json")
    result = cycle.gate_3()
    assert result.outcome is Outcome.INDETERMINATE
    assert next(c for c in result.criteria if c.criterion == "blocks_per_side").actual == 3


@pytest.mark.parametrize(
    ("label", "low", "high", "optimized", "outcome"),
    [
        ("met", 9.0, 40.0, 320, Outcome.INDETERMINATE),
        ("inconclusive", None, None, 320, Outcome.INDETERMINATE),
        ("inconclusive", 16.0, 40.0, 320, Outcome.INDETERMINATE),
        ("inconclusive", 5.0, 22.0, 400, Outcome.INDETERMINATE),
        ("short", 1.0, 8.0, 420, Outcome.FAIL),
        ("short", 10.0, 14.9, 380, Outcome.FAIL),
    ],
)
def test_mode_proved_follows_the_judge(cycle: Any, label: str, low: Any, high: Any, optimized: float, outcome: Outcome) -> None:
    """Only proved passes; met and inconclusive need more blocks; short fails."""
    better = 450 - optimized
    status = "fail" if label == "short" else "inconclusive"
    change = {
        "optimized": {"value": optimized, "unit": "ms", "timestamp": "2025-02-16T16:00:00Z"},
        "improvement": {"absolute": better, "percentage": round(100 * better / 450, 1), "meets_threshold": better / 450 >= 0.15},
    }
    judged(cycle, label=label, low=low, high=high, status=status, **change)
    result = cycle.gate_3()
    assert result.outcome is outcome
    assert result.text is not None


def test_too_few_blocks_are_indeterminate(cycle: Any, kit: Any) -> None:
    """Three blocks on a side decide nothing in mode proved."""
    judged(cycle, label="proved", low=20.0)
    cycle.measurement["blocks"].pop()
    cycle.validation["traces_to"]["measurement"] = kit.reference("evidence/measurement.json", cycle.measurement)
    result = cycle.gate_3()
    assert kit.met(result)["blocks_per_side"] is None
    assert result.outcome is Outcome.INDETERMINATE


def test_invalid_blocks_do_not_count(cycle: Any) -> None:
    """A block that is not valid is none."""
    judged(cycle, label="proved", low=20.0)
    cycle.measurement["blocks"][0]["valid"] = "true"
    assert cycle.gate_3().figures["blocks"] == [3, 4]


def test_a_report_that_was_not_judged_anew_is_an_integrity_finding(cycle: Any, kit: Any) -> None:
    """With a measurement there, the report's own word is not enough."""
    judged(cycle, label="proved", low=20.0)
    cycle.rejudged = None
    assert kit.met(cycle.gate_3())["integrity_findings"] is False


@pytest.mark.parametrize(
    "differ",
    [
        {"status": "inconclusive"},
        {"verdict": {"label": "met", "reason": "words", "ci_low": 20.1}},
        {"baseline": {"value": 400, "unit": "ms", "timestamp": "2025-02-16T10:00:00Z"}},
        {"guards": [guard("regression")]},
        {"guards": [guard("no regression")]},
        {"target_metric": "another"},
    ],
)
def test_a_report_that_differs_from_the_judge_is_an_integrity_finding(cycle: Any, kit: Any, differ: dict[str, Any]) -> None:
    """What the judge gives for the same measurement is what counts."""
    judged(cycle, label="proved", low=20.1)
    cycle.rejudged = {**cycle.validation, **differ}
    criterion = next(c for c in cycle.gate_3().criteria if c.criterion == "integrity_findings")
    assert (criterion.met, criterion.waivable) == (False, False)


@pytest.mark.parametrize(("optimized", "passes"), [(382.6, False), (382.505, False), (382.5, True), (382.4, True)])
def test_the_threshold_is_exact(cycle: Any, optimized: float, passes: bool) -> None:
    """15 percent of 450 is 382.5: 14.999 fails and 15 passes, in decimal arithmetic."""
    absolute = 450 - optimized
    cycle.validation["optimized"]["value"] = optimized
    cycle.validation["improvement"] = {
        "absolute": round(absolute, 4), "percentage": round(100 * absolute / 450, 1), "meets_threshold": passes
    }  # fmt: skip
    cycle.validation["status"] = "pass" if passes else "fail"
    result = cycle.gate_3()
    assert (result.outcome is Outcome.PASS) == passes
    assert result.text is None or "Improvement 15%" not in result.text


def test_higher_is_better_turns_the_improvement(cycle: Any) -> None:
    """A throughput from 100 to 130 improved by 30 percent."""
    cycle.validation.update(
        baseline={"value": 100, "unit": "req/s", "timestamp": "2025-02-16T10:00:00Z"},
        optimized={"value": 130, "unit": "req/s", "timestamp": "2025-02-16T16:00:00Z"},
        improvement={"absolute": 30, "percentage": 30.0, "meets_threshold": True},
    )
    assert cycle.gate_3(direction=Direction.HIGHER).outcome is Outcome.PASS
    assert cycle.gate_3(direction=Direction.LOWER).outcome is Outcome.FAIL


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "320", True])
def test_a_value_that_is_no_number_never_passes(cycle: Any, value: Any) -> None:
    """Missing, non-finite and stringly values give no improvement."""
    cycle.validation["optimized"]["value"] = value
    assert cycle.gate_3().outcome is not Outcome.PASS


def test_a_baseline_of_zero_has_no_percentage(cycle: Any, kit: Any) -> None:
    """Nothing can be improved by a share of zero."""
    cycle.validation["baseline"]["value"] = 0
    result = cycle.gate_3()
    assert kit.met(result)["improvement"] is None
    assert result.outcome is not Outcome.PASS


def test_a_regression_fails_and_names_the_metric(cycle: Any, kit: Any) -> None:
    """A guard that the judge calls a regression fails the gate although the target improved."""
    listed = {"metric": "memory_rss", "baseline": 75, "optimized": 88, "regression_percentage": 17.3}
    cycle.validation.update(guards=[guard("regression")], regressions=[listed], regression_count=1, status="fail")
    result = cycle.gate_3()
    assert result.outcome is Outcome.FAIL
    assert "memory_rss 75 to 88 (17.3% worse)" in kit.reason(result, "regressions")


def test_a_regression_that_the_report_does_not_list_is_counted(cycle: Any, kit: Any) -> None:
    """regression_count 0 beside a regressed guard is an integrity finding and a regression."""
    cycle.validation["guards"] = [guard("regression")]
    met = kit.met(cycle.gate_3())
    assert (met["regressions"], met["integrity_findings"]) == (False, False)


@pytest.mark.parametrize("label", ["inconclusive", "", None, "fine", 0])
def test_a_guard_that_is_not_decided_never_passes(cycle: Any, kit: Any, label: Any) -> None:
    """Not significant is not no regression: the gate is not decided."""
    cycle.validation.update(guards=[guard(label)], status="inconclusive")
    result = cycle.gate_3()
    assert kit.met(result)["guards_undecided"] is None
    assert result.outcome is Outcome.INDETERMINATE


SPOILED = {
    "percentage declared higher": lambda v: v["improvement"].update(percentage=30.0),
    "percentage as text": lambda v: v["improvement"].update(percentage="28.9"),
    "absolute declared higher": lambda v: v["improvement"].update(absolute=200),
    "meets_threshold as text": lambda v: v["improvement"].update(meets_threshold="true"),
    "meets_threshold false": lambda v: v["improvement"].update(meets_threshold=False),
    "regression_count": lambda v: v.update(regression_count=1),
    "regression_count true": lambda v: v.update(regression_count=False),
    "other plan": lambda v: v["traces_to"]["plan"].update(sha256="cd" * 32),
    "other baseline": lambda v: v["traces_to"]["baseline"].update(sha256="cd" * 32),
    "no traces": lambda v: v.pop("traces_to"),
    "optimization that was not planned": lambda v: v.update(optimization_id="OPT-009"),
    "metric that was not planned": lambda v: v.update(target_metric="api_latency_p99"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_declared_figure_that_differs_is_an_integrity_finding(cycle: Any, kit: Any, spoil: Any) -> None:
    """Declared figures and traces are checked against values and digests."""
    spoil(cycle.validation)
    assert kit.met(cycle.gate_3())["integrity_findings"] is False


def test_a_pass_that_the_evidence_does_not_give_is_an_integrity_finding(cycle: Any, kit: Any) -> None:
    """A report that says pass over a short improvement is not believed."""
    cycle.validation["optimized"]["value"] = 420
    cycle.validation["improvement"] = {"absolute": 30, "percentage": 6.7, "meets_threshold": False}
    assert "status declares 'pass'" in kit.reason(cycle.gate_3(), "integrity_findings")


def test_a_plan_without_approval_fails_and_cannot_be_waived(cycle: Any) -> None:
    """No approval, no pass, no waiver."""
    criterion = next(c for c in cycle.gate_3(plan_approved=False).criteria if c.criterion == "plan_approvals_missing")
    assert (criterion.met, criterion.waivable) == (False, False)


def test_plan_records_must_cover_the_roles_and_the_plans_digest(cycle: Any, kit: Any) -> None:
    """Both roles, each bound to exactly this plan."""
    bound = [kit.reference("optimization-plan.json", cycle.plan)]
    records = [cycle.approval(role, step="plan", evidence=bound) for role in kit.ROLES]
    assert cycle.gate_3(plan_approved=records, roles=kit.ROLES).outcome is Outcome.PASS
    assert cycle.gate_3(plan_approved=records[:1], roles=kit.ROLES).outcome is Outcome.FAIL
    assert cycle.gate_3(plan_approved=records, roles={}).outcome is Outcome.FAIL
    cycle.plan["tasks"][0]["risk"] = "high"
    assert "bound to other evidence" in kit.reason(cycle.gate_3(plan_approved=records, roles=kit.ROLES), "plan_approvals_missing")


@pytest.mark.parametrize("where", ["list", "task"])
def test_an_unresolved_dependency_fails(cycle: Any, kit: Any, where: str) -> None:
    """Whether the list or only the task says so."""
    if where == "list":
        cycle.plan["unresolved_dependencies"] = [{"task": "OPT-001", "dependency": "pooler"}]
    else:
        cycle.plan["tasks"][0]["dependencies"] = [{"name": "pooler", "resolved": False}]
    assert "dependency pooler is not resolved" in kit.reason(cycle.gate_3(), "plan_dependencies_unresolved")


@pytest.mark.parametrize("field", ["owner", "risk", "expected_gain_percent", "dependencies", "baseline_metric"])
def test_a_plan_names_owner_risk_gain_dependencies_and_baseline(cycle: Any, kit: Any, field: str) -> None:
    """The specification's words for a plan."""
    del cycle.plan["tasks"][0][field]
    assert field in kit.reason(cycle.gate_3(), "plan_gaps")


@pytest.mark.parametrize("heading", ["## Dashboards", "## Alerts", "## Tracing"])
def test_the_instrumentation_log_needs_each_section(cycle: Any, kit: Any, heading: str) -> None:
    """Dashboards, alerts and tracing."""
    cycle.instrumentation_log = cycle.instrumentation_log.replace(heading, "")
    assert kit.met(cycle.gate_3())["instrumentation_gaps"] is False


def test_the_text_also_says_what_else_is_unmet(cycle: Any) -> None:
    """After improvement and regressions come the other criteria that failed."""
    text = cycle.gate_3(plan_approved=False).text
    assert "> Actual: Improvement 28.9% on targeted metric, 0 regressions detected; the plan is not approved" in text
