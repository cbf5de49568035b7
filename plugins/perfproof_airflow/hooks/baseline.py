"""Measures the cells of one service: asks each metric's source, and leaves what the answers are worth to perfproof.baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perfproof.artifacts import BASELINE_JSON
from perfproof.baseline import (
    Window,
    adherence_percent,
    failed_series,
    measure_cell,
    rate_window,
    read_baseline,
    require_percentile_order,
    require_sources,
    service_document,
)
from perfproof.config import Protocol, Service, SourceKind
from perfproof.telemetry import MetricSpec, Series
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.hooks.metric_sources import METRIC_KINDS, MetricHook, metric_hook
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.workspace import Workspace

if TYPE_CHECKING:
    from perfproof_airflow.cycle import Cycle

ARTIFACT_FINDINGS = "evidence/prerequisite-artifacts.json"


def capture_service(protocol: Protocol, service: Service, *, start: float, end: float) -> dict[str, Any]:
    """The service's part of the baseline over the window that ends now (seconds since the epoch, cut to whole ones).

    Raises TelemetryError if a source cannot be reached or gave no valid sample at all, LoadError if the service does not
    say which build it is: a baseline proves something about one build only.
    """
    from perfproof_airflow.cycle import now

    window = Window(math.floor(start), math.floor(end), protocol.baseline.step_seconds)
    build = EndpointHook(service.endpoints.baseline, environment=protocol.environment.name).build().build
    hooks = metric_hooks(protocol)
    return measure_service(protocol, service, window=window, hooks=hooks, build=build, fetched_at=now())


def metric_hooks(protocol: Protocol) -> dict[str, MetricHook]:
    """One hook for each source of metrics, by the source's name. Nothing is opened yet."""
    from perfproof_airflow import settings

    workspace = Workspace(settings.workspace_root())
    return {source.name: metric_hook(source, workspace=workspace) for source in protocol.sources if source.kind in METRIC_KINDS}


def measure_service(
    protocol: Protocol,
    service: Service,
    *,
    window: Window,
    hooks: Mapping[str, MetricHook],
    build: str | None,
    fetched_at: datetime,
    judge_sources: bool = True,
) -> dict[str, Any]:
    """`evidence/baseline-<service>.json` from what the sources recorded in `window`.

    A query that its source refuses gives a FETCH_ERROR cell; a source that cannot be reached raises, as do percentiles out of
    order. `judge_sources` False also lets a window pass in which a source recorded nothing: such a gap is then what the
    document says.
    """
    rules = protocol.baseline
    cells, answers, measured = [], {}, []
    adherence: dict[str, float | None] = {}
    fetched = {
        spec.name: _fetched(spec, service, window=window, hook=hooks[spec.source], fetched_at=fetched_at)
        for spec in _scraped_first(protocol, service)
    }
    for spec in service.metrics:
        series, answers[spec.name] = fetched[spec.name]
        measured.append((spec, series))
        cells.append(
            measure_cell(
                spec,
                service.name,
                series,
                window_start=window.start,
                window_end=window.end,
                step=window.step,
                min_coverage=rules.min_coverage,
                min_samples=rules.min_samples,
                # A coarser step than the protocol file's keeps the allowed age in steps.
                max_staleness_seconds=rules.max_staleness_seconds * max(1.0, window.step / rules.step_seconds),
                collection_method=f"{hooks[spec.source].collection_method} ({spec.source})",
            )
        )
        adherence |= {slo.name: adherence_percent(slo, spec, series, window=window) for slo in service.slos if slo.metric == spec.name}
    require_percentile_order(service.name, measured)
    if judge_sources:
        require_sources(cells)
    return service_document(service, cells, window=window, adherence=adherence, build=build, answers=answers)


def baseline_window(protocol: Protocol, service: Service, *, now: float) -> tuple[float, float]:
    """Begin and end of the window to measure: the one that ends now, or where a metric is scraped by ourselves the one that begins now."""
    seconds = protocol.baseline.window_seconds
    return (now, now + seconds) if _scraped(protocol) & {spec.source for spec in service.metrics} else (now - seconds, now)


def _scraped(protocol: Protocol) -> set[str]:
    return {source.name for source in protocol.sources if source.kind is SourceKind.OPENMETRICS}


def _scraped_first(protocol: Protocol, service: Service) -> list[MetricSpec]:
    """The metrics, those first whose source is asked until the window ends: the others then have it behind them."""
    scraped = _scraped(protocol)
    return sorted(service.metrics, key=lambda spec: spec.source not in scraped)


def _fetched(spec: MetricSpec, service: Service, *, window: Window, hook: MetricHook, fetched_at: datetime) -> tuple[Series, str]:
    try:
        series, raw = hook.query_range_raw(
            spec,
            service=service.name,
            instance=service.endpoints.baseline.instance,
            # The sample at the window's start belongs to the window before.
            start=window.start + window.step,
            end=window.end,
            step=window.step,
            rate_window=rate_window(window.step),
            fetched_at=fetched_at,
        )
    except QueryRefused as error:
        failed = failed_series(
            spec, service.name, start=window.start, end=window.end, step=window.step, fetched_at=fetched_at, error=str(error)
        )
        return failed, ""
    return series, raw.decode()


def previous_baseline(cycle: Cycle) -> dict[str, Any] | None:
    """The baseline of the cycle before, as verify_artifacts found and kept it; None if there was none."""
    findings = cycle.document(ARTIFACT_FINDINGS)["artifacts"]
    found = next((item for item in findings if item["name"] == BASELINE_JSON and item["status"] == "ok"), None)
    return None if found is None else read_baseline(cycle.store.get_object(found["sha256"]), where=BASELINE_JSON)
