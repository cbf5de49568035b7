"""The target metric of a cycle in the recurring captures of its protocol: what an SLO proposal is back-tested over."""

from __future__ import annotations

from perfproof.config import Service
from perfproof.errors import PerfproofError
from perfproof.slos.captured import MetricHistory, captured_history
from perfproof.slos.proposal import NO_CAPTURES
from perfproof_airflow import settings
from perfproof_airflow.captures import HISTORY_DIRECTORY, kept_history
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.hooks.workspace import Workspace


def target_history(cycle: Cycle, service: Service) -> tuple[MetricHistory | None, str]:
    """The history, or None and why there is none. One that cannot be read stops nothing: the proposal then says so."""
    spec = service.metric(cycle.parameters.target_metric)
    if spec is None:
        return None, NO_CAPTURES
    directory = settings.option("history_dir", HISTORY_DIRECTORY)
    try:
        captures = kept_history(Workspace(settings.workspace_root()), directory, cycle.protocol.name, until=now())
    except PerfproofError as error:
        return None, f"the recurring captures cannot be read: {error.code}"
    if not captures:
        return None, "there are no recurring captures of this protocol"
    return captured_history(captures, service=service.name, metric=spec.name, unit=spec.unit.value), NO_CAPTURES
