"""Prerequisites: the artifacts, the system state and the approvals that a cycle needs before it starts."""

from __future__ import annotations

import functools
from typing import Any

from airflow.sdk import task_group

from perfproof_airflow.retrying import RETRYING
from perfproof_airflow.sensors.questions import PREREQUISITE_STEPS, ProtocolApproval
from perfproof_airflow.step import step


@step(opens_cycle=True)
def open_cycle(cycle: Any) -> list[str]:
    """Checks parameters and protocol file, opens the evidence log, and names the services that later tasks are mapped over."""
    return list(cycle.parameters.services)


@step
def name_sources(cycle: Any) -> list[str]:
    """Names the telemetry sources that are read, each by a task of its own."""
    return [source.name for source in cycle.protocol.sources]


@step
def verify_artifacts(cycle: Any) -> dict[str, Any]:
    """Checks each supplied artifact: there, current and valid; those marked "if available" may be absent."""
    from perfproof.prerequisites import check_required, examine_artifacts
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.workspace import found_artifacts

    files = found_artifacts(cycle.protocol)
    findings = examine_artifacts(cycle.protocol, files, now=now())
    check_required(findings)
    kept = []
    for finding in findings:
        data = files[finding["name"]].data
        if finding["status"] == "ok" and data is not None:
            kept.append(cycle.publish(f"evidence/input-{finding['name'].lower()}", functools.partial(bytes, data)))
    return cycle.publish("evidence/prerequisite-artifacts.json", lambda: {"artifacts": findings}, inputs=kept)


@step
def verify_system_state(cycle: Any, artifacts: dict[str, Any]) -> dict[str, Any]:
    """Checks telemetry access, write permissions, the approval key, and that the test environment mirrors production."""
    from perfproof.prerequisites import check_system_state, prerequisites_document
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.system_state import examine_system_state

    state = examine_system_state(cycle.protocol, services=cycle.parameters.services, now=now())
    check_system_state(state)
    findings = cycle.document(artifacts)["artifacts"]
    return cycle.publish(
        "prerequisites.json",
        lambda: prerequisites_document(findings, state=state, protocol_sha256=cycle.protocol.digest, now=now()),
        inputs=[artifacts],
    )


@task_group(group_id="prerequisites")
def prerequisites() -> Any:
    """Verifies artifacts and system state, then waits for the three approvals of the specification."""
    services = open_cycle()
    sources = name_sources()
    artifacts = verify_artifacts()
    state = verify_system_state(artifacts)
    approvals = ProtocolApproval.partial(
        task_id="await_prerequisite_approvals",
        evidence=["prerequisites.json"],
        # A mapped operator's defaults do not reach the scheduler from its constructor.
        **RETRYING,
        map_index_template="{{ task.step }}",
    ).expand(step=list(PREREQUISITE_STEPS))
    services >> [sources, artifacts]
    state >> approvals
    return {"services": services, "sources": sources, "approved": approvals}
