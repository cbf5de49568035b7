"""load-test-results.json: statuses and bottlenecks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof.config import LoadProfile, LoadTargets, Peak, Protocol
from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.results import Status, check_statuses, load_test_results, status
from perfproof.load.rows import Rows
from perfproof.load.summary import GeneratorSummary
from perfproof.load.verdict import summarise
from perfproof.telemetry import Direction, document_bytes

NOW = datetime(2025, 2, 16, 15, 0, tzinfo=UTC)
SPEC_SAMPLE = json.loads("""
{"throughput": {"target": 1000, "actual": 950, "unit": "req/s", "status": "met"},
 "latency": {"p50": 250, "p95": 520, "p99": 980, "unit": "ms", "status": "breached"},
 "error_rate": {"target": 0.5, "actual": 2.1, "unit": "percent", "status": "breached"}}
""")
SPEC_TARGETS = LoadTargets(p50_ms=300, p95_ms=500, p99_ms=1000, error_rate_percent=0.5)


@pytest.mark.parametrize(
    ("target", "actual", "direction", "tolerance", "expected"),
    [
        (1000, 950, Direction.HIGHER, 0.05, Status.MET),
        (1000, 949.9, Direction.HIGHER, 0.05, Status.BREACHED),
        (1000, 950, Direction.HIGHER, 0.0, Status.BREACHED),
        (1000, 1000, Direction.HIGHER, 0.0, Status.MET),
        (500, 520, Direction.LOWER, 0.0, Status.BREACHED),
        (500, 500, Direction.LOWER, 0.0, Status.MET),
        (0.5, 2.1, Direction.LOWER, 0.0, Status.BREACHED),
        (0, 0, Direction.LOWER, 0.0, Status.MET),
        (500, None, Direction.LOWER, 0.0, Status.INVALID),
        (500, float("nan"), Direction.LOWER, 0.0, Status.INVALID),
        (500, float("-inf"), Direction.LOWER, 0.0, Status.INVALID),
    ],
)
def test_a_status_is_the_figure_against_its_target(
    target: float, actual: float | None, direction: Direction, tolerance: float, expected: Status
) -> None:
    """950 of 1000 is met with the default tolerance, exactly at the bound; no figure is neither met nor breached."""
    assert status(target, actual=actual, direction=direction, tolerance=tolerance) is expected


def test_the_protocol_s_sample_says_what_its_figures_give() -> None:
    """With the default tolerance it is accepted as it stands."""
    check_statuses(SPEC_SAMPLE, targets=SPEC_TARGETS)


@pytest.mark.parametrize(
    ("part", "declared", "tolerance"), [("throughput", "met", 0.0), ("latency", "met", 0.05), ("error_rate", "met", 0.05)]
)
def test_a_declared_status_that_the_figures_do_not_give_is_refused(part: str, declared: str, tolerance: float) -> None:
    """Calling 950 of 1000 met without tolerance, or a breached figure met."""
    sample = json.loads(json.dumps(SPEC_SAMPLE))
    sample[part]["status"] = declared
    with pytest.raises(LoadError) as caught:
        check_statuses(sample, targets=replace(SPEC_TARGETS, throughput_tolerance=tolerance))
    assert caught.value.code == "LOD-502"


@pytest.fixture
def profile(demo: Protocol) -> LoadProfile:
    """The demo's profile with the rate of `plan`."""
    return replace(demo.load.profiles["demo"], peak=Peak(40, 10, 1))


@pytest.fixture
def tested(plan: LoadPlan, rows_of: Callable[..., Rows], summary_of: Callable[..., GeneratorSummary]) -> Callable[..., dict[str, Any]]:
    """Makes the document of a scenario."""

    def make(scenario: Scenario = Scenario.PEAK, fault: Any = None, stages: tuple[Stage, ...] | None = None, **rows: Any) -> dict[str, Any]:
        own = replace(plan, scenario=scenario, stages=stages or plan.stages)
        return summarise(
            rows_of(own, **rows),
            plan=own,
            summary=summary_of(own),
            service="shop",
            endpoint="baseline",
            rows_reference={"name": f"evidence/load-{scenario}.csv.gz", "sha256": "0" * 64},
            fault=fault,
        )

    return make


def test_the_peak_stands_on_the_top_level_in_the_shape_of_the_sample(tested: Callable[..., dict[str, Any]], profile: LoadProfile) -> None:
    """Its keys come first and as in the protocol; every scenario is kept below, and the document is JSON."""
    stress = tested(Scenario.STRESS, stages=(Stage(20, 4), Stage(40, 4)))
    document = load_test_results([stress, tested()], profile=profile, now=NOW, derived_from=[{"name": "x", "sha256": "1"}])
    assert list(document)[:4] == ["test_date", "test_scenario", "results", "bottlenecks"]
    assert document["test_scenario"] == "peak_load"
    for part, sample in SPEC_SAMPLE.items():
        assert set(sample) <= set(document["results"][part])
    assert document["results"]["throughput"]["target"] == 40
    assert {document["results"][part]["status"] for part in SPEC_SAMPLE} == {"met"}
    assert [s["scenario"] for s in document["scenarios"]] == ["peak", "stress"]
    assert document["bottlenecks"] == []
    check_statuses(document["results"], targets=profile.targets)
    document_bytes(document)


def test_a_breached_target_is_a_bottleneck_and_names_its_transaction(
    plan: LoadPlan, tested: Callable[..., dict[str, Any]], profile: LoadProfile
) -> None:
    """p95 above its limit by far is of high severity; the slower transaction is named."""
    document = load_test_results([tested(latency_ms=lambda _: 600)], profile=profile, now=NOW, derived_from=[])
    assert document["results"]["latency"]["status"] == "breached"
    assert document["results"]["throughput"]["status"] == "met"
    p95 = next(b for b in document["bottlenecks"] if "p95" in b["issue"])
    assert p95["service"] == "shop"
    assert p95["severity"] == "high"
    assert p95["transaction"] in ("orders", "quote")


def test_an_invalid_peak_is_neither_met_nor_breached(tested: Callable[..., dict[str, Any]], profile: LoadProfile) -> None:
    """And it blames nobody."""
    document = load_test_results([tested(late_ms=40, latency_ms=lambda _: 300)], profile=profile, now=NOW, derived_from=[])
    assert not document["valid"]
    assert {document["results"][part]["status"] for part in SPEC_SAMPLE} == {"invalid"}
    assert document["bottlenecks"] == []


def test_a_fault_that_was_not_survived_is_a_bottleneck(tested: Callable[..., dict[str, Any]], profile: LoadProfile) -> None:
    """The failure scenario speaks through its recovery."""
    fault = {
        "fault": "terminate_database_connections",
        "recovered": False,
        "recovered_after_seconds": None,
        "recover_within_seconds": 4,
    }
    document = load_test_results([tested(), tested(Scenario.FAILURE, fault=fault)], profile=profile, now=NOW, derived_from=[])
    assert any("did not recover" in b["issue"] for b in document["bottlenecks"])


def test_results_without_a_peak_are_refused(tested: Callable[..., dict[str, Any]], profile: LoadProfile) -> None:
    """They would be about something else."""
    with pytest.raises(LoadError) as caught:
        load_test_results([tested(Scenario.FAILURE)], profile=profile, now=NOW, derived_from=[])
    assert caught.value.code == "LOD-501"
