"""User journeys: what a protocol file may ask for, what is signed, and what their figures are not used for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import LoadProfile, Protocol, load_protocol
from perfproof.errors import ConfigError, LoadError
from perfproof.gates.diagnostics import scenario_findings
from perfproof.load.authorization import authorization_document, check_authorized, read_authorization
from perfproof.load.journey_results import LIMITATIONS, summarise_journeys
from perfproof.load.journeys import JourneyPlan, journey_plan_for
from perfproof.load.plan import Scenario, plan_for
from perfproof.load.results import load_test_results
from perfproof.load.rows import NoAnswer, Rows, make_rows, read_rows, write_rows
from perfproof.load.summary import GENERATOR, GeneratorSummary, Outcome
from perfproof.report.diagnosis import _scenario

DEMO = Path(__file__).resolve().parents[4] / "include" / "protocols" / "demo.yaml"
JOURNEYS = {"file": "journeys/shop.py", "sha256": "ab" * 32, "users": 20, "spawn_rate": 10, "seconds": 10, "max_rate": 50}
NOW = datetime(2026, 2, 16, 14, tzinfo=UTC)


def read(**changes: Any) -> Protocol:
    """The demo's file with journeys in its profile."""
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    document["load"]["profiles"]["demo"]["journeys"] = {**JOURNEYS, **changes}
    document["load"]["max_tests"] += 1
    return load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")


def plan_of(protocol: Protocol) -> JourneyPlan:
    """The plan against the demo's baseline."""
    service = protocol.services[0]
    return journey_plan_for(
        service=service,
        endpoint=service.endpoints.baseline,
        environment=protocol.environment,
        profile=protocol.load.profiles["demo"],
        load=protocol.load,
    )


def test_journeys_count_as_a_test_and_their_length_as_load(demo: Protocol) -> None:
    """With the time until all users are there."""
    profile, without = read().load.profiles["demo"], demo.load.profiles["demo"]
    assert profile.most_tests(services=1) == without.most_tests(services=1) + 1
    assert profile.most_seconds(services=1) == without.most_seconds(services=1) + 2 + 10


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"file": "../shop.py"}, "CFG-146"),
        ({"file": "/etc/shop.py"}, "CFG-146"),
        ({"file": "shop.sh"}, "CFG-831"),
        ({"sha256": "AB" * 32}, "CFG-831"),
        ({"sha256": ""}, "CFG-831"),
        ({"users": 0}, "CFG-830"),
        ({"users": 1001}, "CFG-830"),
        ({"spawn_rate": 0}, "CFG-830"),
        ({"spawn_rate": 0.001}, "CFG-830"),
        ({"seconds": 0}, "CFG-830"),
        ({"seconds": 1e9}, "CFG-830"),
        ({"max_rate": 0}, "CFG-830"),
        ({"max_rate": 1e6}, "CFG-830"),
        ({"processes": -1}, "CFG-830"),
        ({"processes": 0}, "CFG-830"),
        ({"processes": 21}, "CFG-830"),
        ({"remote_workers": -1}, "CFG-830"),
        ({"remote_workers": 1, "master_port": 80}, "CFG-830"),
    ],
)
def test_a_file_that_asks_for_other_journeys_is_refused(changes: dict[str, Any], code: str) -> None:
    """A path out of the workspace, a file that is not pinned, and whatever has no bound."""
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    assert caught.value.code == code


def test_what_is_signed_names_the_file_and_covers_its_rate_and_length() -> None:
    """The plan is within the authorization; above its rate, or on another target, it is not."""
    protocol = read(seconds=18, max_rate=75)
    plan = plan_of(protocol)
    shown = authorization_document(protocol.load, profile=protocol.load.profiles["demo"], now=NOW)
    assert "ab" * 32 in shown["planned"]["journeys"]
    assert "20 users" in shown["planned"]["journeys"]
    authorization = read_authorization(shown)
    assert authorization.max_duration_seconds == plan.duration == 20
    check_authorized(plan, authorization=authorization, tests_so_far=0, now=NOW)
    for changed, code in (
        (replace(plan, max_rate=authorization.max_rate + 1), "LOD-203"),
        (replace(plan, port=plan.port + 1000), "LOD-202"),
        (replace(plan, seconds=60.0), "LOD-204"),
    ):
        with pytest.raises(LoadError) as caught:
            check_authorized(changed, authorization=authorization, tests_so_far=0, now=NOW)
        assert caught.value.code == code


def test_a_plan_is_read_back_as_it_was_written() -> None:
    """With the digest that the rows are bound to."""
    plan = plan_of(read())
    assert JourneyPlan.from_document(plan.document()) == plan
    assert JourneyPlan.from_document(plan.document()).digest == plan.digest


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"host": "127.1"}, "LOD-101"),
        ({"host": "10.0.0.1"}, "LOD-102"),
        ({"port": 1}, "LOD-103"),
        ({"users": 0}, "LOD-836"),
        ({"max_rate": float("inf")}, "LOD-123"),
        ({"max_rate": float("nan")}, "LOD-123"),
        ({"seconds": float("inf")}, "LOD-123"),
        ({"seconds": 1e11}, "LOD-836"),
        ({"spawn_rate": 0.0}, "LOD-836"),
        ({"processes": -1, "remote_workers": 2}, "LOD-836"),
        ({"file_sha256": "x"}, "LOD-836"),
        ({"build_path": "//elsewhere"}, "LOD-836"),
        ({"scenario": Scenario.PEAK}, "LOD-836"),
        ({"schema_version": 2}, "LOD-836"),
    ],
)
def test_a_plan_without_bounds_is_refused(change: dict[str, Any], code: str) -> None:
    """In the engine itself, whoever wrote it."""
    plan = replace(plan_of(read()), **change)
    with pytest.raises(LoadError) as caught:
        JourneyPlan.from_document(plan.document())
    assert caught.value.code == code


def test_no_plan_of_the_open_loop_engine_is_made_of_them() -> None:
    """Neither for the scenario nor without journeys in the profile; production is refused as everywhere."""
    protocol = read()
    service, profile = protocol.services[0], protocol.load.profiles["demo"]
    made: dict[str, Any] = {
        "service": service, "endpoint": service.endpoints.baseline, "environment": protocol.environment, "load": protocol.load,
    }  # fmt: skip
    with pytest.raises(LoadError) as caught:
        plan_for(Scenario.JOURNEYS, profile=profile, seed=1, **made)
    assert caught.value.code == "LOD-832"
    with pytest.raises(LoadError) as caught:
        journey_plan_for(profile=replace(profile, journeys=None), **made)
    assert caught.value.code == "LOD-832"
    with pytest.raises(LoadError) as caught:
        journey_plan_for(profile=profile, **{**made, "environment": replace(protocol.environment, production=True)})
    assert caught.value.code == "LOD-105"


def rows_of(plan: JourneyPlan, *, status: int = 200) -> Rows:
    """100 requests before all users are there and 100 after, 5 and 50 ms long."""
    start = [i * plan.warmup_seconds / 100 for i in range(100)] + [plan.warmup_seconds + i * plan.seconds / 100 for i in range(100)]
    took = [0.005] * 100 + [0.05] * 100
    return make_rows(
        intended_start=start, start=start, end=[a + b for a, b in zip(start, took, strict=True)], status=[status] * 200,
        transaction=["GET /a", "GET =b"] * 100,
    )  # fmt: skip


def summary_for(plan: JourneyPlan, **changes: Any) -> GeneratorSummary:
    """An engine that did what the plan says."""
    made = GeneratorSummary(
        outcome=Outcome.COMPLETED, reason=None, started_at="2026-02-16T14:00:00Z", seconds=12.0, cpu_percent=20.0, planned=200, sent=200,
        dropped=0, build="b1", build_after="b1", plan_sha256=plan.digest, generator=f"{GENERATOR}, locust 2.47.0",
    )  # fmt: skip
    return replace(made, **changes)


def document(plan: JourneyPlan, rows: Rows, **changes: Any) -> dict[str, Any]:
    """The document of the test."""
    return summarise_journeys(
        rows,
        plan=plan,
        summary=summary_for(plan, **changes),
        service="shop",
        endpoint="baseline",
        rows_reference={"name": "n", "sha256": "s"},
    )


def test_what_came_before_all_users_were_there_is_not_counted() -> None:
    """And each name has figures of its own."""
    plan = plan_of(read())
    found = document(plan, rows_of(plan))
    assert found["valid"] is True
    assert found["requests"] == 100
    assert found["latency"]["p50"] == pytest.approx(50, abs=0.01)
    assert {name: one["requests"] for name, one in found["by_transaction"].items()} == {"GET /a": 50, "GET =b": 50}
    assert found["limitations"] == list(LIMITATIONS)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"outcome": Outcome.ABORTED, "reason": "p99"}, "aborted: p99"),
        ({"cpu_percent": 95.0}, "of a core"),
        ({"cpu_percent": float("nan")}, "of a core"),
        ({"build_after": "b2"}, "build changed"),
        ({"plan_sha256": "0"}, "another plan"),
    ],
)
def test_a_test_that_did_not_run_as_planned_is_invalid(changes: dict[str, Any], text: str) -> None:
    """With the reason."""
    plan = plan_of(read())
    found = document(plan, rows_of(plan), **changes)
    assert found["valid"] is False
    assert any(text in reason for reason in found["invalid_reasons"])


def test_without_a_request_nothing_is_valid() -> None:
    """No figures, and a reason."""
    plan = plan_of(read())
    found = document(plan, make_rows(intended_start=[], start=[], end=[], status=[], transaction=[]))
    assert found["valid"] is False
    assert found["latency"]["p95"] is None


def test_an_answer_that_a_journey_rejected_is_kept_in_the_rows() -> None:
    """As a status of its own that is no success."""
    plan = plan_of(read())
    rows = read_rows(write_rows(rows_of(plan, status=NoAnswer.REJECTED)), where="rows")
    assert not rows.ok.any()
    assert document(plan, rows)["statuses"] == {"rejected": 100}


def results_of(profile: LoadProfile, peak: Callable[[], dict[str, Any]], journeys: dict[str, Any]) -> dict[str, Any]:
    """`load-test-results.json` of both."""
    return load_test_results([journeys, peak()], profile=profile, now=NOW, derived_from=[])


def peak() -> dict[str, Any]:
    """The document of a peak that met everything."""
    figures = {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    return {
        "scenario": "peak", "service": "shop", "endpoint": "baseline", "build": "b1", "started_at": "2026-02-16T14:00:00Z", "seconds": 10.0,
        "requests": 400, "errors": 0, "valid": True, "invalid_reasons": [], "throughput": 40.0, "latency": dict(figures), "error_rate": 0.0,
        "upper_95": {**figures, "error_rate": 0.1}, "by_transaction": {"a": {"requests": 400, "errors": 0, **figures}}, "rows": {},
        "aborted": None,
    }  # fmt: skip


def test_no_target_is_judged_by_users_who_wait() -> None:
    """The results hold their figures and say what they are not; the report says so in its own words."""
    protocol = read()
    plan = plan_of(protocol)
    results = results_of(protocol.load.profiles["demo"], peak, document(plan, rows_of(plan)))
    entry = results["scenarios"][-1]
    assert (entry["scenario"], entry["model"], entry["limitations"]) == ("journeys", "closed", list(LIMITATIONS))
    assert "results" not in entry
    assert results["results"]["throughput"]["actual"] == 40.0
    assert not [b for b in results["bottlenecks"] if b["scenario"] == "journeys"]
    assert "not judged" in str(_scenario(entry)[0][-1])


def test_gate_2_takes_no_closed_model_for_a_peak() -> None:
    """Journeys beside the three scenarios are fine; figures of a closed model in the place of one are not a measurement."""
    protocol = read()
    plan = plan_of(protocol)
    results = results_of(protocol.load.profiles["demo"], peak, document(plan, rows_of(plan)))
    assert scenario_findings(results)[1] == []
    forged = {"scenarios": [{**results["scenarios"][0], "model": "closed"}]}
    assert "closed model" in scenario_findings(forged)[1][0]
    aborted = results_of(protocol.load.profiles["demo"], peak, document(plan, rows_of(plan), outcome=Outcome.STOPPED, reason="lever"))
    assert "journeys of shop is invalid" in scenario_findings(aborted)[1][0]
