"""Gate 2, Diagnostic Coverage: were the prioritized services profiled, the load scenarios run and valid, capacity documented?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.config import LoadProfile, LoadTargets, Service, Thresholds
from perfproof.diagnostics import MIN_REQUESTS
from perfproof.expectations.frame_check import Check
from perfproof.gates.evaluation import Figure, Words, count, evaluate
from perfproof.gates.figures import as_float, at, found, items, mappings, number, plain, rounded, share, text_at, unlike
from perfproof.gates.result import GateResult
from perfproof.gates.text import counted, percent
from perfproof.schemas import markdown_problems

SCENARIOS = ("peak", "stress", "failure")
PERCENTILES = ("p50", "p95", "p99")
MET, BREACHED, INVALID = "met", "breached", "invalid"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profiled:
    """How much of the prioritized services was profiled: in services, in the traffic of their transactions, and the score."""

    services: int
    required: int
    missing: tuple[str, ...]
    plain_share: Decimal
    traffic_share: Decimal

    @property
    def score(self) -> Decimal:
        """The smaller of the two shares, in percent."""
        return min(self.plain_share, self.traffic_share)


def gate_2(
    *,
    profiles: Sequence[Document],
    query_plans: Document,
    load_results: Document,
    profiling_md: str,
    capacity_md: str,
    services: Sequence[Service],
    prioritized: Sequence[str],
    profile: LoadProfile,
    thresholds: Thresholds,
    evidence: Sequence[Document],
    now: datetime,
    check: Check,
    traffic: Mapping[str, float] | None = None,
) -> GateResult:
    """The result of gate 2.

    `profiles` are the documents of evidence/profile-<service>.json, `load_results` that of load-test-results.json, and
    `profile` the load profile that was run: its rates and targets decide which statuses are true. `traffic` is requests/s by
    service; without it every service counts the same.
    """
    covered = profiled(profiles, services=services, prioritized=prioritized, traffic=traffic)
    absent, invalid = scenario_findings(load_results)
    figures = {
        "diagnostic_coverage": Figure(as_float(covered.score), _shares(covered)),
        "services_missing": count((f"{name} was not profiled" for name in covered.missing), good="every prioritized service was profiled"),
        "query_plans_missing": count(_plans_missing(query_plans, services, prioritized), good="statements and plans are there"),
        "profiling_gaps": count(
            (f"{Artifact.PROFILING_REPORT}: {p}" for p in markdown_problems(Artifact.PROFILING_REPORT, profiling_md)),
            good="flame graphs and query plans are in the report",
        ),
        "scenarios_missing": count(absent, good="peak, stress and failure were run"),
        "scenarios_invalid": count(invalid, good="every load test is a measurement"),
        "capacity_gaps": count(
            (f"{Artifact.CAPACITY_ANALYSIS}: {p}" for p in markdown_problems(Artifact.CAPACITY_ANALYSIS, capacity_md)),
            good="utilization, scaling policies and cost impact are documented",
        ),
        "integrity_findings": count(
            _integrity(load_results, profile, profiles, services), good="declared statuses are the recomputed ones"
        ),
    }
    shown = percent(float(covered.score), threshold=thresholds.diagnostic_coverage)
    missing = f", missing: {', '.join(covered.missing)}" if covered.missing else ""
    return evaluate(
        suite="gate_2_diagnostics",
        figures=figures,
        recomputed={
            "diagnostic_coverage": rounded(covered.score, digits=2),
            "services_profiled": covered.services,
            "services_required": covered.required,
            "missing_services": list(covered.missing),
            "services_share": rounded(covered.plain_share, digits=2),
            "traffic_share": rounded(covered.traffic_share, digits=2),
            "scenarios": sorted({text_at(s, "scenario") for s in mappings(load_results, "scenarios")}),
        },
        words=Words(
            criteria=f"Diagnostic coverage ≥ {plain(Decimal(str(thresholds.diagnostic_coverage)))}%, prioritized services profiled, "
            "load tests cover peak scenarios, capacity analysis documented",
            actual=f"Diagnostic coverage {shown}, {covered.services} of {counted(covered.required, 'service')} profiled{missing}",
            told=frozenset({"diagnostic_coverage", "services_missing"}),
        ),
        thresholds=thresholds,
        evidence=evidence,
        now=now,
        check=check,
    )


def profiled(
    profiles: Sequence[Document], *, services: Sequence[Service], prioritized: Sequence[str], traffic: Mapping[str, float] | None = None
) -> Profiled:
    """Coverage of the prioritized services.

    A transaction counts as profiled if the profile is conclusive, names it as profiled and saw enough requests of it. Each
    service carries its `traffic` (without it: all the same), split over its transactions by the weights of the protocol file.
    """
    known = {service.name: service for service in services}
    seen = {name: _transactions_seen(profiles, name) for name in prioritized}
    missing = tuple(name for name in prioritized if name not in known or not seen[name])
    total = carried = Decimal(0)
    for name in prioritized:
        rate = Decimal(1) if traffic is None else number(traffic.get(name)) or Decimal(0)
        weights = {t.name: Decimal(str(t.weight)) for t in known[name].transactions} if name in known else {}
        whole = sum(weights.values(), Decimal(0))
        total += rate
        if whole > 0:
            carried += rate * sum((w for transaction, w in weights.items() if transaction in seen[name]), Decimal(0)) / whole
    done = len(prioritized) - len(missing)
    return Profiled(
        services=done,
        required=len(prioritized),
        missing=missing,
        plain_share=share(done, len(prioritized)) or Decimal(0),
        traffic_share=share(carried, total) or Decimal(0),
    )


def _transactions_seen(profiles: Sequence[Document], service: str) -> set[str]:
    names: set[str] = set()
    for profile in profiles:
        samples = number(profile.get("samples"))
        if profile.get("service") != service or profile.get("status") != "ok" or samples is None or samples <= 0:
            continue
        for transaction in mappings(profile, "transactions"):
            requests = number(transaction.get("requests"))
            if transaction.get("profiled") is True and requests is not None and requests >= MIN_REQUESTS:
                names.add(text_at(transaction, "name"))
    return names


def scenario_findings(load_results: Document) -> tuple[list[str], list[str]]:
    """Which of the three scenarios are missing, and which tests are no measurement."""
    tests = mappings(load_results, "scenarios")
    absent = [f"scenario {name} was not run" for name in SCENARIOS if not any(t.get("scenario") == name for t in tests)]
    invalid = []
    for test in tests:
        name = f"{text_at(test, 'scenario') or 'a test'}{' of ' + text_at(test, 'service') if text_at(test, 'service') else ''}"
        reasons = "; ".join(str(reason) for reason in items(test, "invalid_reasons"))
        requests = number(test.get("requests")) if "requests" in test else Decimal(1)
        if test.get("valid") is not True or reasons:
            invalid.append(f"{name} is invalid: {reasons or 'no reason given'}")
        elif test.get("aborted") is not None:
            invalid.append(f"{name} was aborted: {test.get('aborted')}")
        elif test.get("model") == "closed" and test.get("scenario") != "journeys":
            invalid.append(f"{name} is of a closed model, which cannot show that a target is met")
        elif requests is None or requests <= 0:
            invalid.append(f"{name} sent no requests")
        elif test.get("scenario") == "stress" and not items(test, "steps"):
            absent.append(f"{name} has no steps")
        elif test.get("scenario") == "failure" and not at(test, "fault", "fault"):
            absent.append(f"{name} injected no fault")
    return absent, invalid


def _plans_missing(query_plans: Document, services: Sequence[Service], prioritized: Sequence[str]) -> list[str]:
    """A service with a database needs statements, and a plan for at least one of them."""
    complaints = []
    for service in services:
        if service.name not in prioritized or service.endpoints.baseline.database_connection is None:
            continue
        statements = [
            s for one in mappings(query_plans, "services") if one.get("service") == service.name for s in mappings(one, "statements")
        ]
        if not statements:
            complaints.append(f"{service.name} has no statements")
        elif not any(isinstance(s.get("plan"), Mapping | list) and s.get("plan") for s in statements):
            errors = "; ".join(sorted({str(s.get("error")) for s in statements if s.get("error")}))
            complaints.append(f"{service.name} has no query plan{': ' + errors if errors else ''}")
    return complaints


def load_status(actual: Any, *, target: Decimal, higher: bool, tolerance: float = 0.0) -> str:
    """`met`, `breached`, or `invalid` without a figure. The tolerance is a share of the target: 950 of 1000 is met at 0.05."""
    figure = number(actual)
    if figure is None:
        return INVALID
    slack = target * Decimal(str(tolerance))
    return MET if (figure >= target - slack if higher else figure <= target + slack) else BREACHED


def status_findings(results: Document, *, rate: float, targets: LoadTargets, valid: bool = True, where: str = "peak") -> list[str]:
    """Which declared statuses and targets of one scenario are not those that its figures and the protocol file give."""
    limits = {"p50": targets.p50_ms, "p95": targets.p95_ms, "p99": targets.p99_ms}
    throughput, failed = Decimal(str(rate)), Decimal(str(targets.error_rate_percent))
    single = [load_status(at(results, "latency", p), target=Decimal(str(limits[p])), higher=False) for p in PERCENTILES]
    expected = {
        "throughput": load_status(
            at(results, "throughput", "actual"), target=throughput, higher=True, tolerance=targets.throughput_tolerance
        ),
        "latency": next((s for s in (INVALID, BREACHED) if s in single), MET),
        "error_rate": load_status(at(results, "error_rate", "actual"), target=failed, higher=False),
    }
    complaints = found(
        *(unlike(f"{where} {name} status", at(results, name, "status"), s if valid else INVALID) for name, s in expected.items())
    )
    for name, target in (("throughput", throughput), ("error_rate", failed)):
        if number(at(results, name, "target")) != target:
            complaints.append(f"{where} {name} target is {at(results, name, 'target')!r}, the protocol file says {plain(target)}")
    order = [number(at(results, "latency", p)) for p in PERCENTILES]
    known = [value for value in order if value is not None]
    if known != sorted(known):
        complaints.append(f"{where} latency percentiles are not in order")
    return complaints


def _integrity(load_results: Document, profile: LoadProfile, profiles: Sequence[Document], services: Sequence[Service]) -> list[str]:
    rates = {"peak": profile.peak.rate, "failure": profile.failure.rate}
    complaints = status_findings(
        at(load_results, "results") or {}, rate=profile.peak.rate, targets=profile.targets, valid=_peak_valid(load_results)
    )
    for test in mappings(load_results, "scenarios"):
        scenario = text_at(test, "scenario")
        results = at(test, "results")
        if scenario in rates and isinstance(results, Mapping):
            where = f"{scenario} of {text_at(test, 'service')}" if text_at(test, "service") else f"scenario {scenario}"
            complaints += status_findings(
                results, rate=rates[scenario], targets=profile.targets, valid=test.get("valid") is True, where=where
            )
    known = {service.name: service for service in services}
    for one in profiles:
        name = text_at(one, "service")
        weights = {t.name: Decimal(str(t.weight)) for t in known[name].transactions} if name in known else {}
        for transaction in mappings(one, "transactions"):
            declared = number(transaction.get("weight"))
            of = text_at(transaction, "name")
            if of in weights and declared is not None and declared != weights[of]:
                complaints.append(f"{name}/{of} declares the weight {plain(declared)}, the protocol file says {plain(weights[of])}")
    return complaints


def _peak_valid(load_results: Document) -> bool:
    peaks = [t for t in mappings(load_results, "scenarios") if t.get("scenario") == "peak"]
    return not peaks or peaks[0].get("valid") is True


def _shares(covered: Profiled) -> str:
    return (
        f"{covered.services} of {counted(covered.required, 'prioritized service')} profiled ({plain(covered.plain_share)}%), "
        f"their profiled transactions carry {plain(covered.traffic_share)}% of the traffic"
    )
