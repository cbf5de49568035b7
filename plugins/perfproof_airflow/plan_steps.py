"""The plan's halt on unresolved dependencies, and what became of the gains that this plan and earlier ones promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.config import Validator
from perfproof.errors import ArtifactError
from perfproof.evidence.records import PUBLICATIONS
from perfproof.telemetry import Direction
from perfproof_airflow.cycle import Cycle, now

PROMISED_GAINS = "evidence/promised-gains.json"
HYPOTHESES_CHECKED = "evidence/hypotheses-checked.json"
HYPOTHESES_RESULTS = "evidence/hypotheses-results.json"


def require_resolved(plan: Mapping[str, Any]) -> None:
    """Raises ArtifactError naming each unresolved dependency: the specification's halt of phase 3, step 1."""
    unresolved = [f"{item['task']}: {item['dependency']}" for item in plan["unresolved_dependencies"]]
    if unresolved:
        raise ArtifactError(
            421, where="optimization plan", what="dependencies are unresolved", got="; ".join(unresolved),
            fix="resolve them, set them resolved in the protocol file, and start a new cycle",
        )  # fmt: skip


def publish_hypothesis_results(cycle: Cycle, *, plan: Mapping[str, Any], validation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Publishes evidence/hypotheses-results.json: each hypothesis with what the measured change says of its cause.

    None if the cycle has no hypotheses that were checked. It decides no gate.
    """
    from perfproof.hypothesis_results import mark_by_result

    if cycle.store.live(HYPOTHESES_CHECKED) is None:
        return None
    checked = cycle.reference(HYPOTHESES_CHECKED)
    return cycle.publish(
        HYPOTHESES_RESULTS,
        lambda: mark_by_result(cycle.document(checked), plan=cycle.document(plan), validation=cycle.document(validation)),
        inputs=[checked, plan, validation],
    )


def hypotheses_name(cycle: Cycle) -> str:
    """The newest word about the hypotheses: by the result of the change where there is one, else by the diagnostics."""
    return HYPOTHESES_RESULTS if cycle.store.live(HYPOTHESES_RESULTS) is not None else HYPOTHESES_CHECKED


def publish_promised_gains(cycle: Cycle) -> dict[str, Any] | None:
    """Publishes evidence/promised-gains.json: the records that the backlog brought, and those of this cycle's validations.

    Every validation of the run counts, those that a retry superseded included: what fell short at first is not forgotten.
    None if the cycle has no plan or validation.
    """
    from perfproof.promised_gains import gain_record, promised_gains

    names, live = (Artifact.OPTIMIZATION_PLAN, Artifact.VALIDATION_REPORT), cycle.store.live_all()
    if any(name not in live for name in names):
        return None
    inputs = [cycle.reference(name) for name in names]
    records, carried_from, reason = _carried(cycle)

    def produce() -> dict[str, Any]:
        own = []
        for validation_sha256 in _validations(cycle):
            validation = cycle.document({"name": Artifact.VALIDATION_REPORT, "sha256": validation_sha256, "uri": ""})
            found = gain_record(
                plan=_plan_of(cycle, validation, live=inputs[0]),
                validation=validation,
                validation_sha256=validation_sha256,
                run=cycle.run,
                direction=_direction(cycle, validation),
            )
            own += [found] if found else []
        plan = cycle.document(inputs[0])
        return promised_gains(earlier=records, own=own, plan=plan, run=cycle.run, now=now(), carried_from=carried_from, reason=reason)

    return cycle.publish(PROMISED_GAINS, produce, inputs=inputs)


def _validations(cycle: Cycle) -> list[str]:
    """Digests of the run's validation reports in the order in which they were published, each once."""
    entries = [entry for entry in cycle.store.entries() if entry.type in PUBLICATIONS and entry.body["name"] == Artifact.VALIDATION_REPORT]
    return list(dict.fromkeys(str(entry.body["sha256"]) for entry in entries))


def _plan_of(cycle: Cycle, validation: Mapping[str, Any], *, live: Mapping[str, Any]) -> Any:
    """The plan that the validation traces to, by its digest."""
    cited = (validation.get("traces_to") or {}).get("plan")
    return cycle.document({**cited, "uri": ""} if cited else live)


def _direction(cycle: Cycle, validation: Mapping[str, Any]) -> Direction:
    service = next((s for s in cycle.protocol.services if s.name == validation.get("service")), None)
    spec = service.metric(str(validation.get("target_metric"))) if service else None
    return spec.direction if spec else Direction.LOWER


def _carried(cycle: Cycle) -> tuple[list[dict[str, Any]], dict[str, str] | None, str | None]:
    """Records of the backlog that verify_artifacts found and kept, with its name and digest; or none, and why."""
    from perfproof.inputs.gain_records import read_gain_records
    from perfproof.strict import read_json
    from perfproof_airflow.hooks.baseline import ARTIFACT_FINDINGS

    names = {artifact.name for artifact in cycle.protocol.prerequisites if artifact.validator is Validator.INTAKE_BACKLOG}
    findings = cycle.document(ARTIFACT_FINDINGS)["artifacts"] if cycle.store.live(ARTIFACT_FINDINGS) else []
    supplied = [item for item in findings if item["name"] in names and item["status"] == "ok"]
    if not supplied:
        return [], None, "no backlog of an earlier cycle was supplied"
    read = [(read_gain_records(read_json(cycle.store.get_object(i["sha256"]), where=i["name"]), where=i["name"]), i) for i in supplied]
    # Beside what a cycle left there may be what the captures opened, which has no gains.
    records, found = next((pair for pair in read if pair[0]), read[0])
    reason = None if records else "the supplied backlog holds no promised gains"
    return records, {"name": found["name"], "sha256": found["sha256"]}, reason
