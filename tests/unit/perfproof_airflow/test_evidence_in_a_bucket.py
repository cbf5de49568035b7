"""What tasks do differently where evidence is kept in a bucket; a backend in memory stands for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfproof.evidence import MemoryBackend
from perfproof_airflow import governance_steps, settings
from perfproof_airflow.governance_steps import complete_handoff
from perfproof_airflow.hooks.system_state import _written_directories
from perfproof_airflow.hooks.workspace import found_artifacts

BASELINE = "baseline-metrics.json"


@pytest.fixture
def bucket(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBackend:
    """Evidence below s3://, kept in memory."""
    backend = MemoryBackend()
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", "s3://evidence/team")
    monkeypatch.setattr(settings, "evidence_backend", lambda: backend)
    return backend


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle whose checklist and approval are complete."""
    monkeypatch.setattr(governance_steps, "verified_approvals", lambda cycle, step: [])
    monkeypatch.setattr("perfproof_airflow.gate.handoff_state", lambda cycle: None)
    monkeypatch.setattr("perfproof.handoff.require_complete", lambda state: None)


def test_a_cycle_is_opened_in_the_bucket_and_nothing_on_disk(bucket: MemoryBackend, run: Any, workspace: Path) -> None:
    """Log, objects and views."""
    key = run.cycle().run
    assert {name.split("/")[1] for name in bucket.names(f"{key}/")} == {"log", "objects", "evidence"}
    assert not (workspace / ".artifacts").exists()


@pytest.mark.usefixtures("complete")
def test_the_next_cycle_starts_from_the_one_that_was_handed_off(bucket: MemoryBackend, run: Any) -> None:
    """`latest` is an object; what the protocol file expects under it is read from that cycle's evidence, by digest."""
    protocol = run.cycle().protocol
    assert found_artifacts(protocol)[BASELINE].data is None
    run.publish("PERFORMANCE-REPORT.md", "# Report")
    run.publish(BASELINE, {"cells": []})
    assert found_artifacts(protocol)[BASELINE].data is None
    complete_handoff(run.cycle("governance.hand_off"))
    assert bucket.read("latest").decode() == run.cycle().run
    found = found_artifacts(protocol)[BASELINE]
    assert found.data == run.cycle().read(BASELINE)
    assert found.modified_at == run.cycle().store.live(BASELINE).moment


@pytest.mark.usefixtures("complete")
def test_a_changed_object_of_the_newest_cycle_is_an_error_and_no_absent_file(bucket: MemoryBackend, run: Any) -> None:
    """A baseline that somebody changed must not look like none."""
    run.publish("PERFORMANCE-REPORT.md", "# Report")
    reference = run.publish(BASELINE, {"cells": []})
    complete_handoff(run.cycle("governance.hand_off"))
    bucket.data[f"{run.cycle().run}/objects/sha256/{reference['sha256']}"] = b"{}"
    found = found_artifacts(run.cycle().protocol)[BASELINE]
    assert found.data is None and "EVI-606" in str(found.error)


def test_other_files_still_come_from_the_workspace(bucket: MemoryBackend, run: Any, workspace: Path) -> None:
    """Only what a cycle left is in the bucket."""
    protocol = run.cycle().protocol
    report = next(a for a in protocol.prerequisites if a.name == "DEPLOYMENT-REPORT.md")
    (workspace / report.path).parent.mkdir(parents=True, exist_ok=True)
    (workspace / report.path).write_text("# Deployments")
    assert found_artifacts(protocol)["DEPLOYMENT-REPORT.md"].data == b"# Deployments"


def test_no_directory_is_probed_for_evidence(bucket: MemoryBackend, run: Any) -> None:
    """The bucket is probed when the cycle is opened."""
    assert ".artifacts/performance" not in _written_directories(run.cycle().protocol)
