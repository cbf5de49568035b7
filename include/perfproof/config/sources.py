"""What a cycle starts from: supplied files, telemetry sources, and the environment that is measured in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Validator(StrEnum):
    """How a supplied file is checked."""

    MONITORING_PACKAGE = "monitoring_package"
    INCIDENT_REPORT = "incident_report"
    DEPLOYMENT_REPORT = "deployment_report"
    INTAKE_BACKLOG = "intake_backlog"
    BASELINE_METRICS = "baseline_metrics"


@dataclass(frozen=True, slots=True)
class PrerequisiteArtifact:
    """A file that must be there (or is used if available) before the cycle starts. `path` is relative to the workspace."""

    name: str
    path: str
    required: bool
    max_age_days: float
    validator: Validator


class SourceKind(StrEnum):
    """The kinds of telemetry source that this version reads."""

    PROMETHEUS = "prometheus"
    CLOUDWATCH = "cloudwatch"
    DATADOG = "datadog"
    OPENMETRICS = "openmetrics"
    METRIC_FILE = "metric_file"
    JSON_LINES = "json_lines"
    CLOUDWATCH_LOGS = "cloudwatch_logs"
    JAEGER = "jaeger"
    TEMPO = "tempo"
    XRAY = "xray"
    ALERTMANAGER = "alertmanager"
    CLOUDWATCH_ALARMS = "cloudwatch_alarms"
    PAGERDUTY = "pagerduty"
    GIT_TAGS = "git_tags"
    AIRFLOW_RUNS = "airflow_runs"
    ARTIFACT = "artifact"


class Provides(StrEnum):
    """What a source is for."""

    METRICS = "metrics"
    LOGS = "logs"
    TRACES = "traces"
    ALERTS = "alerts"
    INCIDENTS = "incidents"
    DEPLOYMENTS = "deployments"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Source:
    """A telemetry source. A missing critical one halts the cycle; a missing optional one is UNKNOWN in the report.

    `connection` is an Airflow Connection, `path` a file or a directory of the workspace, `probe` a query of metrics that must
    return a sample now, `query` what a source of logs, traces, incidents or deployments is asked for, `artifact` one of the
    prerequisites' artifacts, `service` the one that a source of deployments tells about; `perfproof.source_checks` says which kind
    needs which. `lookback_hours`: how far back the source
    is asked for what happened.
    """

    name: str
    kind: SourceKind
    provides: Provides
    critical: bool
    connection: str | None = None
    probe: str | None = None
    path: str | None = None
    artifact: str | None = None
    query: str | None = None
    service: str | None = None
    lookback_hours: float = 24.0


class MirrorKind(StrEnum):
    """Where a fact of the test environment is read."""

    METRIC = "metric"
    SQL = "sql"


@dataclass(frozen=True, slots=True)
class MirrorCheck:
    """One fact in which the test environment must mirror production: `production` within `tolerance` (a share)."""

    name: str
    kind: MirrorKind
    query: str
    production: float
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment that is load-tested. The target must name it itself before any load is sent."""

    name: str
    production: bool
    mirrors_production: tuple[MirrorCheck, ...]
