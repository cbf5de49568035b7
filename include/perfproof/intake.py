"""The intake report: what monitoring, incidents and deployments say about the services, and which pains follow from it.

A pain point is derived, never invented: a target that is missed, an incident that names the service, an item that the last
cycle left. What nobody told us is listed under `unknown` and stays UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from perfproof.baseline import Cell
from perfproof.config import Protocol, Provides, Service, Slo, Source
from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.telemetry import MetricSpec

UNKNOWN = "UNKNOWN"
# What an intake report aggregates from sources; metrics come from the baseline's cells.
COLLECTED = (Provides.ALERTS, Provides.INCIDENTS, Provides.DEPLOYMENTS, Provides.BACKLOG)


class SourceStatus(StrEnum):
    """What became of a source: a critical one that is absent is missing, an optional one unknown."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"


def source_document(
    source: Source,
    *,
    fetched_at: datetime,
    items: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    sha256: str | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """`evidence/source-<source>.json`. `items` by what they are (`alerts`, `dashboards`, `logs`, …); None if it did not answer.

    Each item keeps its fields and gains `type`, the key that it came under.
    """
    answered = items is not None and error is None
    absent = SourceStatus.MISSING if source.critical else SourceStatus.UNKNOWN
    return {
        "source": source.name,
        "kind": source.kind.value,
        "provides": source.provides.value,
        "critical": source.critical,
        "status": (SourceStatus.OK if answered else absent).value,
        "reason": None if answered else error or "the source did not answer",
        "fetched_at": stamp(fetched_at),
        "sha256": sha256,
        "items": [{"type": kind, **item} for kind, found in (items or {}).items() for item in found] if answered else [],
    }


def require_critical_sources(documents: Sequence[Mapping[str, Any]], protocol: Protocol) -> None:
    """Raises TelemetryError naming every critical source that is missing or was never asked.

    The specification's halt: pause if critical telemetry or incident data is unavailable.
    """
    found = {str(document["source"]): document for document in documents}
    absent = [
        f"{source.name} ({source.provides}): {found[source.name]['reason'] if source.name in found else 'never asked'}"
        for source in protocol.sources
        if source.critical and (source.name not in found or found[source.name]["status"] != SourceStatus.OK)
    ]
    if absent:
        raise TelemetryError(
            265, where="intake", what="critical telemetry or incident data is unavailable", got="; ".join(absent),
            fix="bring the source back or supply its file, then clear collect_telemetry",
        )  # fmt: skip


def metric_record(cell: Cell) -> dict[str, Any]:
    """One entry of the report's `metrics`; `value` is None where nothing was measured."""
    moment = datetime.fromtimestamp(cell.window_end, UTC)
    return {
        "service": cell.service,
        "metric": cell.metric,
        "value": cell.value,
        "unit": cell.unit.value,
        "timestamp": stamp(moment),
    }


def intake_report(
    *,
    run: str,
    protocol: Protocol,
    services: Sequence[Service],
    sources: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """`performance-intake-report.json` from source documents and metric records. Raises TelemetryError without a critical source."""
    require_critical_sources(sources, protocol)
    found = {kind: _items(sources, kind) for kind in COLLECTED}
    points = pain_points(services, metrics=metrics, incidents=found[Provides.INCIDENTS], backlog=found[Provides.BACKLOG])
    return {
        "report_date": stamp(now),
        "run": run,
        "environment": protocol.environment.name,
        "objective": protocol.objective,
        "target_metric": protocol.target_metric,
        "services": [service.name for service in services],
        "sources": [
            {"name": s["source"], **{key: s[key] for key in ("provides", "critical", "status", "reason", "sha256")}} for s in sources
        ],
        "metrics": [dict(metric) for metric in metrics],
        "alerts": [item for item in found[Provides.ALERTS] if item["type"] == "alerts"],
        "dashboards": [item for item in found[Provides.ALERTS] if item["type"] == "dashboards"],
        "incidents": found[Provides.INCIDENTS],
        "deployments": found[Provides.DEPLOYMENTS],
        "logs": _items(sources, Provides.LOGS),
        "traces": _items(sources, Provides.TRACES),
        "pain_points": points,
        "backlog": found[Provides.BACKLOG],
        "unknown": _unknown(services, sources, metrics, found),
    }


def pain_points(
    services: Sequence[Service],
    *,
    metrics: Sequence[Mapping[str, Any]],
    incidents: Sequence[Mapping[str, Any]],
    backlog: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """{service, symptom, metric, value, unit, slo_target, business_impact, evidence} for each pain, worst missed target first."""
    measured = {(m["service"], m["metric"]): m for m in metrics}
    missed: list[tuple[float, dict[str, Any]]] = []
    told: list[dict[str, Any]] = []
    for service in services:
        for slo in service.slos:
            spec = service.metric(slo.metric)
            metric = measured.get((service.name, slo.metric))
            if spec and metric and metric["value"] is not None and _excess(slo, spec, metric["value"]) > 0:
                missed.append((_excess(slo, spec, metric["value"]), _missed_target(service, slo, metric)))
        told += [_incident_pain(service, incident) for incident in incidents if service.name in incident["services"]]
        told += [_backlog_pain(service, item) for item in backlog if item["service"] == service.name]
    return [point for _, point in sorted(missed, key=lambda pair: -pair[0])] + told


def _excess(slo: Slo, spec: MetricSpec, value: float) -> float:
    """By which share of the target `value` misses it; 0 or less if it holds."""
    return (slo.target - value) * spec.direction.sign / (abs(slo.target) or 1.0)


def _missed_target(service: Service, slo: Slo, metric: Mapping[str, Any]) -> dict[str, Any]:
    excess = f"{slo.name}: {metric['value']:g} {metric['unit']} against a target of {slo.target:g} {slo.unit.value}"
    beyond = slo.sla is not None and _excess_of(slo, slo.sla, metric["value"])
    return {
        "service": service.name,
        "symptom": f"{excess}, beyond the SLA of {slo.sla:g}" if beyond else excess,
        "metric": slo.metric,
        "value": metric["value"],
        "unit": metric["unit"],
        "slo_target": slo.target,
        "business_impact": service.business_impact.strip() or UNKNOWN,
        "evidence": [f"metric {slo.metric} at {metric['timestamp']}"],
    }


def _excess_of(slo: Slo, sla: float, value: float) -> bool:
    # The SLA lies on the far side of the target, which tells the direction.
    return value > sla if sla >= slo.target else value < sla


def _incident_pain(service: Service, incident: Mapping[str, Any]) -> dict[str, Any]:
    told = str(incident.get("impact") or UNKNOWN)
    return {
        "service": service.name,
        "symptom": f"Incident {incident['id']}: {incident['title']}",
        "metric": None,
        "value": None,
        "unit": None,
        "slo_target": None,
        "business_impact": told if told != UNKNOWN else service.business_impact.strip() or UNKNOWN,
        "evidence": [f"incident {incident['id']} from {incident['started_at']}"],
    }


def _backlog_pain(service: Service, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "service": service.name,
        "symptom": f"Left by an earlier cycle: {item['title']}",
        "metric": item["metric"],
        "value": None,
        "unit": None,
        "slo_target": None,
        "business_impact": service.business_impact.strip() or UNKNOWN,
        "evidence": [f"backlog item {item['id']}: {item['reason']}"],
    }


def _items(sources: Sequence[Mapping[str, Any]], provides: Provides) -> list[dict[str, Any]]:
    return [dict(item) for source in sources if source["provides"] == provides for item in source["items"]]


def _unknown(
    services: Sequence[Service],
    sources: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    found: Mapping[Provides, Sequence[Mapping[str, Any]]],
) -> list[str]:
    lines = [f"{s['provides']} from {s['source']}: {s['reason']}" for s in sources if s["status"] != SourceStatus.OK]
    asked = {s["provides"] for s in sources}
    lines += [f"{kind}: no source declared" for kind in COLLECTED if kind not in asked]
    measured = {(m["service"], m["metric"]) for m in metrics if m["value"] is not None}
    lines += [f"{s.name}/{spec.name}: no value" for s in services for spec in s.metrics if (s.name, spec.name) not in measured]
    deployed = {item["service"] for item in found[Provides.DEPLOYMENTS]}
    lines += [f"{service.name}: no deployment reported" for service in services if service.name not in deployed]
    return lines + [f"incident {item['id']}: impact" for item in found[Provides.INCIDENTS] if item.get("impact") in (None, "", UNKNOWN)]
