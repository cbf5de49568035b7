"""A small, complete cycle by hand: every document that the four gates read, all of it good, so that a test can spoil one thing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.artifacts import Artifact
from perfproof.config import (
    Baseline,
    Failure,
    Fault,
    LoadProfile,
    LoadTargets,
    Measurement,
    Mode,
    Peak,
    Person,
    Protocol,
    Role,
    Service,
    Stress,
    Thresholds,
    Transaction,
    load_protocol,
)
from perfproof.expectations import plain_check
from perfproof.gates import GateResult, gate_1, gate_2, gate_3, gate_4
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Unit, document_bytes, sha256_hex

REPOSITORY = Path(__file__).parents[4]
SPEC = REPOSITORY / "tests" / "fixtures" / "spec"
NOW = datetime(2025, 2, 16, 18, 0, tzinfo=UTC)
STAMP = "2025-02-16T10:00:00Z"
RAW = "ab" * 32
ROLES = {
    "product_owner": Role("Product Owner", (Person("ada", "Ada Okoro"),)),
    "sre_lead": Role("SRE Lead", (Person("ben", "Ben Larsen"),)),
}
RULES = Baseline(
    window_seconds=100, step_seconds=1, min_coverage=0.9, min_samples=20, max_staleness_seconds=10, regression_limit_percent=200
)
PROFILE = LoadProfile(
    peak=Peak(rate=30, seconds=15, warmup_seconds=2),
    stress=Stress(rates=(20, 40), seconds_each=4),
    failure=Failure(rate=20, seconds=10, fault=Fault.TERMINATE_DATABASE_CONNECTIONS, fault_at_second=3, recover_within_seconds=4),
    targets=LoadTargets(p50_ms=100, p95_ms=250, p99_ms=500, error_rate_percent=0.5),
    measurement=Measurement(blocks=6, block_seconds=6, rate=25, warmup_seconds=2),
)
KINDS = {
    "throughput": (MetricKind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER),
    "error_rate": (MetricKind.ERROR_RATE, Unit.PERCENT, Direction.LOWER),
    "cpu_utilization": (MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER),
    "memory_utilization": (MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER),
}
METRICS = ("api_latency_p95", "api_latency_p99", "throughput", "error_rate", "cpu_utilization", "memory_utilization")


def spec_text(name: str) -> str:
    """A sample of the specification as text, without the newline at its end."""
    return (SPEC / name).read_text(encoding="utf-8").removesuffix("\n")


def spec_json(name: str) -> Any:
    """A sample of the specification as a document."""
    return json.loads(spec_text(name))


def metric(name: str, *, critical: bool = True) -> MetricSpec:
    """A required metric of that name."""
    kind, unit, direction = KINDS.get(name, (MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER))
    return MetricSpec(name, kind, unit, direction, "APM", f"query({name})", critical)


def service(
    name: str, *, metrics: Sequence[str] = METRICS, transactions: Mapping[str, float] | None = None, critical: bool = True
) -> Service:
    """A service of that name, with everything else as in the demo protocol."""
    shop = demo_protocol().services[0]
    weights = transactions or {"read": 0.7, "write": 0.3}
    return replace(
        shop,
        name=name,
        metrics=tuple(metric(m, critical=critical) for m in metrics),
        transactions=tuple(Transaction(t, "GET", f"/{t}", w) for t, w in weights.items()),
    )


def demo_protocol() -> Protocol:
    """The protocol file of the demo."""
    path = REPOSITORY / "include" / "protocols" / "demo.yaml"
    return load_protocol(path.read_bytes(), where=path.name)


def cell(of: Service, spec: MetricSpec, *, valid: int = 100, value: float | None = 82.0) -> dict[str, Any]:
    """A baseline cell with `valid` of 100 samples; without any it has no value and says NODATA."""
    empty = valid == 0 or value is None
    return {
        "metric_name": spec.name,
        "service": of.name,
        "kind": spec.kind.value,
        "value": None if empty else value,
        "unit": spec.unit.value,
        "direction": spec.direction.value,
        "collection_method": "APM",
        "source": spec.source,
        "query": spec.query,
        "timestamp": STAMP,
        "samples_expected": 100,
        "samples_valid": valid,
        "coverage": valid / 100,
        "reasons": ["NODATA"] if empty else [],
        "critical": spec.critical,
        "raw_sha256": "" if empty else RAW,
    }


def sections(*headings: str) -> str:
    """A Markdown document with a sentence under each heading."""
    return "\n\n".join(f"{heading}\n\nSomething was found and is written here." for heading in headings) + "\n"


def reference(name: str, document: Any) -> dict[str, str]:
    """Name and digest of a document or of bytes."""
    # As document_bytes, but a spoiled document may hold a NaN.
    data = document if isinstance(document, bytes) else (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    return {"name": name, "sha256": sha256_hex(data)}


@dataclass
class Cycle:
    """The documents of a cycle. A test changes one of them and then asks a gate."""

    services: tuple[Service, ...] = field(default_factory=lambda: (service("api-service"),))
    mode: Mode = Mode.POINT
    samples_valid: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.protocol = demo_protocol()
        self.thresholds = Thresholds()
        self.rules = RULES
        self.profile = PROFILE
        self.check = plain_check
        self.baseline = self._baseline()
        self.intake = self._intake()
        self.hypotheses = self._hypotheses()
        self.hypothesis_log = "# Hypothesis log\n\n- HYP-001: the orders query reads the whole table.\n"
        self.profiles = [self._profile(s) for s in self.services]
        self.query_plans = {
            "services": [
                {"service": s.name, "statements": [{"statement": "select 1", "plan": {"Node Type": "Seq Scan"}, "error": None}]}
                for s in self.services
            ]
        }
        self.load_results = self._load_results()
        self.profiling_md = sections("# Profiling report", "## Flame graphs", "## Query plans")
        self.capacity_md = sections("# Capacity analysis", "## Utilization", "## Scaling policies", "## Cost impact")
        self.plan = self._plan()
        self.plan_approved: Any = True
        self.measurement: Any = None
        self.rejudged: Any = None
        self.validation = self._validation()
        self.instrumentation_log = sections("# Instrumentation update log", "## Dashboards", "## Alerts", "## Tracing")
        self.proposal = {"proposal_date": STAMP, "updates": [{"slo_name": "API Latency p95"}]}
        self.approvals = [self.approval(role) for role in ROLES]
        self.slo_record = self._slo_record()
        self.deliveries: list[dict[str, Any]] | None = None

    # Phase 1

    def _baseline(self) -> dict[str, Any]:
        cells = [cell(s, m, valid=self.samples_valid.get(m.name, 100)) for s in self.services for m in s.metrics]
        document = {
            "collected_at": STAMP,
            "collection_methodology": "Median of one sample a second over the window.",
            "window": {"start": "2025-02-16T09:00:00Z", "end": STAMP, "step_seconds": 1},
            "requirements": {"min_coverage": 0.9, "min_samples": 20},
            "cells": cells,
            "slos": [],
            "builds": {s.name: "build-1" for s in self.services},
        }
        scores = {f"{c['service']}/{c['metric_name']}": min(1.0, c["samples_valid"] / 100 / 0.9) for c in cells}
        missing = [c["metric_name"] for c in cells if c["samples_valid"] == 0]
        return {
            **document,
            "baseline_completeness": round(100 * sum(scores.values()) / len(cells), 2),
            "metrics_collected": len(cells) - len(missing),
            "metrics_required": len(cells),
            "missing_metrics": missing,
        }

    def _intake(self) -> dict[str, Any]:
        return {
            "report_date": STAMP,
            "services": [s.name for s in self.services],
            "sources": [{"name": "apm", "provides": "metrics", "critical": True, "status": "ok", "reason": None, "sha256": RAW}],
            "metrics": [
                {"service": c["service"], "metric": c["metric_name"], "value": c["value"], "unit": c["unit"], "timestamp": STAMP}
                for c in self.baseline["cells"]
            ],
            "alerts": [],
            "incidents": [],
            "deployments": [],
            "pain_points": [{"service": self.services[0].name, "symptom": "slow at the peak", "business_impact": "Customers leave."}],
        }

    def _hypotheses(self) -> dict[str, Any]:
        return {
            "hypotheses": [
                {
                    "id": "HYP-001",
                    "service": self.services[0].name,
                    "symptom": "p95 above its objective",
                    "suspected_cause": "the orders query reads the whole table",
                    "cause": "database_contention",
                    "confirming_evidence": "a plan with a sequential scan",
                    "metric": "api_latency_p95",
                    "baseline": reference("baseline-metrics.json", self.baseline),
                    "status": "open",
                    "status_reason": "not looked at yet",
                }
            ]
        }

    def baseline_csv(self) -> bytes:
        """The table of the baseline's cells."""
        rows = ["metric_name,service,value,unit,collection_method,timestamp"]
        for c in self.baseline["cells"]:
            value = "" if c["value"] is None else repr(c["value"])
            rows.append(f"{c['metric_name']},{c['service']},{value},{c['unit']},{c['collection_method']},{c['timestamp']}")
        return ("\n".join(rows) + "\n").encode()

    # Phase 2

    def _profile(self, of: Service) -> dict[str, Any]:
        return {
            "service": of.name,
            "samples": 1000,
            "status": "ok",
            "reason": None,
            "transactions": [{"name": t.name, "weight": t.weight, "profiled": True, "requests": 100} for t in of.transactions],
        }

    def results(self, *, rate: float, p95: float = 200.0, actual: float | None = None, errors: float = 0.0) -> dict[str, Any]:
        """Results of one scenario that meets its targets; `p95`, `actual` and `errors` are in ms, req/s and percent."""
        targets = self.profile.targets
        return {
            "throughput": {"target": rate, "actual": rate if actual is None else actual, "unit": "req/s", "status": "met"},
            "latency": {"p50": 50.0, "p95": p95, "p99": 400.0, "unit": "ms", "status": "met"},
            "error_rate": {"target": targets.error_rate_percent, "actual": errors, "unit": "percent", "status": "met"},
        }

    def _load_results(self) -> dict[str, Any]:
        common = {"service": self.services[0].name, "valid": True, "invalid_reasons": [], "requests": 500}
        peak = self.results(rate=self.profile.peak.rate)
        return {
            "test_date": STAMP,
            "test_scenario": "peak_load",
            "results": peak,
            "bottlenecks": [],
            "scenarios": [
                {"scenario": "peak", **common, "results": peak},
                {"scenario": "stress", **common, "steps": [{"rate": 20, "achieved_rate": 20}]},
                {"scenario": "failure", **common, "results": self.results(rate=self.profile.failure.rate), "fault": {"fault": "terminate"}},
            ],
        }

    # Phase 3

    def _plan(self) -> dict[str, Any]:
        return {
            "plan_date": STAMP,
            "plan_id": "PLAN-001",
            "target_metric": "api_latency_p95",
            "baseline": reference("baseline-metrics.json", self.baseline),
            "tasks": [
                {
                    "id": "OPT-001",
                    "title": "Index orders by customer",
                    "service": self.services[0].name,
                    "owner": "engineer-7",
                    "risk": "low",
                    "risk_notes": "One more index to maintain.",
                    "expected_gain_percent": 40,
                    "dependencies": [],
                    "baseline_metric": "api_latency_p95",
                }
            ],
            "unresolved_dependencies": [],
        }

    def _validation(self) -> dict[str, Any]:
        return {**spec_json("optimization-validation-report.json"), **self.additions()}

    def additions(self) -> dict[str, Any]:
        """What a validation report has beyond the specification's sample."""
        return {
            "mode": self.mode.value,
            "verdict": {"label": "met", "reason": "the estimate reaches 15 %"},
            "guards": [],
            "unguarded": [],
            "builds": {"baseline": "build-1", "candidate": "build-2"},
            "traces_to": {
                "baseline": reference("baseline-metrics.json", self.baseline),
                "plan": reference(Artifact.OPTIMIZATION_PLAN, self.plan),
            },
        }

    # Phase 4

    def approval(self, role: str, *, step: str = "slo_updates", decision: str = "approve", **changes: Any) -> dict[str, Any]:
        """A verified approval record of the person who holds `role`, bound to the SLO proposal."""
        person = ROLES[role].people[0]
        return {
            "request_id": f"request-{step}-{role}",
            "step": step,
            "role": role,
            "role_label": ROLES[role].label,
            "person": {"id": person.id, "name": person.name},
            "decision": decision,
            "comment": "",
            "decided_at": "2025-02-16T16:45:00Z",
            "channel": "mark",
            "assurance": "A1",
            "evidence": [reference("evidence/slo-proposal.json", self.proposal)],
            **changes,
        }

    def _slo_record(self) -> dict[str, Any]:
        sample = spec_json("slo-update-record.json")
        update = {
            **sample["updates"][0],
            "alert_thresholds": ["page: p95 above 350 ms over 1h and over 5m"],
            "escalation_policy": "Page the SRE lead.",
            "approvers": [
                {
                    "name": a["person"]["name"],
                    "role": a["role_label"],
                    "person_id": a["person"]["id"],
                    "approval_status": "approved",
                    "approval_timestamp": a["decided_at"],
                    "request_id": a["request_id"],
                    "channel": a["channel"],
                }
                for a in self.approvals
            ],
        }
        return {
            **sample,
            "updates": [update],
            "proposal": reference("evidence/slo-proposal.json", self.proposal),
            "traces_to": {"validation": reference(Artifact.VALIDATION_REPORT, self.validation)},
        }

    def artifacts(self) -> dict[str, bytes]:
        """The thirteen artifacts, all valid."""
        made: dict[str, bytes] = {
            Artifact.INTAKE_REPORT.value: document_bytes(self.intake),
            Artifact.BASELINE_CSV.value: self.baseline_csv(),
            Artifact.HYPOTHESIS_LOG.value: self.hypothesis_log.encode(),
            Artifact.PROFILING_REPORT.value: self.profiling_md.encode(),
            Artifact.LOAD_TEST_RESULTS.value: document_bytes(self.load_results),
            Artifact.CAPACITY_ANALYSIS.value: self.capacity_md.encode(),
            Artifact.OPTIMIZATION_PLAN.value: document_bytes(self.plan),
            Artifact.VALIDATION_REPORT.value: document_bytes(self.validation),
            Artifact.INSTRUMENTATION_LOG.value: self.instrumentation_log.encode(),
            Artifact.SLO_UPDATE_RECORD.value: document_bytes(self.slo_record),
            Artifact.IMPROVEMENT_NOTES.value: sections(
                "# Continuous improvement notes", "## Recommendations for Protocol 22", "## Recommendations for Protocol 19"
            ).encode(),
        }
        cited = "\n".join(f"- {name} {sha256_hex(data)}" for name, data in made.items())
        made[Artifact.PERFORMANCE_REPORT.value] = (
            sections(
                "# Performance report", "## Intake summary", "## Baseline", "## Diagnostics", "## Optimization", "## Validation",
                "## SLO updates", "## Gates", "## Approvals", "## Evidence",
            )
            + cited
        ).encode()  # fmt: skip
        made[Artifact.MANIFEST.value] = document_bytes(manifest(made))
        return made

    def delivered(self, artifacts: Mapping[str, bytes]) -> list[dict[str, Any]]:
        """A delivery of the report, and one of the notes to each neighbouring protocol."""
        sent = [(Artifact.PERFORMANCE_REPORT.value, "Stakeholders")]
        sent += [(Artifact.IMPROVEMENT_NOTES.value, name) for name in ("Protocol 22", "Protocol 19")]
        return [
            {"artifact": name, "sha256": sha256_hex(artifacts[name]), "recipient": recipient, "channel": "file"}
            for name, recipient in sent
            if name in artifacts
        ]

    # The gates

    def evidence(self) -> list[dict[str, str]]:
        """Names and digests of what the gates judge, as the store would give them."""
        found = [
            reference("baseline-metrics.json", self.baseline),
            reference(Artifact.OPTIMIZATION_PLAN, self.plan),
            reference(Artifact.VALIDATION_REPORT, self.validation),
        ]
        return found if self.measurement is None else [*found, reference("evidence/measurement.json", self.measurement)]

    def gate_1(self, **changes: Any) -> GateResult:
        """The result of gate 1 on these documents."""
        arguments = {
            "intake": self.intake,
            "baseline": self.baseline,
            "baseline_csv": self.baseline_csv(),
            "hypotheses": self.hypotheses,
            "hypothesis_log": self.hypothesis_log,
            "services": self.services,
            "rules": self.rules,
        }
        return gate_1(**{**arguments, **self._common(), **changes})

    def gate_2(self, **changes: Any) -> GateResult:
        """The result of gate 2 on these documents."""
        arguments = {
            "profiles": self.profiles,
            "query_plans": self.query_plans,
            "load_results": self.load_results,
            "profiling_md": self.profiling_md,
            "capacity_md": self.capacity_md,
            "services": self.services,
            "prioritized": tuple(s.name for s in self.services),
            "profile": self.profile,
        }
        return gate_2(**{**arguments, **self._common(), **changes})

    def gate_3(self, **changes: Any) -> GateResult:
        """The result of gate 3 on these documents."""
        arguments = {
            "plan": self.plan,
            "plan_approved": self.plan_approved,
            "validation": self.validation,
            "measurement": self.measurement,
            "rejudged": self.rejudged,
            "direction": Direction.LOWER,
            "instrumentation_log": self.instrumentation_log,
            "mode": self.mode,
        }
        return gate_3(**{**arguments, **self._common(), **changes})

    def gate_4(self, **changes: Any) -> GateResult:
        """The result of gate 4 on these documents."""
        artifacts = changes.get("artifacts", self.artifacts())
        arguments = {
            "artifacts": artifacts,
            "slo_record": self.slo_record,
            "approval_records": self.approvals,
            "proposal_ref": reference("evidence/slo-proposal.json", self.proposal),
            "deliveries": self.delivered(artifacts) if self.deliveries is None else self.deliveries,
            "roles": ROLES,
        }
        return gate_4(**{**arguments, **self._common(), **changes})

    def _common(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds, "evidence": self.evidence(), "now": NOW, "check": self.check}


def manifest(artifacts: Mapping[str, bytes]) -> dict[str, Any]:
    """An in-toto Statement over `artifacts`."""
    digests = {name: sha256_hex(data) for name, data in artifacts.items() if name != Artifact.MANIFEST}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()],
        "predicateType": "urn:example:performance-run/v1",
        "predicate": {
            "artifacts": [
                {"name": name, "sha256": digest, "timestamp": STAMP, "verified_by": {"kind": "gate", "id": "gate-1"}}
                for name, digest in digests.items()
            ]
        },
    }


class Kit:
    """What tests build with; one name to import nothing for."""

    Cycle = Cycle
    NOW = NOW
    ROLES = ROLES
    STAMP = STAMP
    spec_text = staticmethod(spec_text)
    spec_json = staticmethod(spec_json)
    service = staticmethod(service)
    metric = staticmethod(metric)
    cell = staticmethod(cell)
    reference = staticmethod(reference)
    sections = staticmethod(sections)
    manifest = staticmethod(manifest)

    @staticmethod
    def met(result: GateResult) -> dict[str, bool | None]:
        """Whether each criterion is met."""
        return {c.criterion: c.met for c in result.criteria}

    @staticmethod
    def reason(result: GateResult, criterion: str) -> str:
        """The reason of one criterion."""
        return next(c.reason for c in result.criteria if c.criterion == criterion)


@pytest.fixture
def kit() -> type[Kit]:
    """The builders."""
    return Kit


@pytest.fixture
def cycle() -> Cycle:
    """A cycle in which every gate passes, in mode point."""
    return Cycle()
