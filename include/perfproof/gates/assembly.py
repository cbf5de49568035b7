"""Evaluates a gate from a cycle's evidence: reads what the gate judges, by name, and hands it to the gate.

The same function serves the task in Airflow (which reads by digest from the store) and `perfproof gate` (which reads a
directory), so both come to the same result. Evidence that is missing is handed on as nothing: the gate says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.config import Protocol, Role
from perfproof.config_checks import TASK_OWNER
from perfproof.errors import GateError, PerfproofError
from perfproof.evidence.names import is_name
from perfproof.expectations import Check
from perfproof.gates.baseline import gate_1
from perfproof.gates.diagnostics import gate_2
from perfproof.gates.figures import mappings, number, text_at
from perfproof.gates.governance import gate_4
from perfproof.gates.optimization import gate_3
from perfproof.gates.result import GateResult
from perfproof.parameters import Parameters
from perfproof.schemas.sections import linked_names
from perfproof.strict import read_json
from perfproof.telemetry import Direction, sha256_hex
from perfproof.validation import validate_change

HYPOTHESES = "evidence/hypotheses.json"
QUERY_PLANS = "evidence/query-plans.json"
MEASUREMENT = "evidence/measurement.json"
SLO_PROPOSAL = "evidence/slo-proposal.json"
Read = Callable[[str], bytes | None]


@dataclass(slots=True)
class Reading:
    """Reads evidence by name, and remembers what was read with its digest."""

    read: Read
    seen: dict[str, str] = field(default_factory=dict)

    def data(self, name: str) -> bytes:
        """The bytes, or nothing."""
        found = self.read(name)
        if found is None:
            return b""
        self.seen[name] = sha256_hex(found)
        return found

    def text(self, name: str) -> str:
        """The text, or nothing; bytes that are no text are shown as such and fail the artifact's own check."""
        return text_of(self.data(name))

    def document(self, name: str) -> dict[str, Any]:
        """The JSON mapping, or an empty one."""
        data = self.data(name)
        if not data:
            return {}
        found = read_json(data, where=name)
        return found if isinstance(found, dict) else {}

    def cited(self, name: str) -> dict[str, str]:
        """Name and digest of something that was read."""
        return {"name": name, "sha256": self.seen.get(name, "")}

    def evidence(self) -> list[dict[str, str]]:
        """All that was read, in the order of reading."""
        return [{"name": name, "sha256": digest} for name, digest in self.seen.items()]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a gate needs beside the artifacts. `approvals` and `deliveries` are verified bodies of log entries."""

    protocol: Protocol
    parameters: Parameters
    approvals: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]
    now: datetime
    check: Check


def evaluate_gate(gate: int, *, read: Read, facts: Facts) -> GateResult:
    """The result of gate 1 to 4. Raises GateError for another number, and what reading a malformed artifact raises."""
    gates = {1: _gate_1, 2: _gate_2, 3: _gate_3, 4: _gate_4}
    if gate not in gates:
        raise GateError(101, where="gate", what="unknown gate", got=gate, expected="1 | 2 | 3 | 4", fix="name one of these")
    return gates[gate](Reading(read), facts)


def traffic_of(baseline: Mapping[str, Any], services: Sequence[str]) -> dict[str, float] | None:
    """Requests per second by service from the baseline's throughput cells; None unless every service has one."""
    cells = [(text_at(c, "service"), number(c.get("value"))) for c in mappings(baseline, "cells") if c.get("kind") == "throughput"]
    rates = {name: float(rate) for name, rate in cells if rate is not None}
    return rates if all(name in rates for name in services) else None


def _gate_1(reading: Reading, facts: Facts) -> GateResult:
    return gate_1(
        intake=reading.document(Artifact.INTAKE_REPORT),
        baseline=reading.document(BASELINE_JSON),
        baseline_csv=reading.data(Artifact.BASELINE_CSV),
        hypotheses=reading.document(HYPOTHESES) or None,
        hypothesis_log=reading.text(Artifact.HYPOTHESIS_LOG),
        services=[facts.protocol.service(name) for name in facts.parameters.services],
        rules=facts.protocol.baseline,
        thresholds=facts.protocol.thresholds,
        evidence=reading.evidence(),
        now=facts.now,
        check=facts.check,
    )


def _gate_2(reading: Reading, facts: Facts) -> GateResult:
    names = facts.parameters.services
    profiles = [reading.document(f"evidence/profile-{name}.json") for name in names]
    return gate_2(
        profiles=[profile for profile in profiles if profile],
        query_plans=reading.document(QUERY_PLANS),
        load_results=reading.document(Artifact.LOAD_TEST_RESULTS),
        profiling_md=reading.text(Artifact.PROFILING_REPORT),
        capacity_md=reading.text(Artifact.CAPACITY_ANALYSIS),
        services=[facts.protocol.service(name) for name in names],
        prioritized=names,
        profile=facts.protocol.load.profiles[facts.parameters.load_profile],
        thresholds=facts.protocol.thresholds,
        traffic=traffic_of(reading.document(BASELINE_JSON), names),
        evidence=reading.evidence(),
        now=facts.now,
        check=facts.check,
    )


def _gate_3(reading: Reading, facts: Facts) -> GateResult:
    plan = reading.document(Artifact.OPTIMIZATION_PLAN)
    validation = reading.document(Artifact.VALIDATION_REPORT)
    measurement = reading.document(MEASUREMENT)
    log = reading.text(Artifact.INSTRUMENTATION_LOG)
    baseline = reading.document(BASELINE_JSON)
    return gate_3(
        plan=plan,
        plan_approved=[a for a in facts.approvals if a.get("step") == "plan"],
        validation=validation,
        measurement=measurement or None,
        rejudged=_rejudged(reading, facts, plan, measurement, baseline),
        direction=_direction(facts),
        instrumentation_log=log,
        thresholds=facts.protocol.thresholds,
        mode=facts.protocol.judge.mode,
        roles=_roles(facts.protocol, "plan"),
        evidence=reading.evidence(),
        now=facts.now,
        check=facts.check,
    )


def _rejudged(
    reading: Reading, facts: Facts, plan: Mapping[str, Any], measurement: Mapping[str, Any], baseline: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The verdict that the judge comes to now on the same blocks: a declared one is never taken over."""
    if not (plan and measurement and baseline):
        return None
    try:
        return validate_change(
            measurement=measurement,
            baseline_document=baseline,
            baseline_ref=reading.cited(BASELINE_JSON),
            plan_ref=reading.cited(Artifact.OPTIMIZATION_PLAN),
            measurement_ref=reading.cited(MEASUREMENT),
            service=facts.protocol.service(str(measurement["service"])),
            target_metric=facts.parameters.target_metric,
            optimization_ids=[str(task["id"]) for task in plan["tasks"]],
            thresholds=facts.protocol.thresholds,
            judge=facts.protocol.judge,
            now=facts.now,
        )
    except (PerfproofError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration):
        # Whatever the documents hold instead of a measurement: the gate then says that nothing was judged anew.
        return None


def _direction(facts: Facts) -> Direction:
    services = [facts.protocol.service(name) for name in facts.parameters.services]
    found = next((spec for s in services if (spec := s.metric(facts.parameters.target_metric)) is not None), None)
    return found.direction if found else Direction.LOWER


def _gate_4(reading: Reading, facts: Facts) -> GateResult:
    present = {name.value: data for name in Artifact if (data := reading.data(name))}
    reading.document(SLO_PROPOSAL)
    # Looked for and not listed: what a picture shows is judged elsewhere, here it must only be there.
    linked = linked_names(text_of(present.get(Artifact.PERFORMANCE_REPORT.value, b"")))
    lost = [name for name in linked if not is_name(name) or reading.read(name) is None]
    return gate_4(
        artifacts=present,
        slo_record=reading.document(Artifact.SLO_UPDATE_RECORD),
        approval_records=facts.approvals,
        proposal_ref=reading.cited(SLO_PROPOSAL),
        deliveries=facts.deliveries,
        roles=_roles(facts.protocol, "slo_updates"),
        thresholds=facts.protocol.thresholds,
        evidence=reading.evidence(),
        now=facts.now,
        check=facts.check,
        lost_attachments=lost,
        distribution=facts.protocol.distribution,
    )


def text_of(data: bytes) -> str:
    """`data` as text; bytes that are no text are shown as such and fail the artifact's own check."""
    return data.decode("utf-8", "replace")


def _roles(protocol: Protocol, step: str) -> dict[str, Role]:
    return {name: protocol.roles[name] for name in protocol.approvals.steps[step] if name != TASK_OWNER}
