"""Gate 1: completeness per cell, intake, traceable sources, hypotheses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from perfproof.config import Thresholds
from perfproof.gates import Outcome
from perfproof.gates.baseline import cell_score, completeness


def test_a_complete_baseline_passes(cycle: Any) -> None:
    """Everything measured, traceable and documented: PASS, without a text."""
    result = cycle.gate_1()
    assert (result.outcome, result.text, result.reasons) == (Outcome.PASS, None, ())
    assert all(c.met for c in result.criteria)


def test_completeness_equals_a_slow_mean_over_the_required_cells(cycle: Any, kit: Any) -> None:
    """The percentage is the mean of min(1, coverage / 0.9), computed here cell by cell with integers."""
    valid = {"api_latency_p95": 45, "throughput": 81, "error_rate": 90, "cpu_utilization": 99}
    coverage = completeness(kit.Cycle(samples_valid=valid).baseline["cells"], services=cycle.services, rules=cycle.rules)
    # 45/90 + 100/90 cut to 1 + 81/90 + 1 + 1 + 1, over six metrics.
    assert float(coverage.percentage) == pytest.approx(100 * (0.5 + 1 + 0.9 + 1 + 1 + 1) / 6)
    assert coverage.critical == ("api_latency_p95", "throughput")


@pytest.mark.parametrize(
    ("change", "score"),
    [
        ({}, 1),
        ({"samples_valid": 90}, 1),
        ({"samples_valid": 45}, 0.5),
        ({"samples_valid": 19}, 0),
        ({"samples_valid": 0, "value": None}, 0),
        ({"value": None}, 0),
        ({"value": float("nan")}, 0),
        ({"value": float("inf")}, 0),
        ({"value": "82"}, 0),
        ({"value": True}, 0),
        ({"samples_expected": 0}, 0),
        ({"samples_expected": None}, 0),
        ({"samples_valid": True}, 0),
        ({"reasons": ["STALE"]}, 0),
        ({"reasons": ["UNIT"]}, 0),
        ({"reasons": ["UNTRACEABLE"]}, 0),
        ({"reasons": ["FETCH_ERROR"]}, 0),
        ({"reasons": ["NAN"], "samples_valid": 95}, 1),
        ({"reasons": ["DUPLICATE"], "samples_valid": 95}, 1),
        ({"reasons": None}, 0),
    ],
)
def test_a_cell_scores_only_what_was_measured(cycle: Any, change: dict[str, Any], score: float) -> None:
    """Missing, non-finite, stringly, stale or untraceable cells score nothing; partial coverage scores its share."""
    cell = {**cycle.baseline["cells"][0], **change}
    assert float(cell_score(cell, rules=cycle.rules)) == pytest.approx(score)


@pytest.mark.parametrize("first", [0, 100])
def test_of_two_cells_for_one_metric_the_worse_counts(cycle: Any, kit: Any, first: int) -> None:
    """In either order: a second, better measurement does not replace the one that is bad."""
    service, cells = cycle.services[0], cycle.baseline["cells"][1:]
    both = [kit.cell(service, service.metrics[0], valid=valid) for valid in (first, 100 - first)]
    coverage = completeness([*both, *cells], services=cycle.services, rules=cycle.rules)
    assert coverage.missing == ("api_latency_p95",)


def test_an_absent_cell_counts_as_nothing(cycle: Any) -> None:
    """A metric without a cell lowers completeness, it does not make the whole smaller."""
    del cycle.baseline["cells"][0]
    result = cycle.gate_1()
    assert result.figures["metrics_required"] == 6
    assert result.figures["missing_metrics"] == ["api_latency_p95"]
    assert result.outcome is Outcome.FAIL


def test_no_cells_at_all_never_pass(cycle: Any) -> None:
    """An empty baseline is 0 percent."""
    cycle.baseline["cells"] = []
    result = cycle.gate_1()
    assert result.outcome is Outcome.FAIL
    assert result.figures["baseline_completeness"] == 0


def test_no_services_never_pass(cycle: Any) -> None:
    """Nothing required is 0 percent, not a pass."""
    assert cycle.gate_1(services=()).outcome is Outcome.FAIL


def test_an_incomplete_critical_metric_fails_although_the_mean_passes(kit: Any) -> None:
    """One of 30 critical cells at half its coverage: 98.3 percent, and still FAIL."""
    names = (*tuple(f"latency_{i}" for i in range(27)), "throughput", "error_rate", "cpu_utilization")
    cycle = kit.Cycle(services=(kit.service("api-service", metrics=names),), samples_valid={"latency_3": 45})
    result = cycle.gate_1()
    assert result.figures["baseline_completeness"] == pytest.approx(98.33)
    assert kit.met(result)["baseline_completeness"] is True
    assert "latency_3" in kit.reason(result, "critical_metrics_incomplete")
    assert result.outcome is Outcome.FAIL


def test_a_metric_that_is_not_critical_may_be_partial(kit: Any) -> None:
    """Above 95 percent, with a partial metric that is not critical: PASS."""
    names = (*tuple(f"latency_{i}" for i in range(27)), "throughput", "error_rate", "cpu_utilization")
    services = (kit.service("api-service", metrics=names, critical=False),)
    assert kit.Cycle(services=services, samples_valid={"latency_3": 45}).gate_1().outcome is Outcome.PASS


@pytest.mark.parametrize("share", [94.99, 95.0, 95.01])
def test_the_threshold_is_met_exactly_at_it(kit: Any, share: float) -> None:
    """94.99 fails, 95 and 95.01 pass: no rounding up to the threshold."""
    cycle = kit.Cycle(services=(kit.service("api-service", critical=False),))
    for cell in cycle.baseline["cells"]:
        cell.update(samples_expected=9000, samples_valid=8100, coverage=0.9)
    # Of 8,100 samples that give a full score the first metric lacks what six metrics together may lack.
    lacking = round((100 - share) / 100 * 6 * 8100)
    cycle.baseline["cells"][0].update(samples_valid=8100 - lacking, coverage=round((8100 - lacking) / 9000, 4))
    cycle.baseline["baseline_completeness"] = share
    cycle.hypotheses["hypotheses"][0]["baseline"] = kit.reference("baseline-metrics.json", cycle.baseline)
    assert (cycle.gate_1().outcome is Outcome.PASS) == (share >= 95)


def test_a_raised_threshold_is_the_one_that_counts(kit: Any) -> None:
    """A protocol file may ask for more than 95 percent."""
    cycle = kit.Cycle(services=(kit.service("api-service", critical=False),), samples_valid={"throughput": 81})
    assert cycle.gate_1().outcome is Outcome.PASS
    assert cycle.gate_1(thresholds=Thresholds(baseline_completeness=99)).outcome is Outcome.FAIL


@pytest.mark.parametrize("field", ["collection_method", "source", "query", "timestamp", "raw_sha256"])
def test_a_value_without_a_traceable_source_fails_and_cannot_be_waived(cycle: Any, kit: Any, field: str) -> None:
    """Every value names where it came from, how, and the digest of what was answered."""
    cycle.baseline["cells"][2][field] = ""
    result = cycle.gate_1()
    criterion = next(c for c in result.criteria if c.criterion == "metrics_untraceable")
    assert (criterion.met, criterion.waivable) == (False, False)
    assert "throughput" in criterion.reason


def test_an_intake_report_without_business_impact_is_incomplete(cycle: Any, kit: Any) -> None:
    """The specification asks for the business impact of each pain point."""
    cycle.intake["pain_points"][0]["business_impact"] = " "
    result = cycle.gate_1()
    assert kit.met(result)["intake_gaps"] is False
    assert "business_impact" in kit.reason(result, "intake_gaps")


def test_a_critical_source_that_is_missing_makes_the_intake_incomplete(cycle: Any, kit: Any) -> None:
    """A critical source that did not answer is named with its reason."""
    cycle.intake["sources"][0].update(status="missing", reason="connection refused")
    assert "apm is missing: connection refused" in kit.reason(cycle.gate_1(), "intake_gaps")


@pytest.mark.parametrize("field", ["symptom", "suspected_cause", "confirming_evidence", "metric", "cause"])
def test_a_hypothesis_needs_symptom_cause_and_evidence(cycle: Any, kit: Any, field: str) -> None:
    """A hypothesis without one of them is a gap, and not documented."""
    cycle.hypotheses["hypotheses"][0][field] = ""
    result = cycle.gate_1()
    assert kit.met(result)["hypothesis_gaps"] is False
    assert kit.met(result)["hypotheses_documented"] is False


def test_a_hypothesis_that_is_not_in_the_log_is_not_documented(cycle: Any, kit: Any) -> None:
    """HYP-0011 in the log does not stand for HYP-001."""
    cycle.hypothesis_log = "# Hypothesis log\n\n- HYP-0011: another one.\n"
    assert kit.met(cycle.gate_1())["hypotheses_documented"] is False


def test_no_hypotheses_document_fails(cycle: Any, kit: Any) -> None:
    """Without the document nothing is documented, whatever the log says."""
    assert kit.met(cycle.gate_1(hypotheses=None))["hypotheses_documented"] is False


SPOILED = {
    "completeness declared higher": lambda c: c.baseline.update(baseline_completeness=97),
    "completeness as text": lambda c: c.baseline.update(baseline_completeness="100"),
    "completeness true": lambda c: c.baseline.update(baseline_completeness=True),
    "completeness NaN": lambda c: c.baseline.update(baseline_completeness=float("nan")),
    "collected one more": lambda c: c.baseline.update(metrics_collected=7),
    "required one less": lambda c: c.baseline.update(metrics_required=5),
    "a metric declared missing": lambda c: c.baseline.update(missing_metrics=["throughput"]),
    "coverage declared higher": lambda c: c.baseline["cells"][1].update(samples_valid=95, coverage=1.0),
    "more valid than expected samples": lambda c: c.baseline["cells"][1].update(samples_valid=101),
    "a cell twice": lambda c: c.baseline["cells"].append(copy.deepcopy(c.baseline["cells"][0])),
    "another unit": lambda c: c.baseline["cells"][0].update(unit="s"),
    "declared not critical": lambda c: c.baseline["cells"][0].update(critical=False),
    "weaker requirements": lambda c: c.baseline["requirements"].update(min_coverage=0.1),
    "hypothesis on another baseline": lambda c: c.hypotheses["hypotheses"][0]["baseline"].update(sha256="cd" * 32),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_declared_figure_that_differs_is_an_integrity_finding(cycle: Any, spoil: Any) -> None:
    """Whatever is declared and not given by the cells fails the gate, and cannot be waived."""
    spoil(cycle)
    criterion = next(c for c in cycle.gate_1().criteria if c.criterion == "integrity_findings")
    assert (criterion.met, criterion.waivable) == (False, False)


CSVS = {
    "another value": lambda t: t.replace("82.0", "83.0", 1),
    "a row less": lambda t: "\n".join(t.split("\n")[:-2]) + "\n",
    "a row more": lambda t: t + "disk_utilization,api-service,1.0,percent,APM,2025-02-16T10:00:00Z\n",
    "another unit": lambda t: t.replace("82.0,ms", "82.0,s", 1),
    "another time": lambda t: t.replace("10:00:00Z", "10:00:01Z", 1),
    "reordered columns": lambda t: t.replace("metric_name,service", "service,metric_name"),
    "empty": lambda t: "",
}


@pytest.mark.parametrize("spoil", CSVS.values(), ids=CSVS.keys())
def test_a_table_that_differs_from_the_document_is_an_integrity_finding(cycle: Any, kit: Any, spoil: Any) -> None:
    """The six-column table and the JSON document are the same baseline, or the gate fails."""
    table = spoil(cycle.baseline_csv().decode()).encode()
    assert kit.met(cycle.gate_1(baseline_csv=table))["integrity_findings"] is False


def test_the_failure_text_says_what_is_missing(kit: Any) -> None:
    """The block of gate 1 has the specification's required action and the figures."""
    result = kit.Cycle(samples_valid={"throughput": 0}).gate_1()
    assert result.text is not None
    assert result.text.startswith("[RAY GATE FAILED: Baseline Validation Gate]\n> \"Quality gate 'Baseline Validation Gate' failed.")
    assert "> Actual: Baseline completeness 83.3%, 5 of 6 metrics collected, missing: throughput" in result.text
    assert "> Required action: Fill telemetry gaps; rerun baseline capture before proceeding." in result.text
