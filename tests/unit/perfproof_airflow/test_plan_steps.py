"""Promised gains in the evidence: from the backlog that was verified, and from every validation of the run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfproof.errors import ArtifactError
from perfproof.telemetry import document_bytes, sha256_hex
from perfproof_airflow.plan_steps import PROMISED_GAINS, publish_promised_gains

VALIDATION, PLAN = "optimization-validation-report.json", "optimization-plan.json"
BACKLOG = "performance-intake-backlog.json"


def plan(gain: float = 40.0) -> dict[str, Any]:
    task = {"id": "OPT-001", "title": "Index", "service": "shop", "cause": "database_contention", "expected_gain_percent": gain}
    return {"tasks": [{**task, "stated_gain_percent": gain, "gain_bound_percent": None}]}


def report(realized: float, *, traced: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "validation_date": "2025-02-16T17:00:00Z", "optimization_id": "OPT-001", "optimizations": ["OPT-001"], "service": "shop",
        "target_metric": "orders_latency_p95", "improvement": {"percentage": realized}, "status": "pass",
        **({"traces_to": {"plan": {"name": PLAN, "sha256": traced["sha256"]}}} if traced else {}),
    }  # fmt: skip


def supply(run: Any, document: dict[str, Any], *, status: str = "ok") -> str:
    """A backlog as verify_artifacts finds and keeps it."""
    data = document_bytes(document)
    cycle = run.cycle("prerequisites.verify_artifacts")
    cycle.publish(f"evidence/input-{BACKLOG}", lambda: data)
    run.publish("evidence/prerequisite-artifacts.json", {"artifacts": [{"name": BACKLOG, "status": status, "sha256": sha256_hex(data)}]})
    return sha256_hex(data)


def test_the_first_cycle_begins_the_history(run: Any) -> None:
    """And says that nothing was carried to it."""
    run.publish(VALIDATION, report(30.0, traced=run.publish(PLAN, plan())))
    document = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    assert [(r["promised_percent"], r["realized_percent"], r["ratio"]) for r in document["records"]] == [(40.0, 30.0, 0.75)]
    assert document["carried_from"] is None and document["not_carried"] == "no backlog of an earlier cycle was supplied"
    assert PROMISED_GAINS in run.live()


def test_the_history_of_the_verified_backlog_is_carried_on(run: Any) -> None:
    """By the digest under which it was kept."""
    run.publish(VALIDATION, report(30.0, traced=run.publish(PLAN, plan())))
    first = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    earlier = {**first["records"][0], "validation_sha256": "f" * 64, "run": "run-0"}
    backlog = {"schema_version": 1, "created_at": "2025-02-15T10:00:00Z", "run": "run-0", "items": [], "promised_gains": [earlier]}
    digest = supply(run, backlog)
    run.round = 1
    document = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    assert [r["run"] for r in document["records"]] == ["run-0", run.cycle().run]
    assert document["carried_from"] == {"name": BACKLOG, "sha256": digest} and document["by_cause"][0]["validated"] == 2


def test_a_backlog_without_a_history_and_one_that_is_not_valid_say_so(run: Any) -> None:
    """Neither stops the report."""
    run.publish(VALIDATION, report(30.0, traced=run.publish(PLAN, plan())))
    supply(run, {"schema_version": 1, "created_at": "2025-02-15T10:00:00Z", "run": "r", "items": []})
    document = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    assert document["not_carried"] == "the supplied backlog holds no promised gains"
    assert document["carried_from"]["name"] == BACKLOG


def test_a_validation_that_a_retry_superseded_is_not_forgotten(run: Any) -> None:
    """Each against the plan that it traces to."""
    first = run.publish(PLAN, plan(40.0))
    run.publish(VALIDATION, report(10.0, traced=first))
    run.round = 1
    second = run.publish(PLAN, plan(20.0))
    run.publish(VALIDATION, report(25.0, traced=second))
    document = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    assert [(r["promised_percent"], r["realized_percent"]) for r in document["records"]] == [(40.0, 10.0), (20.0, 25.0)]


def test_a_damaged_history_halts_with_its_place(run: Any) -> None:
    """It passed no check as it is: somebody changed what was kept, or the check."""
    run.publish(VALIDATION, report(30.0, traced=run.publish(PLAN, plan())))
    supply(run, {"schema_version": 1, "created_at": "2025-02-15T10:00:00Z", "run": "r", "items": [], "promised_gains": [{"run": "x"}]})
    with pytest.raises(ArtifactError) as error:
        publish_promised_gains(run.cycle("governance.publish_report"))
    assert error.value.code == "ART-820"
    assert PROMISED_GAINS not in run.live()


def test_the_history_goes_into_the_backlog_of_the_next_cycle(run: Any) -> None:
    """Written by `share` from the very document that was published."""
    from perfproof_airflow.governance_steps import share

    run.publish(VALIDATION, {**report(30.0, traced=run.publish(PLAN, plan())), "guards": [], "unguarded": []})
    run.publish("slo-update-record.json", {"updates": []})
    run.publish("evidence/hypotheses-checked.json", {"hypotheses": []})
    run.publish("load-test-results.json", {"bottlenecks": []})
    run.publish("PERFORMANCE-REPORT.html", b"<html>")
    written = run.publish("PERFORMANCE-REPORT.md", "# Report\n")
    published = run.cycle().document(publish_promised_gains(run.cycle("governance.publish_report")))
    share(run.cycle("governance.share_improvements"), report=written)
    backlog = json.loads(run.cycle().read(BACKLOG))
    assert backlog["promised_gains"] == published["records"]
    assert "0.75 of the promise" in run.cycle().read("continuous-improvement-notes.md").decode()


def test_without_a_plan_or_a_validation_there_is_nothing_to_compare(run: Any) -> None:
    """The report says which is missing."""
    assert publish_promised_gains(run.cycle("governance.publish_report")) is None
    run.publish(PLAN, plan())
    assert publish_promised_gains(run.cycle("governance.publish_report")) is None and PROMISED_GAINS not in run.live()
