"""Phase 4's work: proposed from the measurement, applied only as approved, delivered with a digest, handed off once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ApprovalError, ArtifactError, EvidenceError
from perfproof.telemetry import sha256_hex
from perfproof_airflow import deliveries, governance_steps
from perfproof_airflow.governance_steps import (
    PROPOSAL,
    complete_handoff,
    propose,
    publish_manifest,
    record_slo,
    share,
)
from perfproof_airflow.instrumentation_steps import write_instrumentation
from perfproof_airflow.whole_files import write_files

VALIDATION = "optimization-validation-report.json"
INSTRUMENTATION = Path(".demo") / "instrumentation" / "shop"
FILES = ["alert-rules.yaml", "dashboard.json", "tracing.json"]
SLO_FILES = ["slo-cloudwatch.json", "slo-rules.test.yaml", "slo-rules.yaml", "slo.openslo.yaml", "slo.sloth.yaml"]


def test_the_proposal_follows_the_candidate_and_cites_the_validation(run: Any, measured: dict[str, dict[str, Any]]) -> None:
    """100 ms measured and 5 % headroom: 120 is the next round target."""
    document = run.cycle().document(propose(run.cycle(), **measured))
    assert [(u["previous_target"], u["new_target"]) for u in document["updates"]] == [("250ms", "120ms")]
    assert document["validation"]["sha256"] == measured["validation"]["sha256"]
    assert [i["name"] for i in run.entries("artifact.published")[-1]["inputs"]] == [VALIDATION, "evidence/measurement.json"]


def test_a_proposal_without_captures_says_that_no_back_test_is_shown(run: Any, measured: dict[str, dict[str, Any]]) -> None:
    """And defines its alerts all the same."""
    (update,) = run.cycle().document(propose(run.cycle(), **measured))["updates"]
    assert update["back_test"]["words"] == ["back-test: not shown (there are no recurring captures of this protocol)"]
    assert [alert["factor"] for alert in update["burn_rate_alerts"]["alerts"]] == [14.4, 6, 3, 1]
    assert update["burn_rate_alerts"]["low_traffic_guard"]["min_events"] > 0


def test_a_proposal_is_back_tested_over_the_recurring_captures(
    run: Any, measured: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value each hour of four days: tickets of the old and of the new target, no pages, and what it was read from."""
    from perfproof_airflow import target_history

    cell = {"service": "shop", "metric_name": "orders_latency_p95", "unit": "ms"}
    captures = [
        {
            "window": {"start": f"2025-02-{10 + hour // 24:02d}T{hour % 24:02d}:00:00Z", "end": end},
            "cells": [{**cell, "value": 200.0 if hour > 60 else 100.0}],
        }
        for hour in range(96)
        for end in [f"2025-02-{10 + (hour + 1) // 24:02d}T{(hour + 1) % 24:02d}:00:00Z"]
    ]
    monkeypatch.setattr(target_history, "kept_history", lambda *_, **__: captures)
    (update,) = run.cycle().document(propose(run.cycle(), **measured))["updates"]
    tested = update["back_test"]
    assert (tested["status"], tested["history"]["captures"]) == ("shown", 96)
    assert (tested["new"]["target"], tested["new"]["tickets"], tested["new"]["pages"]) == (120, 1, None)
    assert (tested["previous"]["target"], tested["previous"]["tickets"]) == (250, 0)


def test_the_record_names_who_approved_and_what_it_traces_to(run: Any, approved: dict[str, Any]) -> None:
    """And the log says that the SLO was updated, on which proposal."""
    record = run.cycle().document(record_slo(run.cycle("governance.record_slo_updates"), proposal=approved))
    assert (record["approval_status"], record["approval_percentage"]) == ("approved", 100)
    assert record["proposal"]["sha256"] == approved["sha256"]
    assert [body["proposal"]["sha256"] for body in run.entries("slo.updated")] == [approved["sha256"]]


def test_a_proposal_that_changed_after_the_approval_is_not_recorded(run: Any, approved: dict[str, Any]) -> None:
    """Neither recorded nor applied."""
    run.round = 1
    run.publish(PROPOSAL, {"updates": []}, task_id="governance.propose_slo_updates")
    with pytest.raises(ApprovalError, match="APR-433"):
        record_slo(run.cycle("governance.record_slo_updates"), proposal=approved)
    assert "slo-update-record.json" not in run.live() and run.entries("slo.updated") == []


def test_prepared_instrumentation_reaches_nobody(run: Any, workspace: Path, measured: dict[str, dict[str, Any]]) -> None:
    """It is evidence; the log says that it is not applied."""
    write_instrumentation(run.cycle("optimization.prepare_instrumentation"), state="prepared", **measured)
    text = run.cycle().read("instrumentation-update-log.md").decode()
    assert "State: **prepared**" in text
    assert all(heading in text for heading in ("## Dashboards", "## Alerts", "## Tracing"))
    assert not (workspace / INSTRUMENTATION).exists()


def test_instrumentation_is_not_applied_without_the_approval(run: Any, workspace: Path, measured: dict[str, dict[str, Any]]) -> None:
    """Whatever the state of the task before it."""
    propose(run.cycle(), **measured)
    with pytest.raises(ApprovalError, match="APR-431"):
        write_instrumentation(run.cycle(), state="applied", **measured)
    assert not (workspace / INSTRUMENTATION).exists()


def test_applied_instrumentation_is_what_was_approved_and_supersedes_the_log(
    run: Any, workspace: Path, approved: dict[str, Any], measured: dict[str, dict[str, Any]]
) -> None:
    """The files where monitoring reads them are byte for byte those of the evidence."""
    write_instrumentation(run.cycle("optimization.prepare_instrumentation"), state="prepared", **measured)
    write_instrumentation(run.cycle("governance.apply_instrumentation"), state="applied", record=approved, **measured)
    assert "State: **applied**" in run.cycle().read("instrumentation-update-log.md").decode()
    assert len(run.versions("instrumentation-update-log.md")) == 2
    assert sorted(path.name for path in (workspace / INSTRUMENTATION).iterdir()) == sorted([*FILES, "slo"])
    assert sorted(path.name for path in (workspace / INSTRUMENTATION / "slo").iterdir()) == SLO_FILES
    for path in [*FILES, *(f"slo/{name}" for name in SLO_FILES)]:
        assert (workspace / INSTRUMENTATION / path).read_bytes() == run.cycle().read(f"evidence/applied-{Path(path).name}")
    log = run.cycle().read("instrumentation-update-log.md").decode()
    assert all(f"`slo/{name}`" in log for name in SLO_FILES) and "burn rate above 14.4 over 1h and 5m" in log
    assert "120" in (workspace / INSTRUMENTATION / "alert-rules.yaml").read_text()


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    """No temporary file stays behind."""
    write_files(tmp_path / "a" / "b", {"x.json": b"old"})
    write_files(tmp_path / "a" / "b", {"x.json": b"new", "y.json": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").iterdir()} == {"x.json": b"new", "y.json": b"2"}


def shared(run: Any, reported: dict[str, Any], *, try_number: int = 1) -> dict[str, Any]:
    return share(run.cycle("governance.share_improvements", try_number=try_number), report=reported)


def test_each_delivery_is_logged_with_recipient_channel_address_and_digest(run: Any, workspace: Path, reported: dict[str, Any]) -> None:
    """Report to the stakeholders, notes to the next protocol and to monitoring; the files are there with these bytes."""
    shared(run, reported)
    deliveries = run.entries("notify.delivered")
    assert [(d["recipient"], d["artifact"]) for d in deliveries] == [
        ("Product Owner and stakeholders", "PERFORMANCE-REPORT.md"),
        ("Product Owner and stakeholders", "PERFORMANCE-REPORT.html"),
        ("Protocol 22", "continuous-improvement-notes.md"),
        ("Protocol 19", "continuous-improvement-notes.md"),
    ]
    for delivery in deliveries:
        assert delivery["channel"] == "file"
        assert sha256_hex((workspace / delivery["address"]).read_bytes()) == delivery["sha256"]


def test_a_retry_delivers_again_and_logs_once(run: Any, workspace: Path, reported: dict[str, Any]) -> None:
    """A worker that died in between leaves nothing out and nothing twice."""
    shared(run, reported)
    (workspace / run.entries("notify.delivered")[0]["address"]).unlink()
    shared(run, reported, try_number=2)
    assert len(run.entries("notify.delivered")) == 4
    assert (workspace / run.entries("notify.delivered")[0]["address"]).exists()


def test_a_delivery_that_arrived_differently_is_not_logged(run: Any, reported: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or a filter in between."""
    real = deliveries.write_files
    monkeypatch.setattr(deliveries, "write_files", lambda directory, files: real(directory, {n: d[:-1] for n, d in files.items()}))
    with pytest.raises(ArtifactError, match="ART-411"):
        shared(run, reported)
    assert run.entries("notify.delivered") == []


def test_the_backlog_of_the_next_cycle_is_written(run: Any, reported: dict[str, Any]) -> None:
    """With the run that it comes from."""
    shared(run, reported)
    assert run.cycle().document("performance-intake-backlog.json")["run"] == run.cycle().run


def test_the_manifest_covers_what_is_live_and_names_what_is_missing(run: Any, reported: dict[str, Any]) -> None:
    """Not itself: its own digest is in the log."""
    manifest = run.cycle().document(publish_manifest(run.cycle(), inputs=[reported]))
    subject = {item["name"]: item["digest"]["sha256"] for item in manifest["subject"]}
    assert subject["PERFORMANCE-REPORT.md"] == reported["sha256"]
    assert "performance-report-manifest.json" not in subject
    assert "capacity-analysis.md" in manifest["predicate"]["missing"]


def test_nothing_is_handed_off_without_the_approval(run: Any, reported: dict[str, Any]) -> None:
    """No entry, no announcement, the log stays open."""
    with pytest.raises(ApprovalError, match="APR-431 handoff"):
        complete_handoff(run.cycle("governance.hand_off"))
    assert run.entries("handoff.completed", "run.closed", "announce") == []


def handed(run: Any, *, try_number: int = 1) -> Any:
    return complete_handoff(run.cycle("governance.hand_off", try_number=try_number))


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle whose checklist and approval are complete."""
    monkeypatch.setattr(governance_steps, "verified_approvals", lambda cycle, step: [])
    monkeypatch.setattr("perfproof_airflow.gate.handoff_state", lambda cycle: None)
    monkeypatch.setattr("perfproof.handoff.require_complete", lambda state: None)


@pytest.mark.usefixtures("complete")
def test_a_handoff_closes_the_log_and_becomes_the_latest_cycle(run: Any, workspace: Path, reported: dict[str, Any]) -> None:
    """The next cycle starts from it."""
    from perfproof_airflow.gate import handed_off

    handed(run)
    assert handed_off(run.cycle())
    assert [body["report"]["sha256"] for body in run.entries("handoff.completed")] == [reported["sha256"]]
    assert run.entries("run.closed")[0]["outcome"] == "completed"
    latest = workspace / ".artifacts" / "performance" / "latest"
    assert latest.is_symlink() and latest.resolve().name == run.cycle().run
    manifest = json.loads((latest / "performance-report-manifest.json").read_bytes())
    assert manifest["predicate"]["run"]["run_id"] == "manual__1"


@pytest.mark.usefixtures("complete")
def test_a_handoff_that_is_retried_happens_once(run: Any, reported: dict[str, Any]) -> None:
    """The same entries, the same report."""
    assert handed(run) == handed(run, try_number=2)
    assert len(run.entries("handoff.completed")) == len(run.entries("run.closed")) == len(run.entries("announce")) == 1


@pytest.mark.usefixtures("complete")
def test_a_cycle_that_is_not_handed_off_is_not_the_latest(run: Any, other_run: Any, workspace: Path, reported: dict[str, Any]) -> None:
    """A new run that is only opened leaves the completed one where the next cycle looks for it."""
    handed(run)
    other_run.open()
    assert (workspace / ".artifacts" / "performance" / "latest").resolve().name == run.cycle().run


@pytest.mark.usefixtures("complete")
def test_a_report_compiled_after_the_handoff_is_not_handed_off(run: Any, reported: dict[str, Any]) -> None:
    """The last guard then fails the run."""
    from perfproof_airflow.gate import handed_off

    handed(run)
    run.round = 1
    run.publish("PERFORMANCE-REPORT.md", "# Another report\n")
    assert not handed_off(run.cycle())


def test_a_handoff_without_a_report_says_what_to_clear(run: Any, monkeypatch: pytest.MonkeyPatch, complete: None) -> None:
    """Nothing is closed."""
    with pytest.raises(EvidenceError, match=r"EVI-520 PERFORMANCE-REPORT\.md"):
        handed(run)
    assert run.entries("run.closed") == []


@pytest.mark.usefixtures("complete")
def test_a_handoff_is_signed_to_its_last_entry(
    run: Any, workspace: Path, reported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a key; a tail that is cut later is then missed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    connection = {"conn_type": "generic", "login": "k1", "password": pem}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SIGNING", json.dumps(connection))
    handed(run)
    size, _ = run.cycle().store.head()
    signed = workspace / ".artifacts" / "performance" / "latest" / "checkpoints" / f"{size - 1:08d}.dsse.json"
    assert signed.is_file()
