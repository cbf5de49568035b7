"""Gate 2: profiled services and their traffic, load scenarios, query plans, capacity."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.gates import Outcome
from perfproof.gates.diagnostics import load_status, profiled


def test_complete_diagnostics_pass(cycle: Any) -> None:
    """Profiled, loaded with three valid scenarios, capacity documented: PASS."""
    result = cycle.gate_2()
    assert (result.outcome, result.text, result.reasons) == (Outcome.PASS, None, ())


def test_coverage_is_the_smaller_of_services_and_traffic(kit: Any) -> None:
    """All four services profiled, but their profiled transactions carry 93 percent: 93."""
    names = ("a", "b", "c", "d")
    cycle = kit.Cycle(services=tuple(kit.service(n, transactions={"read": 0.93, "write": 0.07}) for n in names))
    for profile in cycle.profiles:
        profile["transactions"][1]["profiled"] = False
    covered = profiled(cycle.profiles, services=cycle.services, prioritized=names)
    assert (float(covered.plain_share), float(covered.traffic_share), float(covered.score)) == (100, 93, 93)


def test_traffic_is_weighted_by_the_services_own_rates(kit: Any) -> None:
    """A service that carries nine tenths of the requests and was profiled to a half leaves 55 percent."""
    cycle = kit.Cycle(services=(kit.service("big", transactions={"x": 1.0, "y": 1.0}), kit.service("small", transactions={"x": 1.0})))
    cycle.profiles[0]["transactions"][1]["profiled"] = False
    covered = profiled(cycle.profiles, services=cycle.services, prioritized=("big", "small"), traffic={"big": 90.0, "small": 10.0})
    assert float(covered.traffic_share) == pytest.approx(100 * (0.9 * 0.5 + 0.1))


@pytest.mark.parametrize(
    "change",
    [
        {"status": "inconclusive"},
        {"status": None},
        {"samples": 0},
        {"samples": None},
        {"samples": float("nan")},
        {"samples": "1000"},
        {"transactions": []},
        {"service": "another"},
        {"transactions": [{"name": "read", "profiled": True, "requests": 0}, {"name": "write", "profiled": True, "requests": 0}]},
        {"transactions": [{"name": "read", "profiled": "yes", "requests": 100}]},
        {"transactions": [{"name": "invented", "profiled": True, "requests": 100}]},
    ],
)
def test_a_profile_that_proves_nothing_does_not_cover(cycle: Any, change: dict[str, Any]) -> None:
    """Inconclusive, empty or stringly profiles leave the service uncovered."""
    cycle.profiles[0].update(change)
    result = cycle.gate_2()
    assert result.outcome is Outcome.FAIL
    assert result.figures["diagnostic_coverage"] == 0


def test_a_missing_prioritized_service_fails_whatever_the_score(kit: Any) -> None:
    """19 of 20 services are 95 percent, and the missing one is named."""
    names = tuple(f"service-{i}" for i in range(20))
    cycle = kit.Cycle(services=tuple(kit.service(n) for n in names))
    del cycle.profiles[7]
    result = cycle.gate_2()
    assert result.figures["diagnostic_coverage"] == 95
    assert kit.met(result)["diagnostic_coverage"] is True
    assert kit.met(result)["services_missing"] is False
    assert result.text is not None and "missing: service-7" in result.text


def test_no_prioritized_services_never_pass(cycle: Any) -> None:
    """Nothing to cover is 0 percent."""
    assert cycle.gate_2(prioritized=()).outcome is Outcome.FAIL


def test_a_prioritized_service_that_the_protocol_does_not_know_is_missing(cycle: Any) -> None:
    """A name that no service has is not covered by anything."""
    assert cycle.gate_2(prioritized=("api-service", "ghost")).figures["missing_services"] == ["ghost"]


@pytest.mark.parametrize("scenario", ["peak", "stress", "failure"])
def test_each_scenario_is_required(cycle: Any, kit: Any, scenario: str) -> None:
    """Peak, stress and failure must all have been run."""
    cycle.load_results["scenarios"] = [s for s in cycle.load_results["scenarios"] if s["scenario"] != scenario]
    assert f"scenario {scenario} was not run" in kit.reason(cycle.gate_2(), "scenarios_missing")


@pytest.mark.parametrize(
    "change",
    [
        {"valid": False, "invalid_reasons": ["offered rate not reached"]},
        {"valid": False},
        {"valid": "true"},
        {"valid": None},
        {"invalid_reasons": ["generator saturated"]},
        {"aborted": "p99 above 20000 ms"},
        {"requests": 0},
        {"requests": None},
    ],
)
def test_an_invalid_test_is_no_measurement(cycle: Any, kit: Any, change: dict[str, Any]) -> None:
    """An invalid, aborted or empty test never counts as run and passed."""
    cycle.load_results["scenarios"][1].update(change)
    assert kit.met(cycle.gate_2())["scenarios_invalid"] is False


def test_stress_needs_steps_and_failure_a_fault(cycle: Any, kit: Any) -> None:
    """A stress test without steps and a failure test without a fault are not what they say."""
    cycle.load_results["scenarios"][1]["steps"] = []
    cycle.load_results["scenarios"][2]["fault"] = {}
    assert "stress of api-service has no steps; failure of api-service injected no fault" in kit.reason(cycle.gate_2(), "scenarios_missing")


def test_a_breached_target_is_a_finding_not_a_failure(cycle: Any) -> None:
    """A service that is too slow is why the cycle runs: honest `breached` statuses pass the gate."""
    slow = cycle.results(rate=cycle.profile.peak.rate, p95=300.0)
    slow["latency"]["status"] = "breached"
    cycle.load_results["results"] = slow
    cycle.load_results["scenarios"][0]["results"] = slow
    assert cycle.gate_2().outcome is Outcome.PASS


STATUSES = {
    "latency met although p95 is above its limit": lambda r: r["latency"].update(p95=300.0),
    "throughput met at less than 95 percent": lambda r: r["throughput"].update(actual=28.0),
    "errors met above the target": lambda r: r["error_rate"].update(actual=0.6),
    "a lower target than the protocol's": lambda r: r["throughput"].update(target=10),
    "a milder error target": lambda r: r["error_rate"].update(target=5),
    "breached although met": lambda r: r["error_rate"].update(status="breached"),
    "no figure, declared met": lambda r: r["throughput"].update(actual=None),
    "figure as text": lambda r: r["throughput"].update(actual="30"),
    "NaN": lambda r: r["throughput"].update(actual=float("nan")),
    "percentiles out of order": lambda r: r["latency"].update(p95=450.0, p99=400.0, status="breached"),
}


@pytest.mark.parametrize("spoil", STATUSES.values(), ids=STATUSES.keys())
def test_a_declared_status_that_its_figures_do_not_give_is_an_integrity_finding(cycle: Any, kit: Any, spoil: Any) -> None:
    """Statuses and targets are recomputed, never taken over."""
    spoil(cycle.load_results["results"])
    assert kit.met(cycle.gate_2())["integrity_findings"] is False


@pytest.mark.parametrize(
    ("actual", "tolerance", "expected"),
    [(950, 0.05, "met"), (949.99, 0.05, "breached"), (950, 0.0, "breached"), (1000, 0.0, "met"), (None, 0.05, "invalid")],
)
def test_throughput_is_met_within_its_tolerance(actual: Any, tolerance: float, expected: str) -> None:
    """950 of 1000 is met at 5 percent, exactly at the bound, and breached at 0."""
    from decimal import Decimal

    assert load_status(actual, target=Decimal(1000), higher=True, tolerance=tolerance) == expected


@pytest.mark.parametrize("heading", ["## Utilization", "## Scaling policies", "## Cost impact"])
def test_capacity_needs_each_section(cycle: Any, kit: Any, heading: str) -> None:
    """Utilization, scaling policies and cost impact, each with something written under it."""
    cycle.capacity_md = cycle.capacity_md.replace(heading, "## Something else")
    assert heading in kit.reason(cycle.gate_2(), "capacity_gaps")


def test_a_service_with_a_database_needs_a_plan(cycle: Any, kit: Any) -> None:
    """Statements without any plan are not a database analysis; the errors are said."""
    cycle.query_plans["services"][0]["statements"][0].update(plan=None, error="permission denied")
    assert "has no query plan: permission denied" in kit.reason(cycle.gate_2(), "query_plans_missing")


def test_a_declared_weight_that_differs_is_an_integrity_finding(cycle: Any, kit: Any) -> None:
    """A profile cannot make its transactions heavier than the protocol file says."""
    cycle.profiles[0]["transactions"][0]["weight"] = 0.99
    assert kit.met(cycle.gate_2())["integrity_findings"] is False


def test_the_failure_text_has_the_specifications_action(cycle: Any) -> None:
    """The block of gate 2 names its required action and the score."""
    cycle.profiles = []
    text = cycle.gate_2().text
    assert "[RAY GATE FAILED: Diagnostic Coverage Gate]" in text
    assert "> Actual: Diagnostic coverage 0%, 0 of 1 service profiled, missing: api-service" in text
    assert "> Required action: Extend diagnostics or add scenarios; rerun validation." in text
