"""`load-test-results.json`: targets against actual figures, in the shape of the protocol's sample.

The top level shows the peak; `scenarios` holds every test. A status is always recomputed, never taken over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.config import LoadProfile, LoadTargets
from perfproof.errors import LoadError
from perfproof.load.observed_peak import uncovered
from perfproof.load.plan import Scenario
from perfproof.moments import stamp
from perfproof.telemetry import Direction

PERCENTILES = ("p50", "p95", "p99")


class Status(StrEnum):
    """A target against what was measured. `invalid`: there is no measurement, which is neither."""

    MET = "met"
    BREACHED = "breached"
    INVALID = "invalid"


def status(target: float, *, actual: float | None, direction: Direction, tolerance: float = 0.0) -> Status:
    """Whether `actual` reaches `target` within `tolerance`, a share of the target.

    950 of 1000 with higher_is_better is met at 0.05 and breached at 0. A missing or non-finite value is invalid.
    """
    if actual is None or not math.isfinite(actual) or not math.isfinite(target):
        return Status.INVALID
    # Differences below a billionth of the target come from binary fractions: 1000 * (1 - 0.05) may be 950.0000000001.
    slack = abs(target) * (tolerance + 1e-9)
    good = actual >= target - slack if direction is Direction.HIGHER else actual <= target + slack
    return Status.MET if good else Status.BREACHED


def scenario_results(document: Mapping[str, Any], *, rate: float, targets: LoadTargets) -> dict[str, Any]:
    """`results` of one scenario in the protocol's shape, from its document (`evidence/load-<scenario>.json`).

    Statuses judge the measured figures, as the protocol's sample does; `upper_95` beside them says how far the truth may
    lie above.
    """
    valid = bool(document["valid"])
    throughput = document["throughput"] if valid else None
    latency = {name: document["latency"][name] for name in PERCENTILES}
    limits = {name: _limit(targets, name) for name in PERCENTILES}
    single = {name: status(limits[name], actual=latency[name] if valid else None, direction=Direction.LOWER) for name in PERCENTILES}
    failed = document["error_rate"] if valid else None
    return {
        "throughput": {
            "target": rate,
            "actual": document["throughput"],
            "unit": "req/s",
            "status": status(rate, actual=throughput, direction=Direction.HIGHER, tolerance=targets.throughput_tolerance).value,
            "tolerance": targets.throughput_tolerance,
        },
        "latency": {
            **latency,
            "unit": "ms",
            "status": worst(list(single.values())).value,
            "targets": limits,
            "statuses": {name: value.value for name, value in single.items()},
            "upper_95": {name: document["upper_95"][name] for name in PERCENTILES},
        },
        "error_rate": {
            "target": targets.error_rate_percent,
            "actual": document["error_rate"],
            "unit": "percent",
            "status": status(targets.error_rate_percent, actual=failed, direction=Direction.LOWER).value,
            "upper_95": document["upper_95"]["error_rate"],
        },
    }


def worst(statuses: Sequence[Status]) -> Status:
    """Invalid if any is, else breached if any is, else met."""
    return next((s for s in (Status.INVALID, Status.BREACHED) if s in statuses), Status.MET)


def load_test_results(
    documents: Sequence[Mapping[str, Any]],
    *,
    profile: LoadProfile,
    now: datetime,
    derived_from: Sequence[Mapping[str, str]],
    observed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """`load-test-results.json` from the documents of all scenarios (of all services), the peak first.

    `observed` compares the tested peak of each service with the telemetry's own (`observed_peak.comparison`).
    Raises LoadError 501 if there is no peak: without it the results would be about something else.
    """
    peaks = [d for d in documents if d["scenario"] == Scenario.PEAK]
    if not peaks:
        raise LoadError(501, where="load-test-results.json", what="no peak was run", fix="run the peak scenario")
    order = list(Scenario)
    ordered = sorted(documents, key=lambda d: (order.index(d["scenario"]), d["service"]))
    scenarios = [_scenario(d, profile) for d in ordered]
    primary = next(s for s in scenarios if s["scenario"] == Scenario.PEAK)
    return {
        "test_date": peaks[0]["started_at"],
        "test_scenario": "peak_load",
        "results": primary["results"],
        "bottlenecks": [*uncovered(observed), *(b for d, s in zip(ordered, scenarios, strict=True) for b in _bottlenecks(d, s))],
        "written_at": stamp(now),
        "service": primary["service"],
        "valid": primary["valid"],
        "scenarios": scenarios,
        "observed_peak": [dict(entry) for entry in observed],
        "derived_from": [dict(reference) for reference in derived_from],
    }


def check_statuses(results: Mapping[str, Any], *, targets: LoadTargets, where: str = "load-test-results.json") -> None:
    """Returns if every declared status is what its own figures give. Raises LoadError 502 for the first that is not.

    Reads the protocol's shape; `targets` supplies the latency limits, which that shape does not hold.
    """
    throughput, latency, errors = results["throughput"], results["latency"], results["error_rate"]
    single = [status(_limit(targets, n), actual=latency[n], direction=Direction.LOWER) for n in PERCENTILES]
    recomputed = {
        "throughput": status(
            throughput["target"],
            actual=throughput["actual"],
            direction=Direction.HIGHER,
            tolerance=targets.throughput_tolerance,
        ),
        "latency": worst(single),
        "error_rate": status(errors["target"], actual=errors["actual"], direction=Direction.LOWER),
    }
    for name, expected in recomputed.items():
        declared = results[name]["status"]
        if declared != expected:
            raise LoadError(
                502,
                where=f"{where}: {name}",
                what="declared status is not what the figures give",
                got=declared,
                expected=expected.value,
                fix="write the results from the rows again",
            )


def _scenario(document: Mapping[str, Any], profile: LoadProfile) -> dict[str, Any]:
    carried = ("scenario", "service", "endpoint", "build", "started_at", "seconds", "requests", "errors", "valid", "invalid_reasons")
    entry = {key: document[key] for key in carried}
    # A stress test goes beyond every target by design; its steps and the capacity analysis speak for it.
    if document["scenario"] == Scenario.JOURNEYS:
        # Users who wait for each answer measure least when the service is worst: figures, and no verdict.
        entry |= {key: document[key] for key in ("model", "limitations", "throughput", "latency", "error_rate", "users", "file")}
    elif document["scenario"] != Scenario.STRESS:
        entry["results"] = scenario_results(document, rate=_rate(document, profile), targets=profile.targets)
    for key in ("steps", "fault", "aborted"):
        if document.get(key) is not None:
            entry[key] = document[key]
    entry["rows"] = document["rows"]
    return entry


def _rate(document: Mapping[str, Any], profile: LoadProfile) -> float:
    """The rate that the scenario's throughput must reach. A replay has no one rate, so the mean of what it offered stands for it."""
    match Scenario(document["scenario"]):
        case Scenario.PEAK:
            return profile.peak.rate
        case Scenario.STRESS:
            return max(profile.stress.rates)
        case Scenario.FAILURE:
            return profile.failure.rate
        case Scenario.MEASUREMENT:
            return profile.measurement.rate
        case Scenario.REPLAY:
            return float(document["offered_rate"])
        case Scenario.JOURNEYS:
            raise LoadError(832, where="journeys", what="no rate was offered", fix="judge the peak, which is sent by a plan")


def _bottlenecks(document: Mapping[str, Any], entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Breached targets of peak and replay, each with the transaction that is worst in it, and a fault that was not survived."""
    scenario, service = document["scenario"], document["service"]
    found: list[dict[str, Any]] = []

    def add(issue: str, severity: str, transaction: str | None = None) -> None:
        found.append({"service": service, "issue": issue, "severity": severity, "scenario": scenario, "transaction": transaction})

    if not document["valid"]:
        return found
    if scenario in (Scenario.PEAK, Scenario.REPLAY):
        during = "peak load" if scenario == Scenario.PEAK else "the replayed load"
        results = entry["results"]
        latency, limits = results["latency"], results["latency"]["targets"]
        for name in PERCENTILES:
            if latency["statuses"][name] == Status.BREACHED:
                worst_name, value = _worst(document["by_transaction"], name)
                issue = f"High {name} latency during {during}: {latency[name]:g} ms of {limits[name]:g} ms allowed"
                add(f"{issue}, worst in {worst_name} with {value:g} ms", _severity(latency[name], limits[name]), worst_name)
        rate = results["error_rate"]
        if rate["status"] == Status.BREACHED:
            worst_name, count = _worst(document["by_transaction"], "errors")
            issue = f"High error rate during {during}: {rate['actual']:g} percent of {rate['target']:g} percent allowed"
            add(f"{issue}, most in {worst_name} with {count:g} errors", "high", worst_name)
        throughput = results["throughput"]
        if throughput["status"] == Status.BREACHED:
            add(f"Throughput of {throughput['actual']:g} req/s misses the {scenario} of {throughput['target']:g} req/s", "high")
    fault = document.get("fault")
    if fault and not fault["recovered"]:
        took = fault["recovered_after_seconds"]
        how = "did not recover within the test" if took is None else f"recovered after {took:g} s"
        add(f"After {fault['fault']} the service {how}, {fault['recover_within_seconds']:g} s allowed", "high")
    return found


def _worst(transactions: Mapping[str, Mapping[str, Any]], key: str) -> tuple[str, float]:
    values = {name: float(t[key]) for name, t in transactions.items() if t[key] is not None}
    name = max(values, key=lambda n: (values[n], n))
    return name, values[name]


def _severity(actual: float, limit: float) -> str:
    """High from half above the limit on; the sample's 520 ms of 450 ms would be medium, its 980 ms of 500 ms high."""
    return "high" if actual >= 1.5 * limit else "medium"


def _limit(targets: LoadTargets, name: str) -> float:
    return {"p50": targets.p50_ms, "p95": targets.p95_ms, "p99": targets.p99_ms}[name]
