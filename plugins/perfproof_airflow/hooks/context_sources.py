"""The hook for a declared source of logs, traces, alerts, incidents or deployments, whatever its kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from perfproof.config import Source, SourceKind
from perfproof.errors import ConfigError
from perfproof_airflow.hooks.workspace import Workspace


class ContextHook(Protocol):
    """What every source of context does: the items of a window, by what they are, with the bytes of the answers."""

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """What happened from `start` to `end`."""
        ...


def context_hook(source: Source, *, workspace: Workspace) -> ContextHook:
    """The hook of `source`. Raises ConfigError for a source that is asked in another way."""
    connection = source.connection or ""
    match source.kind:
        case SourceKind.CLOUDWATCH_LOGS:
            from perfproof_airflow.hooks.cloudwatch_logs import CloudWatchLogsHook

            return CloudWatchLogsHook(connection, source=source.name)
        case SourceKind.JAEGER:
            from perfproof_airflow.hooks.jaeger import JaegerHook

            return JaegerHook(connection, source=source.name)
        case SourceKind.TEMPO:
            from perfproof_airflow.hooks.tempo import TempoHook

            return TempoHook(connection, source=source.name)
        case SourceKind.XRAY:
            from perfproof_airflow.hooks.xray import XRayHook

            return XRayHook(connection, source=source.name)
        case SourceKind.ALERTMANAGER:
            from perfproof_airflow.hooks.alertmanager import AlertmanagerHook

            return AlertmanagerHook(connection, source=source.name)
        case SourceKind.CLOUDWATCH_ALARMS:
            from perfproof_airflow.hooks.cloudwatch_alarms import CloudWatchAlarmsHook

            return CloudWatchAlarmsHook(connection, source=source.name)
        case SourceKind.PAGERDUTY:
            from perfproof_airflow.hooks.pagerduty_incidents import PagerDutyIncidentsHook

            return PagerDutyIncidentsHook(connection, source=source.name)
        case SourceKind.GIT_TAGS:
            from perfproof_airflow.hooks.git_tags import GitTagsHook

            return GitTagsHook(workspace, source.path or "", source=source.name, service=source.service)
        case SourceKind.AIRFLOW_RUNS:
            from perfproof_airflow.hooks.airflow_runs import AirflowRunsHook

            return AirflowRunsHook(connection, source=source.name, service=source.service)
    raise ConfigError(
        254, where=f"source {source.name}", what="not a source that is asked for a window", got=source.kind.value, fix="correct its kind"
    )
