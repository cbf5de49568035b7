"""The hook for a declared source of metrics, whatever its kind. Nothing is opened before the first question."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from perfproof.config import Source, SourceKind
from perfproof.errors import ConfigError
from perfproof.telemetry import MetricSpec, Series
from perfproof_airflow.hooks.workspace import Workspace


class MetricHook(Protocol):
    """What every source of metrics does: one Series a question, and a probe that says whether anything answers now."""

    @property
    def collection_method(self) -> str:
        """How it collects, in words for the baseline."""
        ...

    def query_range_raw(
        self, spec: MetricSpec, *, service: str, instance: str, start: float, end: float, step: float, rate_window: float,
        fetched_at: datetime,
    ) -> tuple[Series, bytes]:  # fmt: skip
        """The samples of `spec` from `start` to `end`, as received, with the bytes of the answers."""
        ...

    def probe(self, probe: str, *, at: float) -> int:
        """How many samples answer at `at`; TelemetryError if none."""
        ...


METRIC_KINDS = frozenset((SourceKind.PROMETHEUS, SourceKind.CLOUDWATCH, SourceKind.DATADOG, SourceKind.OPENMETRICS, SourceKind.METRIC_FILE))


def metric_hook(source: Source, *, workspace: Workspace) -> MetricHook:
    """The hook of `source`. Raises ConfigError for a source that is none of metrics."""
    connection = source.connection or ""
    match source.kind:
        case SourceKind.PROMETHEUS:
            from perfproof_airflow.hooks.prometheus import PrometheusHook

            return PrometheusHook(connection, source=source.name)
        case SourceKind.CLOUDWATCH:
            from perfproof_airflow.hooks.cloudwatch import CloudWatchHook

            return CloudWatchHook(connection, source=source.name)
        case SourceKind.DATADOG:
            from perfproof_airflow.hooks.datadog import DatadogHook

            return DatadogHook(connection, source=source.name)
        case SourceKind.OPENMETRICS:
            from perfproof_airflow.hooks.open_metrics import OpenMetricsHook

            return OpenMetricsHook(connection, source=source.name)
        case SourceKind.METRIC_FILE:
            from perfproof_airflow.hooks.metric_files import MetricFilesHook

            return MetricFilesHook(workspace, source.path or "", source=source.name)
    raise ConfigError(253, where=f"source {source.name}", what="not a source of metrics", got=source.kind.value, fix="name one of metrics")
