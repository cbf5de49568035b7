"""The SLO proposal of a cycle, from its measurement and its validation report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof_airflow.cycle import Cycle, now

PROPOSAL = "evidence/slo-proposal.json"


def proposal_document(cycle: Cycle, validation: Mapping[str, Any], measurement: Mapping[str, Any]) -> dict[str, Any]:
    """The targets that the measurement supports, with their alerts and back-tests."""
    from perfproof.judging.target_values import target_values
    from perfproof.slo import propose_updates
    from perfproof_airflow.target_history import target_history

    measured = cycle.document(measurement)
    service = cycle.protocol.service(measured["service"])
    history, no_history = target_history(cycle, service)
    return propose_updates(
        validation=cycle.document(validation),
        validation_ref=cycle.source(validation),
        candidate_blocks=target_values(measured, cycle.parameters.target_metric, service=service, side="candidate"),
        service=service,
        now=now(),
        history=history,
        no_history=no_history,
    )
