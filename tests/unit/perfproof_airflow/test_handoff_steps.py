"""The handoff as the next protocol gets it: a package that verifies, written whole, the same again; and an event that names it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from perfproof.evidence.verify import verify
from perfproof.telemetry import sha256_hex
from perfproof_airflow import governance_steps, handoff_steps
from perfproof_airflow.handoff_steps import deliver_package
from perfproof_airflow.phases import governance

OUTBOX = Path(".demo") / "outbox" / "protocol-22"


@pytest.fixture
def ready(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run whose checklist and approval are complete."""
    monkeypatch.setattr(governance_steps, "verified_approvals", lambda cycle, step: [])
    monkeypatch.setattr("perfproof_airflow.gate.handoff_state", lambda cycle: None)
    monkeypatch.setattr("perfproof.handoff.require_complete", lambda state: None)
    run.publish("PERFORMANCE-REPORT.md", "# Report\n")
    report = {
        "service": "shop",
        "target_metric": "p95",
        "improvement": {"percentage": 28.9},
        "status": "pass",
        "optimizations": ["OPT-001"],
    }
    run.publish("optimization-validation-report.json", report)
    return run


def handed(run: Any, *, try_number: int = 1) -> dict[str, Any]:
    run.call(governance.hand_off, "governance.hand_off", try_number=try_number)
    event: dict[str, Any] = run.outlet_events.by_name["perfproof_handoff"].extra
    return event


def test_the_event_names_run_manifest_improvement_assurance_and_package(ready: Any, workspace: Path) -> None:
    """Whoever listens needs no access to the evidence to know what was handed off, and has the digests to check it."""
    event = handed(ready)
    cycle = ready.cycle()
    assert (event["run"], event["protocol"], event["to"]) == (cycle.run, "demo", "Protocol 22")
    assert event["manifest"] == {name: cycle.reference("performance-report-manifest.json")[name] for name in ("name", "sha256")}
    assert (event["improvement"]["percentage"], event["improvement"]["status"], event["assurance"]) == (28.9, "pass", "A0")
    assert event["package"]["name"] == f"{OUTBOX}/{cycle.run}/{cycle.run}.zip"
    assert event["package"]["sha256"] == sha256_hex((workspace / event["package"]["name"]).read_bytes())
    assert event["log_head"] == cycle.store.head()[1]


def test_the_package_verifies_like_the_cycle(ready: Any, workspace: Path, tmp_path: Path) -> None:
    """Finding for finding: this one is without most artifacts, and the package says so as the original does."""
    event = handed(ready)
    with zipfile.ZipFile(workspace / event["package"]["name"]) as package:
        package.extractall(tmp_path / "there")
    there, here = verify(tmp_path / "there" / event["run"]), verify(workspace / ".artifacts" / "performance" / event["run"])
    assert there == here and there.figures["artifacts"] == 3


def test_a_retry_delivers_the_same_and_says_the_same(ready: Any, workspace: Path) -> None:
    """Also when the first try died between closing and delivering."""
    first = handed(ready)
    path = workspace / first["package"]["name"]
    data = path.read_bytes()
    path.unlink()
    assert handed(ready, try_number=2) == first
    assert path.read_bytes() == data
    assert [child.name for child in path.parent.iterdir()] == [path.name]


def test_a_package_that_cannot_be_written_leaves_nothing_half(ready: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the log stays closed: the error is for Airflow's retries."""

    def full(stream: Any, store: Any) -> None:
        stream.write(b"PK")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(handoff_steps, "write_package", full)
        with pytest.raises(OSError, match="No space"):
            handed(ready)
    assert list((workspace / OUTBOX / ready.cycle().run).iterdir()) == []
    assert ready.entries("error") == [] and len(ready.entries("run.closed")) == 1
    assert handed(ready, try_number=2)["package"] is not None


def test_changed_evidence_is_no_halt_after_the_closing(ready: Any, workspace: Path) -> None:
    """A halt would add an entry, and the closed log would be open again."""
    handed(ready)
    sha256 = ready.cycle().reference("PERFORMANCE-REPORT.md")["sha256"]
    content = workspace / ".artifacts" / "performance" / ready.cycle().run / "objects" / "sha256" / sha256
    content.chmod(0o644)
    content.write_bytes(b"other")
    with pytest.raises(AirflowException, match="EVI-606"):
        ready.within("governance.hand_off", lambda: handoff_steps.hand_over(ready.cycle("governance.hand_off")))
    assert ready.entries("error") == []


def test_a_recipient_without_a_directory_gets_the_event_alone(ready: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the next protocol is told through a channel."""
    from dataclasses import replace

    handed(ready)
    cycle = ready.cycle()
    distribution = cycle.protocol.distribution
    nowhere = replace(distribution, next_protocol=replace(distribution.next_protocol, directory=None))
    changed = replace(cycle, protocol=replace(cycle.protocol, distribution=nowhere))
    assert deliver_package(changed) is None
    assert handoff_steps.handoff_event(changed, package=None)["package"] is None


def test_the_task_updates_the_asset_of_the_handoff() -> None:
    """Another Dag can be scheduled on it."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(Path(__file__).resolve().parents[3] / "dags" / "performance_optimization.py").dags["performance_optimization"]
    assert [outlet.name for outlet in dag.get_task("governance.hand_off").outlets] == ["perfproof_handoff"]
