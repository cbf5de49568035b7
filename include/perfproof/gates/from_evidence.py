"""A gate on the evidence of a run: which names each gate reads, and the documents that it is asked on.

Airflow's gate tasks, `perfproof gate` and the modules in `perfproof.automation` all judge through `judge_evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.config import Protocol, Role, Service
from perfproof.errors import GateError, PerfproofError
from perfproof.expectations.frame_check import Check
from perfproof.gates.baseline import gate_1
from perfproof.gates.diagnostics import gate_2
from perfproof.gates.figures import mappings, text_at
from perfproof.gates.governance import SLO_STEP, gate_4
from perfproof.gates.optimization import MEASUREMENT, gate_3
from perfproof.gates.result import GateResult
from perfproof.moments import parse_stamp
from perfproof.parameters import Parameters
from perfproof.strict import read_json
from perfproof.telemetry import Direction
from perfproof.validation import validate_change

HYPOTHESES = "evidence/hypotheses.json"
QUERY_PLANS = "evidence/query-plans.json"
SLO_PROPOSAL = "evidence/slo-proposal.json"


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What a run holds: `digests` by name, `read` for the bytes of a name, and what the log says.

    `records` are the bodies of approvals that stand (verified by the caller where that is possible), `deliveries` the bodies of
    what was delivered.
    """

    digests: Mapping[str, str]
    read: Callable[[str], bytes]
    records: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]

    def document(self, name: str) -> Any:
        """The JSON document of that name. Raises GateError if there is none, ArtifactError if it is no JSON."""
        return read_json(self.bytes(name), where=name)

    def bytes(self, name: str) -> bytes:
        """The bytes of that name. Raises GateError if there are none: the gate has nothing to judge."""
        if name not in self.digests:
            raise GateError(120, where=name, what="the gate needs this and it is not there", fix="run the step that writes it")
        return self.read(name)

    def text(self, name: str) -> str:
        """The text of that name; empty if it is not there, so that its criterion fails by name."""
        return self.read(name).decode("utf-8", "replace") if name in self.digests else ""

    def references(self, names: Sequence[str]) -> list[dict[str, str]]:
        """Name and digest of those of `names` that are there."""
        return [{"name": name, "sha256": self.digests[name]} for name in names if name in self.digests]


def names_of(gate: int, *, services: Sequence[str]) -> tuple[str, ...]:
    """The names that `gate` reads. Raises GateError for a gate that does not exist."""
    table = {
        1: (Artifact.INTAKE_REPORT, BASELINE_JSON, Artifact.BASELINE_CSV, HYPOTHESES, Artifact.HYPOTHESIS_LOG),
        2: (
            *(f"evidence/profile-{service}.json" for service in services),
            QUERY_PLANS,
            Artifact.PROFILING_REPORT,
            Artifact.LOAD_TEST_RESULTS,
            Artifact.CAPACITY_ANALYSIS,
        ),
        3: (BASELINE_JSON, Artifact.OPTIMIZATION_PLAN, Artifact.VALIDATION_REPORT, MEASUREMENT, Artifact.INSTRUMENTATION_LOG),
        4: (*Artifact, SLO_PROPOSAL),
    }
    if gate not in table:
        raise GateError(121, where="gate", what="unknown gate", got=gate, expected="1 | 2 | 3 | 4", fix="name one of the four gates")
    return tuple(str(name) for name in table[gate])


def judge_evidence(gate: int, *, run: RunEvidence, protocol: Protocol, parameters: Parameters, now: datetime, check: Check) -> GateResult:
    """The result of `gate` on the evidence of a run. Raises GateError if what it judges is not there at all."""
    services = tuple(protocol.service(name) for name in parameters.services)
    judges = {1: _first, 2: _second, 3: _third, 4: _fourth}
    evidence = run.references(names_of(gate, services=parameters.services))
    common = {"thresholds": protocol.thresholds, "evidence": evidence, "now": now, "check": check}
    return judges[gate](run, protocol, parameters, services, common)


def _first(run: RunEvidence, protocol: Protocol, parameters: Parameters, services: Sequence[Service], common: dict[str, Any]) -> GateResult:
    return gate_1(
        intake=run.document(Artifact.INTAKE_REPORT),
        baseline=run.document(BASELINE_JSON),
        baseline_csv=run.bytes(Artifact.BASELINE_CSV),
        hypotheses=run.document(HYPOTHESES) if HYPOTHESES in run.digests else None,
        hypothesis_log=run.text(Artifact.HYPOTHESIS_LOG),
        services=services,
        rules=protocol.baseline,
        **common,
    )


def _second(
    run: RunEvidence, protocol: Protocol, parameters: Parameters, services: Sequence[Service], common: dict[str, Any]
) -> GateResult:
    names = [name for name in names_of(2, services=parameters.services) if name.startswith("evidence/profile-")]
    return gate_2(
        profiles=[run.document(name) for name in names if name in run.digests],
        query_plans=run.document(QUERY_PLANS),
        load_results=run.document(Artifact.LOAD_TEST_RESULTS),
        profiling_md=run.text(Artifact.PROFILING_REPORT),
        capacity_md=run.text(Artifact.CAPACITY_ANALYSIS),
        services=services,
        prioritized=parameters.services,
        profile=protocol.load.profiles[parameters.load_profile],
        **common,
    )


def _third(run: RunEvidence, protocol: Protocol, parameters: Parameters, services: Sequence[Service], common: dict[str, Any]) -> GateResult:
    plan, validation = run.document(Artifact.OPTIMIZATION_PLAN), run.document(Artifact.VALIDATION_REPORT)
    measurement = run.document(MEASUREMENT) if MEASUREMENT in run.digests else None
    spec = next((m for s in services for m in s.metrics if m.name == parameters.target_metric), None)
    return gate_3(
        plan=plan,
        plan_approved=run.records,
        roles=_roles(protocol, "plan"),
        validation=validation,
        measurement=measurement,
        rejudged=_rejudged(run, protocol, parameters, plan, validation, measurement),
        direction=spec.direction if spec is not None else Direction.LOWER,
        instrumentation_log=run.text(Artifact.INSTRUMENTATION_LOG),
        mode=protocol.judge.mode,
        **common,
    )


def _fourth(
    run: RunEvidence, protocol: Protocol, parameters: Parameters, services: Sequence[Service], common: dict[str, Any]
) -> GateResult:
    artifacts = {name.value: run.read(name.value) for name in Artifact if name.value in run.digests}
    return gate_4(
        artifacts=artifacts,
        slo_record=run.document(Artifact.SLO_UPDATE_RECORD) if Artifact.SLO_UPDATE_RECORD in run.digests else {},
        approval_records=run.records,
        proposal_ref={"name": SLO_PROPOSAL, "sha256": run.digests.get(SLO_PROPOSAL)},
        deliveries=run.deliveries,
        roles=_roles(protocol, SLO_STEP),
        **common,
    )


def _roles(protocol: Protocol, step: str) -> dict[str, Role]:
    return {role: protocol.roles[role] for role in protocol.approvals.steps[step]}


def _rejudged(
    run: RunEvidence, protocol: Protocol, parameters: Parameters, plan: Any, validation: Any, measurement: Any
) -> dict[str, Any] | None:
    """What the judge says now about the same measurement; None if it cannot say anything, which the gate then reports."""
    service = next((s for s in protocol.services if measurement is not None and s.name == text_at(measurement, "service")), None)
    if service is None or BASELINE_JSON not in run.digests:
        return None
    reference = {name: run.references([name])[0] for name in (BASELINE_JSON, Artifact.OPTIMIZATION_PLAN.value, MEASUREMENT)}
    try:
        return validate_change(
            measurement=measurement,
            baseline_document=run.document(BASELINE_JSON),
            baseline_ref=reference[BASELINE_JSON],
            plan_ref=reference[Artifact.OPTIMIZATION_PLAN.value],
            measurement_ref=reference[MEASUREMENT],
            service=service,
            target_metric=parameters.target_metric,
            optimization_ids=[text_at(task, "id") for task in mappings(plan, "tasks")],
            thresholds=protocol.thresholds,
            judge=protocol.judge,
            now=parse_stamp(text_at(validation, "validation_date")),
        )
    except PerfproofError:
        return None
