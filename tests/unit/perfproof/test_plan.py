"""The optimization plan: which optimizations the findings support, their order, their traces."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Cause, Dependency, Optimization, load_protocol
from perfproof.errors import ArtifactError, ParameterError
from perfproof.findings import findings_of
from perfproof.plan import NO_FINDING, define_plan

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 15, tzinfo=UTC)
REFERENCES = {
    "baseline": {"name": "baseline-metrics.json", "sha256": "c" * 64},
    "query-plans": {"name": "evidence/query-plans.json", "sha256": "d" * 64},
    "profile-shop": {"name": "evidence/profile-shop.json", "sha256": "e" * 64},
}
CELLS = [{"metric_name": "orders_latency_p95", "service": "shop", "kind": "latency", "value": 450.0, "unit": "ms"}]
HYPOTHESES = {
    "hypotheses": [
        {"id": "HYP-001", "service": "shop", "cause": "code_hot_path", "metric": "orders_latency_p95", "status": "refuted"},
        {"id": "HYP-002", "service": "shop", "cause": "database_contention", "metric": "orders_latency_p95", "status": "confirmed"},
    ]
}


def demo() -> tuple[Optimization, ...]:
    return load_protocol(DEMO.read_bytes(), where="demo").optimizations


def profile(share: float = 45.0) -> dict[str, Any]:
    names = [("serve (server.py)", 100.0), ("quote (shop.py)", share), ("compile (re/__init__.py)", share - 2)]
    return {
        "service": "shop",
        "status": "ok",
        "reason": None,
        "hot_functions": [],
        "hot_paths": [{"frames": [{"function": n, "total_percent": s} for n, s in names], "self_percent": share - 2}],
    }


def plans(*kinds: tuple[str, float], database: float | None = None) -> dict[str, Any]:
    statements = [
        {
            "statement": f"select {kind}",
            "share_percent": share,
            "calls_share_percent": share,
            "analyzed": True,
            "findings": [{"kind": kind, "text": f"{kind} seen"}],
        }
        for kind, share in kinds
    ]
    own = [{"kind": "database_time", "text": "most", "share_percent": database}] if database else []
    return {"services": [{"service": "shop", "statements": statements, "findings": own}]}


BOTH = plans(("sequential_scan", 60.0), ("repeated_statement", 35.0))


def planned(
    *,
    optimizations: tuple[Optimization, ...] | None = None,
    considered: tuple[str, ...] = (),
    profiles: tuple[dict[str, Any], ...] = (),
    found: dict[str, Any] | None = None,
    hypotheses: dict[str, Any] | None = None,
    cells: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return define_plan(
        optimizations=demo() if optimizations is None else optimizations,
        considered=considered,
        findings=findings_of(profiles, found),
        hypotheses=HYPOTHESES if hypotheses is None else hypotheses,
        target_metric="orders_latency_p95",
        baseline={"cells": CELLS if cells is None else cells},
        references=REFERENCES,
        plan_id="PLAN-1",
        now=NOW,
    )


def test_the_plan_takes_what_findings_support_in_order_of_gain() -> None:
    """Index, rules and batch are each found, the cache is not; the larger expected gain comes first."""
    plan = planned(profiles=(profile(),), found=BOTH)
    assert [(t["id"], t["priority"], t["support"]) for t in plan["tasks"]] == [
        ("OPT-001", 1, "described"),
        ("OPT-003", 2, "described"),
        ("OPT-002", 3, "described"),
    ]
    assert plan["not_planned"] == [{"id": "OPT-004", "title": "Keep order histories in memory", "reason": NO_FINDING}]
    assert plan["plan_date"] == "2025-02-16T15:00:00Z"
    assert plan["baseline"] == REFERENCES["baseline"]


def test_each_task_names_its_own_finding_and_evidence() -> None:
    """The index cites the scan, the batch the repetition, the rules the profile; each by digest."""
    tasks = {t["id"]: t for t in planned(profiles=(profile(),), found=BOTH)["tasks"]}
    assert "sequential_scan seen" in tasks["OPT-001"]["finding"]
    assert "repeated_statement seen" in tasks["OPT-002"]["finding"]
    assert "compile" in tasks["OPT-003"]["finding"]
    assert tasks["OPT-001"]["evidence"] == [REFERENCES["query-plans"]]
    assert tasks["OPT-003"]["evidence"] == [REFERENCES["profile-shop"]]


def test_a_named_optimization_without_a_finding_is_planned_and_says_so() -> None:
    """A person may choose it; the plan says plainly that no finding supports it, and puts it last."""
    plan = planned(considered=("OPT-004", "OPT-001"), found=BOTH)
    assert [t["id"] for t in plan["tasks"]] == ["OPT-001", "OPT-004"]
    assert plan["tasks"][1]["finding"] == NO_FINDING
    assert plan["tasks"][1]["evidence"] == []
    assert plan["not_planned"] == []


def test_the_gain_is_bounded_by_the_share_that_was_found() -> None:
    """A function with 18 percent of the samples cannot save 30 percent over all requests."""
    (task,) = planned(considered=("OPT-003",), profiles=(profile(18.0),))["tasks"]
    assert task["expected_gain_percent"] == 18.0
    assert task["stated_gain_percent"] == 30.0
    assert "18 percent of the CPU samples" in task["gain_basis"]
    assert task["gain_bound_percent"] == 18.0


def test_a_promise_above_the_bound_is_a_finding_and_no_error() -> None:
    """Whoever approves the plan reads it beside the finding; a promise within its bound has none."""
    (task,) = planned(considered=("OPT-003",), profiles=(profile(18.0),))["tasks"]
    assert task["gain_finding"] == "promises 30 percent, more than its share allows: at most 18 percent"
    assert task["finding"].endswith(f"; it {task['gain_finding']}")
    (kept,) = planned(considered=("OPT-003",), profiles=(profile(45.0),))["tasks"]
    assert (kept["gain_bound_percent"], kept["gain_finding"], kept["expected_gain_percent"]) == (45.0, None, 30.0)


def test_a_rate_is_bounded_by_what_is_left_of_the_time() -> None:
    """Without 18 percent of the time a rate rises by 18/82; that of a latency falls by 18."""
    cells = [CELLS[0] | {"direction": "higher_is_better"}]
    (task,) = planned(considered=("OPT-003",), profiles=(profile(18.0),), cells=cells)["tasks"]
    assert task["gain_bound_percent"] == task["expected_gain_percent"] == 21.95
    assert "the gain of a rate by 21.95 percent" in task["gain_basis"]


def test_statements_that_one_optimization_serves_bound_it_together() -> None:
    """An index that two statements lack can save what both take: 14 and 11 percent are 25."""
    found = plans(("sequential_scan", 14.0), ("sequential_scan", 11.0))
    found["services"][0]["statements"][1]["statement"] = "another"
    (task,) = planned(considered=("OPT-001",), found=found)["tasks"]
    assert task["expected_gain_percent"] == 25.0
    assert "(and 1 more)" in task["finding"]


def test_the_cache_is_supported_when_the_database_takes_most_of_the_time() -> None:
    """Its description asks for the database's share of the requests' time."""
    (task,) = planned(considered=("OPT-004",), found=plans(database=72.0))["tasks"]
    assert (task["support"], task["expected_gain_percent"]) == ("described", 50.0)


def test_a_repeated_statement_bounds_nothing() -> None:
    """Its round trips cost time outside of the database too, so the owner's expectation stands."""
    (task,) = planned(considered=("OPT-002",), found=plans(("repeated_statement", 8.0)))["tasks"]
    assert task["expected_gain_percent"] == 20.0
    assert "no share is known" in task["gain_basis"]


def test_a_minor_finding_carries_no_optimization() -> None:
    """A scan in a statement with 2 percent of the database's time supports nothing."""
    (task,) = planned(considered=("OPT-001",), found=plans(("sequential_scan", 2.0)))["tasks"]
    assert task["finding"] == NO_FINDING


def test_a_finding_of_another_service_or_cause_supports_nothing() -> None:
    """A hot path does not speak for an index."""
    (task,) = planned(considered=("OPT-001",), profiles=(profile(),))["tasks"]
    assert task["finding"] == NO_FINDING


def test_a_description_that_names_no_known_finding_falls_back_to_the_cause() -> None:
    """The heaviest confirming finding of the same cause is cited, and whether it is the right one is left to the owner."""
    vague = dataclasses.replace(demo()[0], confirms="We shall see.")
    (task,) = planned(optimizations=(vague,), found=BOTH)["tasks"]
    assert task["support"] == "same_cause"
    assert "for its owner to say" in task["finding"]


def test_an_unrelated_finding_of_the_same_cause_bounds_no_gain() -> None:
    """Its share is not that of what the optimization changes."""
    vague = dataclasses.replace(demo()[2], confirms="We shall see.")
    (task,) = planned(optimizations=(vague,), profiles=(profile(18.0),))["tasks"]
    assert (task["support"], task["expected_gain_percent"]) == ("same_cause", 30.0)


def test_a_function_that_the_optimization_names_supports_it() -> None:
    """Also where no path is large enough: then its share bounds the gain."""
    names = {"function": "compile (re/__init__.py)", "self_percent": 2.0, "total_percent": 12.0}
    (task,) = planned(considered=("OPT-003",), profiles=({**profile(), "hot_paths": [], "hot_functions": [names]},))["tasks"]
    assert (task["support"], task["expected_gain_percent"]) == ("described", 12.0)


def test_tasks_carry_owner_risk_hypothesis_and_baseline() -> None:
    """Everything that the spec asks of a task, and no hypothesis that was refuted."""
    tasks = {t["id"]: t for t in planned(profiles=(profile(),), found=BOTH)["tasks"]}
    task = tasks["OPT-001"]
    assert (task["owner"], task["risk"], task["cause"]) == ("demo-engineer", "low", "database_contention")
    assert task["risk_notes"]
    assert task["hypothesis"] == "HYP-002"
    assert (task["baseline_metric"], task["baseline_value"], task["baseline_unit"]) == ("orders_latency_p95", 450.0, "ms")
    assert tasks["OPT-003"]["hypothesis"] is None


def test_unresolved_dependencies_are_listed() -> None:
    """They block the approval, so they stand at the top level as well."""
    first = dataclasses.replace(demo()[0], dependencies=(Dependency("disk space", False), Dependency("window", True)))
    plan = planned(optimizations=(first,), found=BOTH)
    assert plan["unresolved_dependencies"] == [{"task": "OPT-001", "dependency": "disk space"}]
    assert plan["tasks"][0]["dependencies"] == [{"name": "disk space", "resolved": False}, {"name": "window", "resolved": True}]


def test_no_supported_optimization_is_an_error() -> None:
    """An empty plan is not a plan; the error says how to go on."""
    with pytest.raises(ParameterError, match="no optimization is supported"):
        planned()


def test_an_unknown_id_is_an_error() -> None:
    """A typing slip does not shorten the plan in silence."""
    with pytest.raises(ParameterError, match="OPT-999"):
        planned(considered=("OPT-001", "OPT-999"), found=BOTH)


@pytest.mark.parametrize("cells", [[], [{**CELLS[0], "value": None}], [{**CELLS[0], "service": "other"}]])
def test_an_optimization_without_a_baseline_cannot_be_planned(cells: list[dict[str, Any]]) -> None:
    """Every optimization traces to a baseline metric that has a value."""
    with pytest.raises(ArtifactError, match="no baseline metric"):
        planned(found=BOTH, cells=cells)


def test_an_inconclusive_profile_supports_nothing() -> None:
    """Its hot paths are not findings."""
    (task,) = planned(considered=("OPT-003",), profiles=({**profile(), "status": "inconclusive"},))["tasks"]
    assert task["finding"] == NO_FINDING


def test_equal_gains_go_by_risk_then_id() -> None:
    """The order never depends on the order in the file."""
    one, two = demo()[0], dataclasses.replace(demo()[0], id="OPT-009")
    risky = dataclasses.replace(demo()[3], id="OPT-000", confirms=one.confirms, expected_gain_percent=40.0, cause=Cause.DATABASE_CONTENTION)
    plan = planned(optimizations=(two, risky, one), found=BOTH)
    assert [t["id"] for t in plan["tasks"]] == ["OPT-001", "OPT-009", "OPT-000"]
