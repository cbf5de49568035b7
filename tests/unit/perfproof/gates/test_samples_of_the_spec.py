"""Each sample of the specification gives the outcome that the specification says. The samples are files in tests/fixtures/spec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfproof.announcements import Announcement, confirmation_prompt, error_line
from perfproof.artifacts import Artifact
from perfproof.config import LoadTargets, Mode
from perfproof.gates import Outcome
from perfproof.gates.diagnostics import status_findings
from perfproof.schemas import read_baseline_csv, sample_problems
from perfproof.telemetry import document_bytes

TARGETS = LoadTargets(p50_ms=300, p95_ms=450, p99_ms=900, error_rate_percent=0.5)
TEN = ("api_latency_p50", "api_latency_p95", "api_latency_p99", "throughput", "cpu_utilization", "disk_utilization", "queue_length",
       "connections", "memory_utilization", "error_rate")  # fmt: skip


def test_the_baseline_table_loads(kit: Any) -> None:
    """Lines 221-229: six columns in this order, six rows."""
    rows, complaints = read_baseline_csv(kit.spec_text("baseline-metrics.csv").encode())
    assert complaints == ()
    assert next((r.metric_name, float(r.value), r.unit) for r in rows) == ("api_latency_p95", 450.0, "ms")
    assert len(rows) == 6


def test_950_of_1000_is_met_and_the_rest_breached(kit: Any) -> None:
    """Lines 232-264: with the default tolerance every declared status is the recomputed one."""
    sample = kit.spec_json("load-test-results.json")
    assert sample_problems(Artifact.LOAD_TEST_RESULTS, sample) == []
    assert status_findings(sample["results"], rate=1000, targets=TARGETS) == []


def test_950_of_1000_is_breached_without_tolerance(kit: Any) -> None:
    """Lines 232-264: the declared "met" differs from the recomputed status, and is refused."""
    sample = kit.spec_json("load-test-results.json")
    findings = status_findings(sample["results"], rate=1000, targets=replace(TARGETS, throughput_tolerance=0.0))
    assert findings == ["peak throughput status declares 'met', the evidence gives 'breached'"]


def test_the_validation_sample_passes_in_mode_point(cycle: Any, kit: Any) -> None:
    """Lines 268-292: 450 to 320 is 28.9 percent, no regression."""
    assert sample_problems(Artifact.VALIDATION_REPORT, kit.spec_json("optimization-validation-report.json")) == []
    result = cycle.gate_3()
    assert (result.outcome, result.figures["improvement_percentage"]) == (Outcome.PASS, 28.9)


def test_the_validation_sample_is_inconclusive_in_mode_proved(kit: Any) -> None:
    """Lines 268-292: one value a side proves nothing."""
    result = kit.Cycle(mode=Mode.PROVED).gate_3()
    assert result.outcome is Outcome.INDETERMINATE
    assert "inconclusive" in " ".join(result.reasons)


def test_the_slo_sample_is_refused_because_a_role_is_no_person(cycle: Any, kit: Any) -> None:
    """Lines 295-323: the shape loads, and approvers whose name is their role are refused."""
    sample = kit.spec_json("slo-update-record.json")
    assert sample_problems(Artifact.SLO_UPDATE_RECORD, sample) == []
    result = cycle.gate_4(slo_record=sample)
    assert result.outcome is Outcome.FAIL
    assert "approver 'Product Owner' is a role or has no person id, a person is needed" in result.text


def test_the_slo_sample_passes_with_persons(cycle: Any, kit: Any) -> None:
    """Lines 295-323: the same record with persons, and the fields that the specification asks for in words."""
    record = cycle.slo_record
    assert record["updates"][0]["new_target"] == kit.spec_json("slo-update-record.json")["updates"][0]["new_target"]
    assert cycle.gate_4().outcome is Outcome.PASS


def test_a_baseline_with_8_of_10_metrics_fails(kit: Any) -> None:
    """Lines 329-335: 80 percent, and both missing metrics are named."""
    sample = kit.spec_json("baseline-incomplete.json")
    cycle = kit.Cycle(services=(kit.service("api-service", metrics=TEN),), samples_valid=dict.fromkeys(sample["missing_metrics"], 0))
    result = cycle.gate_1()
    assert result.outcome is Outcome.FAIL
    assert {key: result.figures[key] for key in sample} == sample
    assert "missing: memory_utilization, error_rate" in result.text


def twelve(kit: Any, *, partial: int) -> Any:
    """A cycle with twelve metrics that are not critical, one of them with `partial` of 10,000 samples."""
    cycle = kit.Cycle(services=(kit.service("api-service", metrics=(*TEN, "gc_pause", "threads"), critical=False),))
    for cell in cycle.baseline["cells"]:
        cell.update(samples_expected=10000, samples_valid=10000, coverage=1.0)
    cycle.baseline["cells"][0].update(samples_valid=partial, coverage=partial / 10000)
    cycle.baseline.update(kit.spec_json("baseline-complete.json"))
    cycle.hypotheses["hypotheses"][0]["baseline"] = kit.reference("baseline-metrics.json", cycle.baseline)
    return cycle


def test_a_baseline_with_12_of_12_metrics_at_97_passes(kit: Any) -> None:
    """Lines 338-343: the cells give 97, because one metric has 64 percent of the coverage it needs."""
    result = twelve(kit, partial=5760).gate_1()
    assert result.outcome is Outcome.PASS
    sample = kit.spec_json("baseline-complete.json")
    assert {key: result.figures[key] for key in sample} == sample


def test_a_declared_97_over_complete_cells_is_refused(kit: Any) -> None:
    """Lines 338-343: a declared figure that the cells do not give is an integrity finding, even below the true one."""
    result = twelve(kit, partial=10000).gate_1()
    assert result.outcome is Outcome.FAIL
    assert "baseline_completeness declares 97, the evidence gives 100" in kit.reason(result, "integrity_findings")


def four_services(kit: Any) -> Any:
    """A cycle with the sample's four services, whose reads carry 93 percent of the traffic."""
    names = ("api-service", "order-service", "user-service", "payment-service")
    return kit.Cycle(services=tuple(kit.service(n, transactions={"read": 0.93, "write": 0.07}) for n in names))


def test_coverage_of_3_of_4_services_fails(kit: Any) -> None:
    """Lines 349-355: 75 percent, and payment-service is named."""
    cycle = four_services(kit)
    cycle.profiles.pop()
    result = cycle.gate_2()
    sample = kit.spec_json("coverage-incomplete.json")
    assert result.outcome is Outcome.FAIL
    assert {key: result.figures[key] for key in sample} == sample


def test_coverage_of_4_of_4_services_at_93_passes(kit: Any) -> None:
    """Lines 358-363: the profiled transactions carry 93 percent of the traffic."""
    cycle = four_services(kit)
    for profile in cycle.profiles:
        profile["transactions"][1]["profiled"] = False
    result = cycle.gate_2()
    sample = kit.spec_json("coverage-complete.json")
    assert result.outcome is Outcome.PASS
    assert {key: result.figures[key] for key in sample} == sample


def changed(cycle: Any, sample: dict[str, Any], *, status: str) -> Any:
    """The cycle with baseline and optimized value of an anti-pattern sample."""
    cycle.validation["baseline"]["value"], cycle.validation["optimized"]["value"] = sample["baseline"], sample["optimized"]
    cycle.validation["improvement"] = {
        "absolute": sample["baseline"] - sample["optimized"],
        "percentage": sample["improvement_percentage"],
        "meets_threshold": sample["meets_threshold"],
    }
    cycle.validation["status"] = status
    return cycle.gate_3()


def test_an_improvement_from_450_to_420_fails(cycle: Any, kit: Any) -> None:
    """Lines 369-376: 6.7 percent."""
    sample = kit.spec_json("improvement-short.json")
    result = changed(cycle, sample, status="fail")
    assert result.outcome is Outcome.FAIL
    assert kit.met(result)["integrity_findings"] is True
    assert {key: result.figures[key] for key in sample} == sample
    assert "> Actual: Improvement 6.7% on targeted metric, 0 regressions detected\n" in result.text


def test_an_improvement_from_450_to_320_passes(cycle: Any, kit: Any) -> None:
    """Lines 379-385: 28.9 percent."""
    sample = kit.spec_json("improvement-reached.json")
    result = changed(cycle, sample, status="pass")
    assert result.outcome is Outcome.PASS
    assert {key: result.figures[key] for key in sample} == sample


def test_memory_from_75_to_88_is_a_regression(cycle: Any, kit: Any) -> None:
    """Lines 391-405: +17.3 percent fails the gate although the target improved by 28.9."""
    sample = kit.spec_json("regression.json")
    cycle.validation.update(regressions=sample["regressions"], regression_count=1, status="fail")
    result = cycle.gate_3()
    assert result.outcome is Outcome.FAIL
    assert kit.met(result)["integrity_findings"] is True
    for key in ("optimization_id", "target_metric_improvement", "regressions", "regression_count"):
        assert result.figures[key] == sample[key]
    assert "1 regression detected" in result.text


def test_no_regression_passes(cycle: Any, kit: Any) -> None:
    """Lines 408-414."""
    sample = kit.spec_json("no-regression.json")
    result = cycle.gate_3()
    assert result.outcome is Outcome.PASS
    for key in ("optimization_id", "target_metric_improvement", "regressions", "regression_count"):
        assert result.figures[key] == sample[key]


def test_a_pending_slo_update_is_not_approved(cycle: Any, kit: Any) -> None:
    """Lines 420-430: 0 percent."""
    sample = kit.spec_json("slo-pending.json")
    for approver in cycle.slo_record["updates"][0]["approvers"]:
        approver.update(name=None, person_id=None, approval_status=sample["slo_updates"][0]["approval_status"], approval_timestamp=None)
    cycle.slo_record.update(approval_status="pending", approval_percentage=sample["approval_percentage"])
    result = cycle.gate_4(approval_records=[])
    assert result.outcome is Outcome.FAIL
    assert result.figures["approval_percentage"] == 0
    assert result.figures["slo_updates"][0]["approval_status"] == "pending"
    assert kit.met(result)["integrity_findings"] is True


def test_an_slo_update_approved_by_role_names_is_refused(cycle: Any, kit: Any) -> None:
    """Lines 433-443: names of roles approve nothing; with persons it passes."""
    assert cycle.gate_4().outcome is Outcome.PASS
    names = kit.spec_json("slo-approved-by-roles.json")["slo_updates"][0]["approvers"]
    for approver, name in zip(cycle.slo_record["updates"][0]["approvers"], names, strict=True):
        approver.update(name=name, person_id=name)
    result = cycle.gate_4()
    assert result.outcome is Outcome.FAIL
    assert result.figures["approval_percentage"] == 0


def tree(kit: Any, name: str) -> set[str]:
    """The file names that a tree of the specification shows with a check mark."""
    return {word for line in kit.spec_text(name).split("\n") if "✅" in line for word in line.split() if "." in word and "/" not in word}


def test_a_report_without_two_artifacts_fails_and_names_both(cycle: Any, kit: Any) -> None:
    """Lines 449-455: 11 of 13 are 84.6 percent."""
    missing = {w.removeprefix("Missing: ") for w in kit.spec_text("report-tree-incomplete.txt").split("# ") if w.startswith("Missing: ")}
    missing = {w.strip() for w in missing}
    assert missing == {"optimization-validation-report.json", "slo-update-record.json"}
    artifacts = {name: data for name, data in cycle.artifacts().items() if name not in missing}
    artifacts[Artifact.MANIFEST.value] = document_bytes(kit.manifest(artifacts))
    result = cycle.gate_4(artifacts=artifacts)
    assert result.figures["documentation_completeness"] == 84.6
    assert set(result.figures["missing_artifacts"]) == missing
    assert all(name in result.text for name in missing)
    assert result.outcome is Outcome.FAIL


def test_the_abbreviated_tree_of_nine_fails_and_all_thirteen_pass(cycle: Any, kit: Any) -> None:
    """Lines 458-468: 9 of 13 are 69.2 percent."""
    names = tree(kit, "report-tree-abbreviated.txt")
    assert len(names) == 9
    kept = {name: data for name, data in cycle.artifacts().items() if name in names}
    kept[Artifact.MANIFEST.value] = document_bytes(kit.manifest(kept))
    result = cycle.gate_4(artifacts=kept)
    assert (result.outcome, result.figures["documentation_completeness"]) == (Outcome.FAIL, 69.2)
    assert cycle.gate_4().outcome is Outcome.PASS


def test_the_gate_text_is_the_specifications_byte_for_byte(cycle: Any, kit: Any) -> None:
    """Lines 173-183: improvement 8 percent and two regressions."""
    cycle.validation["optimized"]["value"] = 414
    cycle.validation["improvement"] = {"absolute": 36, "percentage": 8.0, "meets_threshold": False}
    cycle.validation.update(
        regressions=[
            {"metric": "memory_utilization", "baseline": 75, "optimized": 88, "regression_percentage": 17.3},
            {"metric": "cpu_utilization", "baseline": 50, "optimized": 60, "regression_percentage": 20.0},
        ],
        regression_count=2,
        status="fail",
    )
    assert cycle.gate_3().text == kit.spec_text("gate-failed.txt")


def test_the_nine_announcements_are_the_specifications_in_order(kit: Any) -> None:
    """Lines 52-122 and 153-157."""
    assert [a.value for a in Announcement] == kit.spec_text("announcements-in-order.txt").split("\n")


def test_the_error_line_is_the_specifications(kit: Any) -> None:
    """Line 158, with step and reason filled in."""
    template = next(line for line in kit.spec_text("status-announcements.txt").split("\n") if "ERROR" in line)
    expected = template.replace("{step}", "collect_telemetry").replace("{explanation}", "prometheus did not answer")
    assert error_line("collect_telemetry", "prometheus did not answer.") == expected


def test_the_confirmation_prompt_is_the_specifications(kit: Any) -> None:
    """Lines 163-169, with its two artifacts."""
    assert confirmation_prompt() == kit.spec_text("confirmation-required.txt")


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_a_gate_that_passes_says_nothing(cycle: Any, gate: int) -> None:
    """The failure block never stands beside a pass."""
    result = getattr(cycle, f"gate_{gate}")()
    assert (result.outcome, result.text) == (Outcome.PASS, None)
