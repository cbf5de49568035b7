"""The eight halts of the specification: red with the named error, nothing half written, and resumed by clearing the step.

Each test runs the step as Airflow does, first with the cause of the halt and then, in the round that a clear begins, without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from perfproof.diagnostics import profile_document
from perfproof.load.arrivals import schedule_of
from perfproof.load.plan import Scenario, plan_for
from perfproof.load.rows import make_rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof.load.verdict import summarise
from perfproof.telemetry import Series, sha256_hex
from perfproof_airflow.hooks import baseline as baseline_hook
from perfproof_airflow.hooks.endpoint import Build
from perfproof_airflow.phases import diagnostics, governance, intake_and_baseline, optimization
from perfproof_airflow.sensors.questions import ProtocolApproval
from perfproof_demo.inputs import Observation, incident_report

PROPOSAL = "evidence/slo-proposal.json"
UPDATE = {
    "slo_name": "Orders latency p95",
    "service": "shop",
    "metric": "orders_latency_p95",
    "previous_target": "250ms",
    "new_target": "120ms",
    "justification": "measured",
    "alert_thresholds": ["page: above 120 ms"],
    "escalation_policy": "Page the SRE lead.",
}


@pytest.fixture
def halts(run: Any) -> Callable[..., str]:
    """Runs a step that must halt: the message; red without retries, said in the specification's words, nothing written."""

    def once(step: Any, task_id: str, *arguments: Any, code: str, writes: str) -> str:
        before = run.live()
        with pytest.raises(AirflowFailException) as caught:
            run.call(step, task_id, *arguments)
        message = str(caught.value)
        assert message.startswith(f"{code} ") and ". Fix: " in message and "\n" not in message
        name = task_id.rpartition(".")[2]
        line = run.entries("error")[-1]
        assert line["code"] == code
        assert line["text"].startswith(f'[RAY ERROR] - "Failed at {name}. Reason: {code} ')
        assert line["text"].endswith('. Awaiting instructions."')
        assert writes not in run.live()
        assert [n for n in run.live() if n not in before and not n.startswith("evidence/")] == []
        # Clearing the step begins the next round.
        run.round += 1
        return message

    return once


# 1 - line 53


def test_halt_1_critical_telemetry_or_incident_data_unavailable(run: Any, halts: Callable[..., str], workspace: Path) -> None:
    """The incident report is missing: named, and once it is supplied the same step reads it."""
    step, task = intake_and_baseline.collect_telemetry, "intake_and_baseline.collect_telemetry"
    message = halts(step, task, "incidents", code="TEL-265", writes="evidence/source-incidents.json")
    assert "incidents" in message and "INCIDENT-REPORT.md" in message
    path = workspace / ".demo" / "inputs" / "INCIDENT-REPORT.md"
    path.parent.mkdir(parents=True)
    now = datetime.now(UTC)
    path.write_text(incident_report(Observation(now - timedelta(seconds=9), now, (20.0, 30.0, 900.0)), now=now))
    reference = run.call(step, task, "incidents")
    assert run.cycle().document(reference)["status"] == "ok"


def test_a_missing_source_that_is_not_critical_is_unknown_and_no_halt(run: Any) -> None:
    """The intake report says UNKNOWN; nothing stops."""
    reference = run.call(intake_and_baseline.collect_telemetry, "intake_and_baseline.collect_telemetry", "traces")
    assert run.cycle().document(reference)["status"] != "ok"
    assert run.entries("error") == []


# 2 - line 60


class Metrics:
    """A Prometheus that has recorded `value` in each step, or nothing at all."""

    collection_method = "Prometheus query_range"

    def __init__(self, value: float | None) -> None:
        self.value = value

    def query_range_raw(self, spec: Any, *, service: str, start: float, end: float, step: float, fetched_at: Any, **others: Any) -> Any:
        times = [] if self.value is None else [start + n * step for n in range(int((end - start) / step + 1e-9) + 1)]
        raw = b"{}"
        series = Series(
            metric=spec.name,
            service=service,
            unit=spec.unit,
            source=spec.source,
            query=spec.query,
            start=start,
            end=end,
            step=step,
            times=tuple(times),
            values=tuple(float(self.value or 0) for _ in times),
            fetched_at=fetched_at,
            raw_sha256=sha256_hex(raw),
        )
        return series, raw


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | None], None]:
    """Sets what the metrics source has recorded of a shop that answers."""

    class Shop:
        def __init__(self, endpoint: Any, *, environment: str) -> None:
            self.environment = environment

        def build(self) -> Build:
            return Build("build-1", self.environment)

    monkeypatch.setattr(baseline_hook, "EndpointHook", Shop)

    def records(value: float | None) -> None:
        monkeypatch.setattr(baseline_hook, "metric_hooks", lambda protocol: {"prometheus": Metrics(value)})

    return records


def test_halt_2_baseline_without_source_or_verification(
    run: Any, halts: Callable[..., str], telemetry: Callable[[float | None], None]
) -> None:
    """A source that recorded nothing in the whole window: it is named, and no cell is invented."""
    step, task = intake_and_baseline.capture_baseline, "intake_and_baseline.capture_baseline"
    telemetry(None)
    message = halts(step, task, "shop", code="TEL-251", writes="evidence/baseline-shop.json")
    assert "prometheus" in message and "clear this task" in message
    telemetry(20.0)
    reference = run.call(step, task, "shop")
    assert {cell["value"] for cell in run.cycle().document(reference)["cells"]} == {20.0}


# 3 - line 74


def profiled(run: Any, *, samples: int) -> dict[str, Any]:
    """What profile_transactions publishes for a profile of so many samples."""
    shop = run.cycle().protocol.service("shop")
    cited = {"name": "evidence/x", "sha256": "a" * 64}
    document = profile_document(
        service=shop,
        build="build-1",
        profiler="py-spy",
        collapsed_text=f"main (shop.py:1);orders (shop.py:9) {samples}\n",
        seconds=8,
        rate_hz=100,
        requests_by_transaction={"orders": 100, "quote": 40},
        collapsed=cited,
        flame_graph=cited,
    )
    found: dict[str, Any] = run.publish("evidence/profile-shop.json", document, task_id="diagnostics.profile_transactions")
    return found


def test_halt_3_profile_inconclusive(run: Any, halts: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few samples: which service and why; a better profile is reported."""
    step, task = diagnostics.explain_queries, "diagnostics.explain_queries"
    plans = {"services": [{"service": "shop", "requests": 140, "statements": [], "findings": []}]}
    monkeypatch.setattr("perfproof_airflow.profile_steps.explain_services", lambda cycle: plans)
    hypotheses = {"json": run.publish("evidence/hypotheses.json", {"hypotheses": [], "unknown": []})}
    throughput = {"service": "shop", "kind": "throughput", "value": 30.0}
    baseline = {"json": run.publish("baseline-metrics.json", {"cells": [throughput]})}
    message = halts(step, task, [profiled(run, samples=3)], hypotheses, baseline, code="PRO-404", writes="profiling-report.md")
    assert "shop: 3 samples" in message
    run.call(step, task, [profiled(run, samples=500)], hypotheses, baseline)
    assert "profiling-report.md" in run.live()


def test_halt_3_profile_missing(run: Any, halts: Callable[..., str]) -> None:
    """Without clearance nothing is profiled, and nothing takes the profile's place."""
    step, task = diagnostics.profile_transactions, "diagnostics.profile_transactions"
    message = halts(step, task, "shop", code="APR-431", writes="evidence/profile-shop.json")
    assert "profiling_clearance" in message


# 4 - line 81


def load_document(run: Any, scenario: str, *, outcome: Outcome = Outcome.COMPLETED) -> dict[str, Any]:
    """What run_load_tests publishes for a scenario that went well, or was stopped after its first seconds."""
    cycle = run.cycle()
    shop = cycle.protocol.service("shop")
    plan = plan_for(
        Scenario(scenario),
        service=shop,
        endpoint=shop.endpoints.baseline,
        environment=cycle.protocol.environment,
        profile=cycle.profile,
        load=cycle.protocol.load,
        seed=1,
    )
    schedule = schedule_of(plan)
    due = [d for d in schedule.due.tolist() if outcome is Outcome.COMPLETED or d < 3]
    rows = make_rows(
        intended_start=due,
        start=[d + 0.001 for d in due],
        end=[d + 0.02 for d in due],
        status=[200] * len(due),
        transaction=[plan.transactions[i].name for i in schedule.transaction[: len(due)]],
    )
    summary = GeneratorSummary(
        outcome=outcome,
        reason=None if outcome is Outcome.COMPLETED else "99 % of the requests failed",
        started_at="2025-02-16T14:00:00Z",
        seconds=plan.duration,
        cpu_percent=20.0,
        planned=len(due),
        sent=len(due),
        dropped=0,
        build="build-1",
        build_after="build-1",
        plan_sha256=plan.digest,
        generator="test",
    )
    reference = {"name": "evidence/rows.csv.gz", "sha256": "a" * 64}
    document = summarise(rows, plan=plan, summary=summary, service="shop", endpoint="baseline", rows_reference=reference)
    found: dict[str, Any] = run.publish(f"evidence/load-{scenario}.json", document, task_id="diagnostics.run_load_tests")
    return found


def test_halt_4_environment_unstable(run: Any, halts: Callable[..., str]) -> None:
    """A test that had to be stopped: which and why; once it goes through, the results are written."""
    step, task = diagnostics.consolidate_load_tests, "diagnostics.consolidate_load_tests"
    stopped = [load_document(run, "peak", outcome=Outcome.ABORTED)]
    message = halts(step, task, stopped, code="LOD-404", writes="load-test-results.json")
    assert "peak: 99 % of the requests failed" in message
    run.call(step, task, [load_document(run, "peak")])
    assert run.cycle().document("load-test-results.json")["valid"] is True


def test_halt_4_regressed_against_the_previous_cycle(
    run: Any, halts: Callable[..., str], telemetry: Callable[[float | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which metric, from what to what; once it is mitigated and captured again, the baseline is written."""
    capture, establish = intake_and_baseline.capture_baseline, intake_and_baseline.establish_baseline
    task = "intake_and_baseline.establish_baseline"
    telemetry(20.0)
    good = run.call(capture, "intake_and_baseline.capture_baseline", "shop")
    previous = {"collected_at": "2025-02-16T10:00:00Z", "cells": run.cycle().document(good)["cells"]}
    monkeypatch.setattr(baseline_hook, "previous_baseline", lambda cycle: previous)
    run.round += 1
    telemetry(1000.0)
    bad = run.call(capture, "intake_and_baseline.capture_baseline", "shop")
    message = halts(establish, task, [bad], code="TEL-255", writes="baseline-metrics.json")
    assert "shop/orders_latency_p95 20 -> 1000" in message
    assert "baseline-metrics.csv" not in run.live()
    telemetry(21.0)
    run.call(establish, task, [run.call(capture, "intake_and_baseline.capture_baseline", "shop")])
    assert {"baseline-metrics.json", "baseline-metrics.csv"} <= set(run.live())


# 5 - line 95


@pytest.fixture
def planned(run: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The arguments of define_plan, and the plan that the findings give."""
    plan: dict[str, Any] = {"target_metric": "orders_latency_p95", "tasks": [{"id": "OPT-001"}], "unresolved_dependencies": []}
    monkeypatch.setattr("perfproof.plan.define_plan", lambda **inputs: dict(plan))
    monkeypatch.setattr("perfproof.findings.findings_of", lambda profiles, plans: [])
    run.publish("evidence/profile-shop.json", {})
    names = ("baseline-metrics.json", "evidence/query-plans.json", "evidence/hypotheses-checked.json", "profiling-report.md")
    baseline, plans, hypotheses, report = (run.publish(name, {} if name.endswith("json") else "# x\n") for name in names)
    yield [{"json": baseline}, {"plans": plans, "hypotheses": hypotheses, "report": report}], plan


def test_halt_5_plan_with_unresolved_dependency(run: Any, halts: Callable[..., str], planned: tuple[list[Any], dict[str, Any]]) -> None:
    """Which task waits for what; no plan is there to be approved until it is resolved."""
    arguments, plan = planned
    plan["unresolved_dependencies"] = [{"task": "OPT-001", "dependency": "database upgrade"}]
    step, task = optimization.define_plan, "optimization.define_plan"
    message = halts(step, task, *arguments, code="ART-421", writes="optimization-plan.json")
    assert "OPT-001: database upgrade" in message
    plan["unresolved_dependencies"] = []
    assert run.call(step, task, *arguments)["name"] == "optimization-plan.json"


PLAN_TASK = {
    "id": "OPT-001",
    "title": "Index",
    "service": "shop",
    "owner": "demo-engineer",
    "risk": "low",
    "risk_notes": "none",
    "expected_gain_percent": 40,
    "finding": "the whole table is read",
}


def test_halt_5_plan_without_approval(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """It waits as long as nobody answers, halts when somebody rejects, and asks again when it is cleared."""
    run.publish("optimization-plan.json", {"target_metric": "orders_latency_p95", "tasks": [PLAN_TASK]})
    sensor = ProtocolApproval(task_id="await_plan_approval", step="plan", evidence=["optimization-plan.json"])
    assert isinstance(ask(sensor), TaskDeferred)
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre", state="failed", note="the risk is not described")
    with pytest.raises(AirflowFailException, match=r"APR-415 plan: rejected by demo-sre .*the risk is not described.*clear this task"):
        ask(sensor)
    assert run.said()[-1].startswith('[RAY ERROR] - "Failed at plan. Reason: APR-415')
    assert [name for name in run.live() if name.startswith("approvals/") and "product_owner" in name] == []
    run.round += 1
    assert isinstance(ask(sensor), TaskDeferred)
    desk.answer("sre_lead", "demo-sre")
    result = ask(sensor)
    if isinstance(result, TaskDeferred):
        desk.answer("product_owner", "demo-owner")
        result = ask(sensor)
    assert result["decision"] == "approve"


# 6 - line 102


def block(side: str, order: int, value: float) -> dict[str, Any]:
    figures = {"requests": 105, "errors": 0, "p50": value, "p95": value, "p99": value}
    return {
        "side": side,
        "order": order,
        "started_at": f"2025-02-16T10:{order:02d}:00Z",
        "build": f"build-{side}",
        "requests": 150,
        "errors": 0,
        "valid": True,
        "invalid_reasons": [],
        "p50": value,
        "p95": value,
        "p99": value,
        "by_transaction": {"orders": figures, "quote": {**figures, "requests": 45}},
        "guards": {"cpu_ms_per_request": 5.0, "queries_per_request": 3.0, "memory_rss": 80.0, "error_rate": 0.0},
        "rows": {"name": f"evidence/block-{order:02d}-{side}-rows.csv.gz", "sha256": "c" * 64},
    }


def measurement(run: Any, *, builds: tuple[str, str]) -> dict[str, Any]:
    sides = ("baseline", "candidate", "candidate", "baseline") * 4
    document = {
        "service": "shop",
        "builds": dict(zip(("baseline", "candidate"), builds, strict=True)),
        "interleaved": True,
        "started_at": "2025-02-16T10:00:00Z",
        "rate": 30,
        "block_seconds": 5,
        "blocks": [
            {**block(side, n, (200.0 if side == "baseline" else 100.0) + n / 10), "build": builds[side == "candidate"]}
            for n, side in enumerate(sides)
        ],
    }
    found: dict[str, Any] = run.publish("evidence/measurement.json", document, task_id="optimization.measure_blocks")
    return found


def test_halt_6_validation_not_possible(run: Any, halts: Callable[..., str]) -> None:
    """Both sides ran one build: there is nothing to compare, so there is no verdict either; a real candidate is judged."""
    cells = [{"service": "shop", "metric_name": "orders_latency_p95", "value": 200.0, "unit": "ms", "kind": "latency"}]
    baseline = {"json": run.publish("baseline-metrics.json", {"cells": cells, "window": {}})}
    plan = run.publish("optimization-plan.json", {"tasks": [PLAN_TASK]})
    step, task = optimization.validate, "optimization.validate"
    same = measurement(run, builds=("build-1", "build-1"))
    message = halts(step, task, same, plan, baseline, code="ART-324", writes="optimization-validation-report.json")
    assert "validation not possible: both sides ran the same build" in message
    run.call(step, task, measurement(run, builds=("build-1", "build-2")), plan, baseline)
    assert run.cycle().document("optimization-validation-report.json")["improvement"]["percentage"] == pytest.approx(50, abs=2)


# 7 - line 116


def test_halt_7_slo_approval_missing(run: Any, desk: Any, ask: Callable[..., Any], halts: Callable[..., str]) -> None:
    """Although the task that waits was marked success by hand: no record, no SLO update."""
    reference = run.publish(
        PROPOSAL, {"updates": [UPDATE], "validation": {"name": "optimization-validation-report.json", "sha256": "a" * 64}}
    )
    step, task = governance.record_slo_updates, "governance.record_slo_updates"
    message = halts(step, task, reference, code="APR-431", writes="slo-update-record.json")
    assert "slo_updates" in message and "product_owner" in message
    assert run.entries("slo.updated") == []
    sensor = ProtocolApproval(task_id="await_slo_approvals", step="slo_updates", evidence=[PROPOSAL])
    ask(sensor)
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre")
    ask(sensor)
    run.call(step, task, reference)
    record = run.cycle().document("slo-update-record.json")
    assert [a["person_id"] for a in record["updates"][0]["approvers"]] == ["demo-owner", "demo-sre"]


def test_nothing_is_applied_without_the_slo_approval(run: Any, halts: Callable[..., str], workspace: Path) -> None:
    """The instrumentation verifies the record itself; no file reaches monitoring."""
    reference = run.publish(PROPOSAL, {"updates": [UPDATE]})
    halts(
        governance.apply_instrumentation,
        "governance.apply_instrumentation",
        reference,
        reference,
        reference,
        code="APR-431",
        writes="instrumentation-update-log.md",
    )
    assert not (workspace / ".demo" / "instrumentation").exists()


# 8 - line 123

REPORTED = (
    "performance-intake-report.json",
    "baseline-metrics.json",
    "evidence/hypotheses-checked.json",
    "evidence/profile-shop.json",
    "evidence/query-plans.json",
    "load-test-results.json",
    "evidence/capacity.json",
    "optimization-plan.json",
    "optimization-validation-report.json",
    "slo-update-record.json",
)


@pytest.mark.parametrize("missing", REPORTED)
def test_halt_8_report_incomplete(run: Any, halts: Callable[..., str], monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Each piece that the report shows: named if it is missing, neither report nor manifest written; then compiled."""
    monkeypatch.setattr("perfproof.report.sections", lambda evidence: ())
    for name in REPORTED:
        if name != missing:
            run.publish(name, {})
    step, task = governance.publish_report, "governance.publish_report"
    inputs = [run.publish("evidence/record.json", {}), run.publish("evidence/instrumentation.json", {})]
    with pytest.raises(AirflowFailException) as caught:
        run.call(step, task, *inputs)
    assert missing in str(caught.value) and "Fix: " in str(caught.value)
    assert run.said()[-1].startswith('[RAY ERROR] - "Failed at publish_report. Reason: EVI-')
    assert not {"PERFORMANCE-REPORT.md", "PERFORMANCE-REPORT.html", "performance-report-manifest.json"} & set(run.live())
    run.publish(missing, {})
    run.round += 1
    assert run.call(step, task, *inputs)["name"] == "PERFORMANCE-REPORT.md"
    assert "performance-report-manifest.json" in run.live()
