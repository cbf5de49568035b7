"""Journeys as a task sends them: the file that was reviewed, authorized, logged, and every figure from the kept rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.errors import ApprovalError, LoadError
from perfproof.load.journeys import JourneyPlan
from perfproof.load.rows import make_rows, write_rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof_airflow import load_steps
from perfproof_airflow.hooks.load import LoadRun
from perfproof_airflow.load_steps import run_journeys
from perfproof_airflow.phases.diagnostics import name_scenarios

JOURNEYS = "evidence/load-journeys.json"
FILE = b"from locust import HttpUser\n"


class Engine:
    """Stands for the engine's process: 100 requests, one every tenth of a second."""

    def __init__(self) -> None:
        self.plans: list[JourneyPlan] = []
        self.files: list[bytes | None] = []

    def __call__(self, workdir: Any) -> Engine:
        return self

    def run(self, plan: JourneyPlan, *, injections: Any = (), locustfile: bytes | None = None) -> LoadRun:
        self.plans.append(plan)
        self.files.append(locustfile)
        start = [i / 10 for i in range(100)]
        rows = make_rows(intended_start=start, start=start, end=[s + 0.02 for s in start], status=[200] * 100, transaction=["GET /a"] * 100)
        summary = GeneratorSummary(
            outcome=Outcome.COMPLETED, reason=None, started_at="2025-02-16T14:00:00Z", seconds=plan.duration, cpu_percent=20.0, planned=100,
            sent=100, dropped=0, build="b1", build_after="b1", plan_sha256=plan.digest, generator="test",
        )  # fmt: skip
        return LoadRun(write_rows(rows), summary, ())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """No process is started."""
    made = Engine()
    monkeypatch.setattr(load_steps, "LoadHook", made)
    return made


@pytest.fixture
def workspace(workspace: Path) -> Path:
    """The demo's protocol file with journeys, and their file."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["load"]["max_tests"] += 1
    document["load"]["profiles"]["demo"]["journeys"] = {
        "file": "journeys/shop.py", "sha256": hashlib.sha256(FILE).hexdigest(), "users": 5, "spawn_rate": 5, "seconds": 8, "max_rate": 20,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))
    (workspace / "journeys").mkdir()
    (workspace / "journeys" / "shop.py").write_bytes(FILE)
    return workspace


def send(run: Any) -> Any:
    """The scenario as its task runs it."""
    return run_journeys(run.cycle("diagnostics.run_load_tests", map_index=3), side="baseline", name=JOURNEYS)


def test_a_profile_with_journeys_has_a_scenario_more(run: Any) -> None:
    """Beside those of the specification."""
    assert run.call(name_scenarios, "diagnostics.name_scenarios") == ["peak", "stress", "failure", "journeys"]


def test_the_file_and_the_rows_are_evidence_beside_the_document(authorized: Any, engine: Engine) -> None:
    """The engine got exactly the file that the protocol file names; the log has the plan before and the outcome after it."""
    document = authorized.cycle().document(send(authorized))
    assert engine.files == [FILE]
    assert document["file"]["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert {document["file"]["name"], document["rows"]["name"]} <= set(authorized.live())
    assert document["model"] == "closed"
    assert document["requests"] == 80
    started, finished = authorized.entries("loadtest.started")[0], authorized.entries("loadtest.finished")[0]
    assert started["plan"] == engine.plans[0].document()
    assert (started["scenario"], finished["outcome"]) == ("journeys", "completed")


def test_a_file_that_was_changed_since_is_not_run(authorized: Any, engine: Engine, workspace: Path) -> None:
    """What the SRE lead authorized is another file."""
    (workspace / "journeys" / "shop.py").write_bytes(FILE + b"# more\n")
    with pytest.raises(LoadError) as caught:
        send(authorized)
    assert caught.value.code == "LOD-833"
    assert engine.plans == []
    assert authorized.entries("loadtest.started") == []


def test_without_an_authorization_no_journey_is_sent(run: Any, engine: Engine) -> None:
    """Not even logged as started."""
    run.publish("prerequisites.json", {"status": "ok"})
    with pytest.raises(ApprovalError):
        send(run)
    assert engine.plans == []
    assert run.entries("loadtest.started") == []
