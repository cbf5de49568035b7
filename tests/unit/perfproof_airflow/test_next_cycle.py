"""The loop: what one cycle and the captures leave is what the next cycle starts from, named, and nothing twice."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.baseline import baseline_document, failed_series, measure_cell
from perfproof.evidence import MemoryBackend
from perfproof.intake import intake_report, source_document
from perfproof.intake_inbox import drift_item
from perfproof.moments import stamp
from perfproof.prerequisites import examine_artifacts
from perfproof_airflow import governance_steps, settings
from perfproof_airflow.hooks.baseline import previous_baseline
from perfproof_airflow.hooks.sources import read_source
from perfproof_airflow.hooks.workspace import found_artifacts
from perfproof_airflow.inbox import Inbox, inherited_items, take_drifts
from perfproof_airflow.phases import governance
from perfproof_airflow.plan_steps import PROMISED_GAINS, publish_promised_gains

PLAN, VALIDATION, INTAKE = "optimization-plan.json", "optimization-validation-report.json", "performance-intake-report.json"
BACKLOG, ITEMS = "performance-intake-backlog.json", "intake-items.json"
HISTORY = ".artifacts/performance/history/demo"
PREREQUISITE = f"  - {{name: {ITEMS}, path: {HISTORY}/{ITEMS}, required: false, max_age_days: 90, validator: intake_backlog}}\n"
SOURCE = f"  - {{name: drifts, kind: artifact, provides: backlog, critical: false, artifact: {ITEMS}}}\n"
TASK = {
    "service": "shop",
    "cause": "database_contention",
    "expected_gain_percent": 40.0,
    "stated_gain_percent": 40.0,
    "gain_bound_percent": None,
}
RECORD = {
    "series": "shop/orders_latency_p95", "unit": "ms", "at": "2025-02-17T05:00:00Z", "kind": "regression", "before": 50.0, "after": 60.0,
    "percent": 20.0, "p": 0.001, "reported_by": "20250217T100000Z_20250217T110000Z", "beside": [],
}  # fmt: skip
DRIFT = drift_item(RECORD, protocol="demo", length=timedelta(hours=1), evidence=[])


@pytest.fixture
def workspace(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose protocol file also names the inbox of the captures."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    text = path.read_text()
    if ITEMS not in text:
        text = text.replace("\nenvironment:\n", f"{PREREQUISITE}\nenvironment:\n", 1).replace("\nbaseline:\n", f"{SOURCE}\nbaseline:\n", 1)
    path.write_text(text)
    monkeypatch.setattr(governance_steps, "verified_approvals", lambda cycle, step: [])
    monkeypatch.setattr("perfproof_airflow.gate.handoff_state", lambda cycle: None)
    monkeypatch.setattr("perfproof.handoff.require_complete", lambda state: None)
    return workspace


def baseline(cycle: Any, at: datetime) -> dict[str, Any]:
    """A baseline in which no source answered: that is a baseline too."""
    service = cycle.protocol.service("shop")
    end = at.timestamp()
    cells = [
        measure_cell(
            spec, "shop", failed_series(spec, "shop", start=end - 40, end=end, step=2, fetched_at=at, error="down"),
            window_start=end - 40, window_end=end, step=2, min_coverage=0.9, min_samples=10, max_staleness_seconds=10,
            collection_method="none",
        )
        for spec in service.metrics
    ]  # fmt: skip
    window = {"start": stamp(at - timedelta(seconds=40)), "end": stamp(at), "step_seconds": 2}
    return baseline_document(
        cells, window=window, protocol_sha256=cycle.protocol.digest, services=[service], builds={"shop": None}, adherence={}, now=at
    )


def take_in(run: Any) -> list[dict[str, Any]]:
    """Phase 1 of the run as far as its backlog: artifacts verified and kept, sources read, intake reported, drifts marked."""
    cycle, now = run.cycle("prerequisites.verify_artifacts"), datetime.now(UTC)
    files = found_artifacts(cycle.protocol)
    findings = [
        item for item in examine_artifacts(cycle.protocol, files, now=now) if item["name"] in (BACKLOG, ITEMS, "baseline-metrics.json")
    ]
    for finding in findings:
        if finding["status"] == "ok":
            cycle.publish(f"evidence/input-{finding['name'].lower()}", functools.partial(bytes, files[finding["name"]].data))
    cycle.publish("evidence/prerequisite-artifacts.json", lambda: {"artifacts": findings})
    documents = [
        read_source(cycle.protocol, source, now=now)
        if source.artifact in (BACKLOG, ITEMS)
        else source_document(source, fetched_at=now, items={source.provides.value: []})
        for source in cycle.protocol.sources
    ]
    run.publish("baseline-metrics.json", baseline(cycle, now))
    report = intake_report(
        run=cycle.run, protocol=cycle.protocol, parameters=cycle.parameters, sources=[(d, "0" * 64) for d in documents],
        baseline={"cells": [], "slos": []}, now=now,
    )  # fmt: skip
    run.publish(INTAKE, report)
    take_drifts(run.cycle("intake_and_baseline.report_intake"), now=now)
    found: list[dict[str, Any]] = run.cycle().document(INTAKE)["backlog"]
    return found


def finish(run: Any, *, realized: float = 30.0, status: str = "pass", metric: str = "orders_latency_p95") -> dict[str, Any]:
    """Phases 3 and 4: one of two planned optimizations is done and validated, everything shared and handed off."""
    tasks = [{"id": "OPT-001", "title": "Index the orders", **TASK}, {"id": "OPT-002", "title": "Batch the quotes", **TASK}]
    traced = run.publish(PLAN, {"tasks": tasks})
    report = {
        "validation_date": "2025-02-16T17:00:00Z", "optimization_id": "OPT-001", "optimizations": ["OPT-001"], "service": "shop",
        "target_metric": metric, "improvement": {"percentage": realized}, "status": status,
        "traces_to": {"plan": {"name": PLAN, "sha256": traced["sha256"]}}, "guards": [], "unguarded": [],
    }  # fmt: skip
    run.publish(VALIDATION, report)
    run.publish("slo-update-record.json", {"updates": []})
    run.publish("evidence/hypotheses.json", {"hypotheses": []})
    run.publish("evidence/hypotheses-checked.json", {"hypotheses": []})
    run.publish("load-test-results.json", {"bottlenecks": []})
    run.publish("PERFORMANCE-REPORT.html", b"<html>")
    written = run.publish("PERFORMANCE-REPORT.md", "# Report\n")
    publish_promised_gains(run.cycle("governance.publish_report"))
    governance_steps.share(run.cycle("governance.share_improvements"), report=written)
    run.call(governance.hand_off, "governance.hand_off")
    event: dict[str, Any] = run.outlet_events.by_name["perfproof_handoff"].extra
    return event


def test_the_next_cycle_reads_what_the_last_one_left_and_names_it(run: Any, other_run: Any) -> None:
    """What was not done comes back with its source and the run that left it; what was done does not."""
    assert take_in(run) == []
    finish(run)
    other_run.open()
    (item,) = take_in(other_run)
    assert (item["title"], item["kind"], item["from"]) == ("Batch the quotes", "optimization", run.cycle().run)
    report = other_run.cycle().document(INTAKE)
    (source,) = [one for one in report["sources"] if one["name"] == "backlog"]
    assert (source["provides"], source["status"]) == ("backlog", "ok")
    assert [pain["evidence"] for pain in report["pain_points"] if "Batch the quotes" in pain["symptom"]]


def test_the_next_cycle_compares_with_the_baseline_of_the_last_one(run: Any, other_run: Any) -> None:
    """That which was handed off, by digest."""
    take_in(run)
    finish(run)
    other_run.open()
    take_in(other_run)
    assert previous_baseline(other_run.cycle()) == run.cycle().document("baseline-metrics.json")


def test_promised_gains_are_carried_beside_an_inbox(run: Any, other_run: Any, workspace: Path) -> None:
    """Two supplied files are backlogs now; the history of gains is in one of them."""
    Inbox.of("demo").open([DRIFT])
    Inbox.of("demo").refresh(dated=datetime.now(UTC), acknowledged=_nothing())
    take_in(run)
    finish(run, realized=30.0)
    other_run.open()
    take_in(other_run)
    finish(other_run, realized=20.0)
    records = other_run.cycle().document(PROMISED_GAINS)["records"]
    assert [(one["run"], one["realized_percent"]) for one in records] == [(run.cycle().run, 30.0), (other_run.cycle().run, 20.0)]
    assert json.loads(other_run.cycle().read(BACKLOG))["promised_gains"] == records


def _nothing() -> Any:
    from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED

    return NOTHING_ACKNOWLEDGED


def view(workspace: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workspace / HISTORY / ITEMS).read_bytes())
    return found


@pytest.fixture
def drifted(workspace: Path) -> None:
    """A capture has opened a drift."""
    inbox = Inbox.of("demo")
    inbox.open([DRIFT])
    inbox.refresh(dated=datetime.now(UTC) - timedelta(days=1), acknowledged=_nothing())


@pytest.mark.usefixtures("drifted")
def test_a_drift_reaches_the_intake_and_stays_offered_until_the_handoff(run: Any, other_run: Any, workspace: Path) -> None:
    """A second cycle in the meantime sees it too, and who has it; after the handoff no cycle gets it from the captures."""
    (item,) = take_in(run)
    assert (item["id"], item["kind"], item["from"]) == (DRIFT["id"], "drift", "baseline_capture of demo")
    (pain,) = [one for one in run.cycle().document(INTAKE)["pain_points"] if DRIFT["id"] in one["evidence"][0]]
    assert pain["symptom"].startswith("Found by the recurring capture: orders_latency_p95 drifted from 50 to 60 ms")
    assert view(workspace)["items"][0]["taken_by"][0]["run"] == run.cycle().run
    other_run.open()
    (seen,) = take_in(other_run)
    assert [taker["run"] for taker in seen["taken_by"]] == [run.cycle().run]
    finish(run)
    assert view(workspace)["items"] == []
    assert run.cycle().run in view(workspace)["closed"][0]["closed_by"]


@pytest.mark.usefixtures("drifted")
def test_a_drift_that_a_cycle_mitigated_is_not_offered_again(run: Any, other_run: Any) -> None:
    """Neither by the captures nor by the backlog."""
    take_in(run)
    finish(run)
    other_run.open()
    assert [item["kind"] for item in take_in(other_run)] == ["optimization"]


@pytest.mark.usefixtures("drifted")
def test_a_drift_that_a_cycle_did_not_mitigate_comes_back_by_its_backlog(run: Any, other_run: Any) -> None:
    """Under its id, with who has carried it, and once."""
    take_in(run)
    finish(run, status="inconclusive")
    other_run.open()
    found = [item for item in take_in(other_run) if item["kind"] == "drift"]
    assert [(item["id"], item["carried_by"], item["from"]) for item in found] == [(DRIFT["id"], [run.cycle().run], run.cycle().run)]


@pytest.mark.usefixtures("drifted")
def test_a_drift_that_a_person_accepted_meanwhile_is_not_handed_on(run: Any, workspace: Path) -> None:
    """The decision lies beside the protocol file."""
    take_in(run)
    entry = {"time": RECORD["at"], "reason": "larger baskets", "by": "owner"}
    (workspace / "include" / "protocols" / "demo.acknowledged.json").write_text(json.dumps({RECORD["series"]: [entry]}))
    assert inherited_items(run.cycle()) == []
    finish(run, status="inconclusive")
    assert [item["kind"] for item in json.loads(run.cycle().read(BACKLOG))["items"]] == ["optimization"]


@pytest.mark.usefixtures("drifted")
def test_a_cycle_that_was_halted_leaves_the_drift_to_the_next(run: Any, other_run: Any) -> None:
    """Taken is not settled."""
    take_in(run)
    other_run.open()
    assert [item["id"] for item in take_in(other_run)] == [DRIFT["id"]]


@pytest.mark.usefixtures("drifted")
def test_an_intake_that_is_tried_again_marks_the_same(run: Any, workspace: Path) -> None:
    """Same moment, same bytes."""
    take_in(run)
    mark = workspace / HISTORY / "taken" / f"{run.cycle().run}.json"
    before = mark.read_bytes(), view(workspace)["items"]
    take_drifts(run.cycle("intake_and_baseline.report_intake", try_number=2), now=datetime.now(UTC) + timedelta(hours=1))
    assert (mark.read_bytes(), view(workspace)["items"]) == before


@pytest.mark.usefixtures("drifted")
def test_a_damaged_inbox_stops_no_cycle(run: Any, workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The drift is then offered again, and the log says why."""
    take_in(run)
    (workspace / HISTORY / "drifts" / f"{DRIFT['id']}.json").write_text("{")
    assert take_drifts(run.cycle("intake_and_baseline.report_intake"), now=datetime.now(UTC)) == []
    assert "could not be marked" in caplog.text
    assert finish(run)["run"] == run.cycle().run


def test_a_protocol_without_captures_gets_no_inbox(run: Any, workspace: Path) -> None:
    """No file appears for a feature that nobody uses."""
    take_in(run)
    finish(run)
    assert not (workspace / HISTORY).exists()


def test_the_next_cycle_reads_the_backlog_out_of_a_bucket(
    workspace: Path, unopened: Any, other_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `latest` is an object and no directory; the source of the intake must find it as the prerequisites do."""
    backend = MemoryBackend()
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", "s3://evidence/team")
    monkeypatch.setattr(settings, "evidence_backend", lambda: backend)
    unopened.open()
    take_in(unopened)
    event = finish(unopened)
    assert (workspace / event["package"]["name"]).is_file()
    other_run.open()
    assert [item["title"] for item in take_in(other_run)] == ["Batch the quotes"]


def test_a_cycle_that_a_drift_triggered_opens_with_its_objective_and_excludes_nobody(unopened: Any, desk: Any) -> None:
    """Nobody triggered it, so the product owner who prioritizes it does not approve a request of his own."""
    from airflow.sdk.exceptions import TaskDeferred

    from perfproof.drift_cycle import drift_cycle
    from perfproof_airflow.sensors.questions import ProtocolApproval

    wanted = drift_cycle([DRIFT], protocol="demo", reported_by=DRIFT["reported_by"])
    unopened.run_id, unopened.user, unopened.params = wanted["run_id"], None, wanted["conf"]
    unopened.open()
    cycle = unopened.cycle()
    assert cycle.parameters.objective.startswith("Explain and mitigate the drift of shop: orders_latency_p95 drifted from 50 to 60 ms")
    assert cycle.triggered_by == ""
    unopened.publish("prerequisites.json", {"status": "ok"})
    sensor = ProtocolApproval(task_id="await_prerequisite_approvals", step="prioritization", evidence=["prerequisites.json"])
    with pytest.raises(TaskDeferred):
        sensor.execute(unopened.context("prerequisites.await_prerequisite_approvals"))
    (request,) = desk.requests.values()
    assert request.question.forbidden == ()
