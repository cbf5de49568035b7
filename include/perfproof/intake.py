"""The intake report: what monitoring, incidents and deployments say about the services, and which pains follow from it.

A pain point is derived, never invented: a target that is missed, an incident that names the service, an item that the last
cycle left. What nobody told us is listed under `unknown` and stays UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.config import Protocol, Provides, Service, Slo, Source
from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.parameters import Parameters
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


def require_critical(document: Mapping[str, Any]) -> None:
    """Raises TelemetryError if a critical source is not ok: the halt "critical telemetry or incident data unavailable"."""
    if document["critical"] and document["status"] != SourceStatus.OK:
        raise TelemetryError(
            265, where=f"source {document['source']}", what=f"critical {document['provides']} are unavailable", got=document["reason"],
            fix="bring the source back or supply its file, then clear this task",
        )  # fmt: skip


def require_critical_sources(documents: Sequence[Mapping[str, Any]], protocol: Protocol) -> None:
    """Raises TelemetryError naming every critical source of the protocol file that is not ok or was never asked."""
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


def intake_report(
    *,
    run: str,
    protocol: Protocol,
    parameters: Parameters,
    sources: Sequence[tuple[Mapping[str, Any], str]],
    baseline: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """`performance-intake-report.json` from (source document, its digest) pairs and the baseline document.

    Raises TelemetryError if a critical source is not among them.
    """
    documents = [document for document, _ in sources]
    require_critical_sources(documents, protocol)
    services = [protocol.service(name) for name in parameters.services]
    found = {kind: _items(documents, kind) for kind in COLLECTED}
    metrics = [
        {"service": cell["service"], "metric": cell["metric_name"], **{key: cell[key] for key in ("value", "unit", "timestamp")}}
        for cell in baseline["cells"]
    ]
    return {
        "report_date": stamp(now),
        "run": run,
        "environment": parameters.environment,
        "objective": parameters.objective,
        "target_metric": parameters.target_metric,
        "services": list(parameters.services),
        "sources": [
            {"name": s["source"], **{key: s[key] for key in ("provides", "critical", "status", "reason")}, "sha256": digest}
            for s, digest in sources
        ],
        "metrics": metrics,
        "alerts": [item for item in found[Provides.ALERTS] if item["type"] == "alerts"],
        "dashboards": [item for item in found[Provides.ALERTS] if item["type"] == "dashboards"],
        "incidents": found[Provides.INCIDENTS],
        "deployments": found[Provides.DEPLOYMENTS],
        "logs": _items(documents, Provides.LOGS),
        "traces": _items(documents, Provides.TRACES),
        "pain_points": pain_points(
            services, metrics=metrics, slos=baseline["slos"], incidents=found[Provides.INCIDENTS], backlog=found[Provides.BACKLOG]
        ),
        "backlog": found[Provides.BACKLOG],
        "unknown": _unknown(services, documents, metrics, found),
    }


def pain_points(
    services: Sequence[Service],
    *,
    metrics: Sequence[Mapping[str, Any]],
    slos: Sequence[Mapping[str, Any]],
    incidents: Sequence[Mapping[str, Any]],
    backlog: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """{service, symptom, metric, value, unit, slo_target, business_impact, evidence} for each pain, worst missed target first.

    A target is missed if the metric's value is on its wrong side, or if it was kept for a smaller share of the time than
    the objective asks (`slos` are the baseline's records).
    """
    measured = {(m["service"], m["metric"]): m for m in metrics if m["value"] is not None}
    adherence = {(record["service"], record["slo_name"]): record for record in slos}
    missed: list[tuple[float, dict[str, Any]]] = []
    told: list[dict[str, Any]] = []
    for service in services:
        for slo in service.slos:
            spec, metric = service.metric(slo.metric), measured.get((service.name, slo.metric))
            if spec is None or metric is None:
                continue
            excess = (slo.target - metric["value"]) * spec.direction.sign / (abs(slo.target) or 1.0)
            record = adherence.get((service.name, slo.name), {})
            if excess > 0 or record.get("met") is False:
                missed.append((excess, _missed_target(service, slo, spec, metric, record)))
        told += [_incident_pain(service, incident) for incident in incidents if service.name in incident["services"]]
        told += [_backlog_pain(service, item) for item in backlog if item["service"] == service.name]
    return [point for _, point in sorted(missed, key=lambda pair: -pair[0])] + told


def _missed_target(service: Service, slo: Slo, spec: MetricSpec, metric: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    symptom = f"{slo.name}: {metric['value']:g} {metric['unit']} against a target of {slo.target:g} {slo.unit.value}"
    kept = record.get("adherence_percent")
    if kept is not None:
        symptom += f", kept {kept:g} % of the time ({slo.objective_percent:g} % asked)"
    if slo.sla is not None and (metric["value"] - slo.sla) * spec.direction.sign < 0:
        symptom += f", beyond the SLA of {slo.sla:g}"
    return {
        "service": service.name,
        "symptom": symptom,
        "metric": slo.metric,
        "value": metric["value"],
        "unit": metric["unit"],
        "slo_target": slo.target,
        "business_impact": service.business_impact.strip() or UNKNOWN,
        "evidence": [f"metric {slo.metric} at {metric['timestamp']}"],
    }


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
