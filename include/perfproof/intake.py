"""The intake report: what monitoring, incidents and deployments say about the services, and which pains follow from it.

A pain point is derived, never invented: a target that is missed, an incident that names the service, an item that the last
cycle left; `perfproof.pain_points` ranks them. `perfproof.timeline` joins everything on one line of time, `perfproof.watched` says which
objectives have an alert. What nobody told us is listed under `unknown` and stays UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.config import Protocol, Provides, Service, Source
from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.pain_points import UNKNOWN
from perfproof.pain_points import pain_points as pain_points
from perfproof.parameters import Parameters
from perfproof.timeline import coincidences, timeline
from perfproof.watched import watch_findings, watched_objectives

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
    found_pains = pain_points(
        services, metrics=metrics, slos=baseline["slos"], incidents=found[Provides.INCIDENTS], backlog=found[Provides.BACKLOG], now=now
    )
    moments = {(m["service"], m["metric"]): m["timestamp"] for m in metrics}
    missed = [
        {"service": p["service"], "symptom": p["symptom"], "at": moments[p["service"], p["metric"]]}
        for p in found_pains
        if p["value"] is not None
    ]
    entries, left_out = timeline(documents, missed=missed)
    by_type = {kind: [item for item in found[Provides.ALERTS] if item["type"] == kind] for kind in ("alerts", "dashboards", "recordings")}
    watched = watched_objectives(
        services, alerts=by_type["alerts"], dashboards=by_type["dashboards"], recordings=by_type["recordings"],
        told=any(d["provides"] == Provides.ALERTS and d["status"] == SourceStatus.OK for d in documents),
    )  # fmt: skip
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
        "alerts": by_type["alerts"],
        "dashboards": by_type["dashboards"],
        "incidents": found[Provides.INCIDENTS],
        "deployments": found[Provides.DEPLOYMENTS],
        "logs": _items(documents, Provides.LOGS),
        "traces": _items(documents, Provides.TRACES),
        "timeline": entries,
        "timeline_left_out": left_out,
        "coincidences": coincidences(documents),
        "watched": watched,
        "findings": watch_findings(watched),
        "pain_points": found_pains,
        "backlog": found[Provides.BACKLOG],
        "unknown": _unknown(services, documents, metrics, found),
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
