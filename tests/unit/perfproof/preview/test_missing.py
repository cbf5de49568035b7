"""What is missing: what halts the run, at which task, and what only lessens it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import load_protocol
from perfproof.parameters import read_parameters
from perfproof.prerequisites import FileFound, check_record, directory_record
from perfproof.preview import Found, preview
from perfproof.telemetry import sha256_hex

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
JOURNEYS = {"file": "journeys/shop.py", "sha256": sha256_hex(b"file"), "users": 10, "spawn_rate": 5, "seconds": 10, "max_rate": 50}


def made(found: Found | None = None, change: Callable[[dict[str, Any]], Any] = lambda document: None, **raw: Any) -> dict[str, Any]:
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    change(document)
    protocol = load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")
    return preview(protocol, read_parameters({"protocol": "demo", **raw}, protocol), requester="someone", now=NOW, found=found)


def missing(document: dict[str, Any], kind: str) -> list[tuple[str, bool, str]]:
    return [(m["name"], m["halts"], m["at"]) for m in document["missing"] if m["kind"] == kind]


def test_nothing_looked_at_is_nothing_missing_and_said_so() -> None:
    """What was not looked at is never called ready in silence."""
    document = made()
    assert document["status"] == "ready"
    assert document["missing"] == []
    for words in ("the files of the prerequisites", "whether the Connections exist", "whether the sources answer"):
        assert words in document["unchecked"]


def test_an_absent_file_halts_if_it_is_required_and_an_absent_critical_source_too() -> None:
    """The optional backlog only lessens the report."""
    document = made(Found(files={}))
    assert [name for name, halts, _ in missing(document, "artifact") if halts] == ["MONITORING-PACKAGE.zip", "DEPLOYMENT-REPORT.md"]
    assert missing(document, "source") == [
        ("incidents", True, "intake_and_baseline.collect_telemetry"),
        ("backlog", False, "intake_and_baseline.collect_telemetry"),
        ("drifts", False, "intake_and_baseline.collect_telemetry"),
    ]
    assert document["status"] == "incomplete"


def test_a_broken_optional_file_halts_as_it_does_in_the_run() -> None:
    """It may be absent, not wrong."""
    path = ".artifacts/performance/latest/performance-intake-backlog.json"
    document = made(Found(files={"performance-intake-backlog.json": FileFound(path, b"{", NOW)}))
    assert ("performance-intake-backlog.json", True, "prerequisites.verify_artifacts") in missing(document, "artifact")


def test_an_unknown_connection_halts_only_where_the_run_needs_it() -> None:
    """The candidate's database is looked into after the verdict."""
    document = made(Found(connections={}))
    assert missing(document, "connection") == [
        ("perfproof_prometheus", True, "prerequisites.verify_system_state"),
        ("perfproof_shop_baseline", True, "prerequisites.verify_system_state"),
        ("perfproof_shop_candidate", False, "optimization.compare_profiles"),
    ]
    known = dict.fromkeys(("perfproof_prometheus", "perfproof_shop_baseline", "perfproof_shop_candidate"), True)
    assert missing(made(Found(connections=known)), "connection") == []


def test_a_source_that_does_not_answer_halts_if_it_is_critical() -> None:
    """And what answered is shown with each source."""
    document = made(Found(answers={"prometheus": "refused", "access_log": "no file", "traces": None}))
    assert {(name, halts) for name, halts, _ in missing(document, "source")} == {("prometheus", True), ("access_log", False)}
    shown = {source["name"]: source["answer"] for source in document["sources"]}
    assert shown["prometheus"] == {"status": "unknown", "reason": "refused"}
    assert shown["traces"] == {"status": "ok", "reason": None}
    assert shown["monitoring"] is None


def test_a_directory_that_cannot_be_written_and_a_key_that_is_not_there_halt() -> None:
    """As verify_system_state says."""
    found = Found(
        directories=[directory_record(path=".artifacts", error="read-only")], others=[check_record(name="approval key", error="no key")]
    )
    document = made(found)
    assert missing(document, "directory") == [(".artifacts", True, "prerequisites.verify_system_state")]
    assert missing(document, "system") == [("approval key", True, "prerequisites.verify_system_state")]


@pytest.mark.parametrize(
    ("data", "error", "halts"), [(b"file", None, False), (b"other", None, True), (None, None, True), (None, "a link", True)]
)
def test_the_file_of_journeys_must_be_the_one_of_the_profile(data: bytes | None, error: str | None, halts: bool) -> None:
    """By its digest."""
    found = Found(journeys=FileFound("journeys/shop.py", data, NOW, error))
    document = made(found, lambda d: d["load"]["profiles"]["demo"].update(journeys=JOURNEYS))
    assert bool(missing(document, "file")) is halts


def test_without_a_candidate_the_run_goes_on_one_after_the_other() -> None:
    """And it is told."""
    document = made(None, lambda d: d["services"][0]["endpoints"].pop("candidate"))
    assert document["run"]["comparison"] == "one_after_the_other"
    assert missing(document, "comparison") == [("shop", False, "optimization.measure_before_implementation")]
    assert document["status"] == "ready"


def test_a_deployment_without_a_profiler_halts_if_it_is_the_baseline() -> None:
    """The candidate's profile only informs."""
    document = made(None, lambda d: [e.pop("pid_file") for e in d["services"][0]["endpoints"].values()])
    assert [(halts, at) for _, halts, at in missing(document, "profiler")] == [
        (True, "diagnostics.profile_transactions"),
        (False, "optimization.compare_profiles"),
    ]


def test_a_fault_on_the_database_needs_a_database() -> None:
    """Else the failure scenario cannot run."""

    def change(document: dict[str, Any]) -> None:
        document["environment"]["mirrors_production"].clear()
        del document["services"][0]["endpoints"]["baseline"]["database_connection"]

    assert missing(made(None, change), "load") == [("shop", True, "diagnostics.run_load_tests")]


def test_unresolved_dependencies_halt_if_the_optimization_is_surely_planned() -> None:
    """Named in the form: surely. Else only if a finding supports it."""

    def unresolved(document: dict[str, Any]) -> None:
        document["optimizations"][0]["dependencies"] = [{"name": "a maintenance window", "resolved": False}]

    at = "optimization.define_plan"
    assert missing(made(None, unresolved), "optimization") == [("OPT-001", False, at)]
    assert missing(made(None, unresolved, optimizations=["OPT-001"]), "optimization") == [("OPT-001", True, at)]
    assert missing(made(None, unresolved, optimizations=["OPT-002"]), "optimization") == []


def test_no_optimization_at_all_halts_the_plan() -> None:
    """There is nothing to plan."""
    assert missing(made(None, lambda d: d["optimizations"].clear()), "optimization") == [("shop", True, "optimization.define_plan")]


def test_a_query_with_an_unknown_placeholder_halts_the_capture() -> None:
    """The source would refuse it in phase 1."""
    document = made(None, lambda d: d["services"][0]["metrics"][0].update(query="rate($nothing)"))
    assert [(halts, at) for _, halts, at in missing(document, "source")] == [(True, "intake_and_baseline.capture_baseline")]
    assert document["queries"] == []


def test_what_halts_comes_first() -> None:
    """Whoever reads the first line knows whether the run can go on."""
    halts = [m["halts"] for m in made(Found(files={}, connections={}))["missing"]]
    assert halts == sorted(halts, reverse=True)
