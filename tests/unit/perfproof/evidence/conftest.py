"""A finished run on disk, made the way the phases make one, and small runs to write into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.artifacts import Artifact
from perfproof.evidence import Actor, Attempt, EvidenceStore, LocalBackend, MemoryBackend, Reference, idempotency
from perfproof.evidence.manifest import build_manifest
from perfproof.evidence.views import close_run
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
ACTOR = Actor(kind="task", id="a_task", auth="A1")
ATTEMPT = Attempt(dag_id="performance_optimization", task_id="a_task", map_index=-1, try_number=1, ti_id="ti-1")
GENESIS = {"dag_id": "performance_optimization", "run_id": "manual__1", "schema_version": 1}
RUN = run_key("performance_optimization", "manual__1")


@pytest.fixture
def now() -> datetime:
    """The moment at which everything in these tests happens."""
    return NOW


@pytest.fixture
def actor() -> Actor:
    """Who writes in these tests."""
    return ACTOR


@pytest.fixture
def memory_store() -> EvidenceStore:
    """An open run in memory."""
    return _opened(EvidenceStore(MemoryBackend(), RUN))


@pytest.fixture
def disk_store(tmp_path: Path) -> EvidenceStore:
    """An open run on disk."""
    return _opened(EvidenceStore(LocalBackend(tmp_path / "root"), RUN))


@pytest.fixture
def publish(now: datetime, actor: Actor) -> Callable[..., Reference]:
    """Publishes text under a name in a round."""

    def _publish(store: EvidenceStore, name: str, text: str, *, round: int = 0, inputs: tuple[Reference, ...] = ()) -> Reference:  # noqa: A002
        idem = idempotency("artifact.published", name, round, [])
        return store.publish(name, text.encode(), idem=idem, time=now, actor=actor, attempt=ATTEMPT, inputs=inputs)

    return _publish


@pytest.fixture
def note(now: datetime, actor: Actor) -> Callable[..., Any]:
    """Appends an entry of a type; the step makes it one piece of work."""

    def _note(store: EvidenceStore, type_: str, body: dict[str, Any], *, step: str = "note") -> Any:
        return store.append(type=type_, body=body, idem=idempotency(type_, step, 0, []), time=now, actor=actor)

    return _note


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    _write_finished_run(_opened(EvidenceStore(LocalBackend(root), RUN)))
    return root / RUN


@pytest.fixture
def finished_run(_finished: Path, tmp_path: Path) -> Path:
    """A copy, under another name, of the directory of a run that was closed."""
    return Path(shutil.copytree(_finished, tmp_path / "a copy"))


def _opened(store: EvidenceStore) -> EvidenceStore:
    store.open_run(genesis=GENESIS, time=NOW, actor=ACTOR)
    return store


def _write_finished_run(store: EvidenceStore) -> None:
    def put(name: str, document: Any, *inputs: Reference) -> Reference:
        data = document.encode() if isinstance(document, str) else document_bytes(document)
        idem = idempotency("artifact.published", name, 0, [])
        return store.publish(name, data, idem=idem, time=NOW, actor=ACTOR, attempt=ATTEMPT, inputs=inputs)

    def cite(reference: Reference) -> dict[str, str]:
        return {"name": reference.name, "sha256": reference.sha256}

    def say(type_: str, step: str, body: dict[str, Any]) -> None:
        store.append(type=type_, body=body, idem=idempotency(type_, step, 0, []), time=NOW, actor=ACTOR, attempt=ATTEMPT)

    def judge(gate: int, *evidence: Reference) -> None:
        cited = [cite(reference) for reference in evidence]
        result = put(f"gate-{gate}-result.json", {"gate": gate, "outcome": "PASS", "evidence": cited})
        say("gate.evaluated", f"gate_{gate}", {"gate": gate, "outcome": "PASS", "result": cite(result), "evidence": cited})

    intake = put(Artifact.INTAKE_REPORT, {"report_date": "2025-02-16T10:00:00Z"})
    baseline = put("baseline-metrics.json", {"cells": []})
    table = put(Artifact.BASELINE_CSV, "metric_name,service,value,unit,collection_method,timestamp\n", baseline)
    hypotheses = put(Artifact.HYPOTHESIS_LOG, "# Hypotheses\n", baseline)
    judge(1, intake, table, hypotheses)
    profile = put(Artifact.PROFILING_REPORT, "# Profiles\n")
    put("evidence/profile-checkout.json", {"service": "checkout"})
    load = put(Artifact.LOAD_TEST_RESULTS, {"test_scenario": "peak_load"})
    capacity = put(Artifact.CAPACITY_ANALYSIS, "# Capacity\n")
    judge(2, profile, load, capacity)
    plan = put(Artifact.OPTIMIZATION_PLAN, {"baseline": cite(baseline), "tasks": []}, baseline)
    person = {"id": "olivia", "name": "Olivia Oduya"}
    approval = {"request_id": "r-1", "step": "plan", "role": "product_owner", "person": person, "assurance": "A1", "evidence": [cite(plan)]}
    say("approval.granted", "plan", approval)
    traces = {"baseline": cite(baseline), "plan": cite(plan)}
    validation = put(Artifact.VALIDATION_REPORT, {"status": "pass", "traces_to": traces}, baseline, plan)
    instrumentation = put(Artifact.INSTRUMENTATION_LOG, "# Instrumentation\n")
    judge(3, validation, instrumentation)
    slo = put(Artifact.SLO_UPDATE_RECORD, {"updates": [], "traces_to": {"validation": cite(validation)}}, validation)
    report = put(Artifact.PERFORMANCE_REPORT, "# Report\n", validation)
    notes = put(Artifact.IMPROVEMENT_NOTES, "# Notes\n")
    judge(4, slo, report, notes)
    put(Artifact.MANIFEST, build_manifest(store, time=NOW))
    close_run(store, body={"outcome": "success"}, idem=idempotency("run.closed", "close", 0, []), time=NOW, actor=ACTOR)
