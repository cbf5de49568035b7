"""What the report is made of: the results of hypotheses, the pictures it adds, and the documents that it cites by digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from modules import load

from perfproof.load.rows import make_rows, write_rows
from perfproof_airflow.plan_steps import HYPOTHESES_CHECKED, HYPOTHESES_RESULTS, hypotheses_name, publish_hypothesis_results
from perfproof_airflow.report_evidence import evidence_of, publish_pictures

PLAN, VALIDATION = "optimization-plan.json", "optimization-validation-report.json"
TASK = "governance.publish_report"
HYPOTHESIS = {
    "id": "HYP-001", "service": "shop", "symptom": "slow", "suspected_cause": "database", "cause": "database_contention",
    "confirming_evidence": "a plan", "metric": "orders_latency_p95", "status": "open", "status_reason": "Nothing found.",
}  # fmt: skip
REPORT = {
    "optimization_id": "OPT-001", "optimizations": ["OPT-001"], "service": "shop", "target_metric": "orders_latency_p95",
    "improvement": {"percentage": 30.0},
    "verdict": {"label": "proved", "improvement_percent": 30.0, "ci_low": 25.0, "ci_high": 35.0, "threshold_percent": 15},
}  # fmt: skip
STEP = {"rate": 10.0, "throughput": 10.0, "p50": 1.0, "p95": 2.0, "p99": 3.0}


def published(run: Any, *, checked: bool = True) -> dict[str, Any]:
    """Plan, validation and, if `checked`, the hypotheses that the diagnostics left."""
    if checked:
        run.publish(HYPOTHESES_CHECKED, {"hypotheses": [HYPOTHESIS], "unknown": []})
    plan = run.publish(PLAN, {"tasks": [{"id": "OPT-001", "hypothesis": "HYP-001"}]})
    return {"plan": plan, "validation": run.publish(VALIDATION, REPORT)}


def test_the_result_decides_an_open_hypothesis_and_is_the_newest_word(run: Any) -> None:
    """The document of the diagnostics stays as it was."""
    inputs = published(run)
    assert hypotheses_name(run.cycle()) == HYPOTHESES_CHECKED
    cycle = run.cycle("optimization.validate")
    (found,) = cycle.document(publish_hypothesis_results(cycle, **inputs))["hypotheses"]
    assert (found["status"], found["result"]["status_before"], found["result"]["effect"]) == ("confirmed", "open", "improved")
    assert hypotheses_name(run.cycle()) == HYPOTHESES_RESULTS
    assert cycle.document(HYPOTHESES_CHECKED)["hypotheses"] == [HYPOTHESIS]


def test_a_cycle_without_hypotheses_has_no_results(run: Any) -> None:
    """Nothing is published and nothing halts."""
    assert publish_hypothesis_results(run.cycle("optimization.validate"), **published(run, checked=False)) is None
    assert HYPOTHESES_RESULTS not in run.live()


def test_a_decided_hypothesis_is_not_left_to_the_next_cycle(run: Any) -> None:
    """The backlog follows the results, not the diagnostics before them."""
    from perfproof_airflow.governance_steps import share

    inputs = published(run)
    run.publish("slo-update-record.json", {"updates": []})
    run.publish("load-test-results.json", {"bottlenecks": []})
    run.publish("PERFORMANCE-REPORT.html", b"<html>")
    report = run.publish("PERFORMANCE-REPORT.md", "# Report\n")
    tasks = [{"id": "OPT-001", "hypothesis": "HYP-001", "service": "shop", "title": "Index"}]
    run.publish(PLAN, {"tasks": tasks}, task_id="optimization.define_plan")
    for validated, left in ((False, ["hypothesis"]), (True, [])):
        if validated:
            run.round += 1
            publish_hypothesis_results(run.cycle("optimization.validate"), **inputs)
        share(run.cycle("governance.share_improvements"), report=report)
        assert [item["kind"] for item in run.cycle().document("performance-intake-backlog.json")["items"]] == left


def block(run: Any, side: str, order: int, milliseconds: int) -> dict[str, Any]:
    """A valid block of forty requests with its rows."""
    starts = [float(n) for n in range(40)]
    data = write_rows(
        make_rows(
            intended_start=starts, start=starts, end=[s + milliseconds / 1000 for s in starts], status=[200] * 40,
            transaction=["orders"] * 40,
        )
    )  # fmt: skip
    rows = run.publish(f"evidence/block-{order:02d}-{side}-rows.csv.gz", data)
    return {"side": side, "order": order, "valid": True, "rows": {"name": rows["name"], "sha256": rows["sha256"]}}


def test_the_pictures_are_drawn_from_the_documents_that_they_cite(run: Any) -> None:
    """Intervals, latencies of both sides, a load curve for each service, and promises once there are two."""
    published(run)
    run.publish("evidence/measurement.json", {"blocks": [block(run, "baseline", 0, 80), block(run, "candidate", 1, 20)]})
    run.publish("evidence/capacity.json", {"services": [{"service": "shop", "capacity": {"steps": [STEP], "knee_rate": 10.0}}]})
    record = {"validated_at": "2025-02-16T10:00:00Z", "promised_percent": 40.0, "realized_percent": 30.0}
    run.publish("evidence/promised-gains.json", {"records": [record, record]})
    drawn = publish_pictures(run.cycle(TASK))
    assert [reference["name"] for reference in drawn] == [
        "evidence/change-intervals.svg", "evidence/latency-distribution.svg", "evidence/capacity-curve-shop.svg",
        "evidence/gain-history.svg",
    ]  # fmt: skip
    assert all(b"<svg" in run.cycle().read(reference) for reference in drawn)
    assert b"before (1 block)" in run.cycle().read("evidence/latency-distribution.svg")
    entries = {e["name"]: e["inputs"] for e in run.entries("artifact.published")}
    measured = run.cycle().reference("evidence/measurement.json")["sha256"]
    assert measured in str(entries["evidence/latency-distribution.svg"])


def test_pictures_without_their_document_are_left_out(run: Any) -> None:
    """One promise is no history, a target that is no latency has no distribution; a retry draws nothing twice."""
    assert publish_pictures(run.cycle(TASK)) == []
    run.publish(VALIDATION, {**REPORT, "target_metric": "throughput"})
    run.publish("evidence/measurement.json", {"blocks": []})
    run.publish("evidence/capacity.json", {"services": [{"service": "shop", "capacity": {"steps": [], "reason": "no stress test"}}]})
    run.publish("evidence/promised-gains.json", {"records": [{}]})
    first = publish_pictures(run.cycle(TASK))
    assert [reference["name"] for reference in first] == ["evidence/change-intervals.svg"]
    assert publish_pictures(run.cycle(TASK, try_number=2)) == first and len(run.versions("evidence/change-intervals.svg")) == 1


def test_rows_that_were_changed_draw_nothing(run: Any) -> None:
    """They are read by the digest that the measurement cites."""
    published(run)
    measured = block(run, "baseline", 0, 80)
    run.publish("evidence/measurement.json", {"blocks": [{**measured, "rows": {**measured["rows"], "sha256": "f" * 64}}]})
    with pytest.raises(Exception, match="EVI-"):
        publish_pictures(run.cycle(TASK))
    assert "evidence/latency-distribution.svg" not in run.live()


@pytest.fixture
def documents(run: Any) -> Any:
    """Everything that a report needs, published as the tasks of a cycle do."""
    of_report = load("test_report", Path(__file__).parents[1] / "perfproof" / "test_report.py")
    full = of_report.full()
    for name, document in {
        "performance-intake-report.json": full.intake, "baseline-metrics.json": full.baseline, HYPOTHESES_CHECKED: full.hypotheses,
        "evidence/profile-shop.json": full.profiles[0], "evidence/query-plans.json": full.query_plans, PLAN: full.plan,
        "load-test-results.json": full.load_results, "evidence/capacity.json": full.capacity, VALIDATION: full.validation,
        "slo-update-record.json": full.slo_record, "evidence/cost-change.json": full.cost_change,
        "evidence/profile-comparison-shop.json": full.profile_comparisons[1],
    }.items():  # fmt: skip
        run.publish(name, dict(document))
    return full


def test_the_published_report_links_evidence_of_the_cycle_by_digest(run: Any, documents: Any) -> None:
    """Every link of the Markdown is live evidence, every piece stands in both with its digest; compiled again it is the same bytes."""
    from perfproof.schemas.sections import linked_names
    from perfproof_airflow.governance_steps import compile_report

    cycle = run.cycle(TASK)
    pictures = publish_pictures(cycle)
    report = compile_report(cycle, inputs=pictures)
    markdown, page = cycle.read(report).decode(), cycle.read("PERFORMANCE-REPORT.html").decode()
    linked = linked_names(markdown)
    assert set(linked) <= set(run.live()) and {VALIDATION, "evidence/cost-change.json", "evidence/change-intervals.svg"} <= set(linked)
    for name, entry in cycle.store.live_all().items():
        if not name.startswith(("PERFORMANCE-REPORT", "performance-report-manifest")):
            assert entry.body["sha256"] in markdown and entry.body["sha256"] in page and f"{entry.body['size']:,}" in page
    assert "1,000 requests cost 0.000125 USD before and 0.0001 USD after" in markdown
    again = compile_report(run.cycle("governance.complete_report"), inputs=[])
    assert again["sha256"] == report["sha256"]


def test_the_report_follows_the_results_of_hypotheses(run: Any, documents: Any) -> None:
    """As soon as there are any."""
    assert evidence_of(run.cycle(TASK)).hypotheses["hypotheses"][0]["status"] == "confirmed"
    run.publish(HYPOTHESES_RESULTS, {"hypotheses": [{**documents.hypotheses["hypotheses"][0], "status": "refuted"}]})
    assert evidence_of(run.cycle(TASK)).hypotheses["hypotheses"][0]["status"] == "refuted"
