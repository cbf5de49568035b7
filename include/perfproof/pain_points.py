"""What hurts, ranked by business impact, each with the reasons of its rank in words.

The order, each rule deciding what the one before leaves equal:

1. a critical service before others;
2. a missed target before what is only reported, by the share of the target that it is missed by;
3. the incident of the graver severity (level 1 is the gravest; one that is not known counts as level 3), then the longer one;
4. what more of the measured traffic goes through;
5. the order of the services in the run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.config import Service, Slo
from perfproof.errors import ArtifactError
from perfproof.inputs.backlog import DRIFT
from perfproof.moments import parse_stamp
from perfproof.telemetry import MetricKind, MetricSpec

UNKNOWN = "UNKNOWN"
UNRANKED_SEVERITY = 3
NO_INCIDENT = 9
NUMBERED = re.compile(r"(?:sev|severity|p|prio|priority|s)?[\s_-]*([0-5])")
LEVELS: Mapping[str, int] = {
    word: level
    for level, words in {
        1: "critical emergency blocker disaster page fatal",
        2: "high major error urgent",
        3: "medium moderate warning ticket",
        4: "low minor info informational",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A pain and what its rank rests on: shares of 0 to 1, hours, and the level of severity."""

    point: dict[str, Any]
    critical: bool
    missed: float | None = None
    level: int = NO_INCIDENT
    hours: float = 0.0
    traffic: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[bool, bool, float, int, float, float]:
        return (not self.critical, self.missed is None, -(self.missed or 0.0), self.level, -self.hours, -(self.traffic or 0.0))


def pain_points(
    services: Sequence[Service],
    *,
    metrics: Sequence[Mapping[str, Any]],
    slos: Sequence[Mapping[str, Any]],
    incidents: Sequence[Mapping[str, Any]],
    backlog: Sequence[Mapping[str, Any]],
    now: datetime | None = None,
) -> list[dict[str, Any]]:
    """{rank, rank_reasons, service, symptom, metric, value, unit, slo_target, business_impact, evidence} for each pain.

    A target is missed if the metric's value is on its wrong side, or if it was kept for a smaller share of the time than
    the objective asks (`slos` are the baseline's records); it is missed by the larger of the two shares. `now` tells how long an
    incident without an end has lasted.
    """
    measured = {(m["service"], m["metric"]): m for m in metrics if m["value"] is not None}
    adherence = {(record["service"], record["slo_name"]): record for record in slos}
    rates = {s.name: _rate(s, measured) for s in services}
    whole = sum(rate for rate in rates.values() if rate is not None)
    found: list[_Weighed] = []
    for service in services:
        rate = rates[service.name]
        # A share of the traffic can be told only if that of every service is known.
        share = rate / whole if rate is not None and whole and None not in rates.values() else None
        for slo in service.slos:
            spec, metric = service.metric(slo.metric), measured.get((service.name, slo.metric))
            if spec is None or metric is None:
                continue
            excess = (slo.target - metric["value"]) * spec.direction.sign / (abs(slo.target) or 1.0)
            record = adherence.get((service.name, slo.name), {})
            if excess > 0 or record.get("met") is False:
                found.append(_missed_target(service, slo, spec, metric, record, excess=excess, share=share))
        found += [_incident_pain(service, incident, share=share, now=now) for incident in incidents if service.name in incident["services"]]
        found += [_backlog_pain(service, item, share=share) for item in backlog if item["service"] == service.name]
    found.sort(key=lambda weighed: weighed.order)
    return [{"rank": rank, "rank_reasons": list(_reasons(w)), **w.point} for rank, w in enumerate(found, start=1)]


def _reasons(weighed: _Weighed) -> tuple[str, ...]:
    traffic = () if weighed.traffic is None else (f"{100 * weighed.traffic:.3g} % of the measured requests",)
    return ("critical service" if weighed.critical else "service that is not critical", *weighed.reasons, *traffic)


def _rate(service: Service, measured: Mapping[tuple[str, str], Mapping[str, Any]]) -> float | None:
    """Requests per second of the service in the baseline, None if they were not measured."""
    names = [spec.name for spec in service.metrics if spec.kind is MetricKind.THROUGHPUT]
    return max((float(measured[service.name, name]["value"]) for name in names if (service.name, name) in measured), default=None)


def _through(service: Service, metric: str, share: float | None) -> float | None:
    """The share of the traffic that `metric` is about: that of the transaction that its name begins with, else the service's."""
    named = [t for t in service.transactions if metric.startswith(f"{t.name}_")]
    weights = sum(t.weight for t in service.transactions)
    if share is None or not named or not weights:
        return share
    return share * max(named, key=lambda t: len(t.name)).weight / weights


def _missed_target(
    service: Service,
    slo: Slo,
    spec: MetricSpec,
    metric: Mapping[str, Any],
    record: Mapping[str, Any],
    *,
    excess: float,
    share: float | None,
) -> _Weighed:
    symptom = f"{slo.name}: {metric['value']:g} {metric['unit']} against a target of {slo.target:g} {slo.unit.value}"
    kept = record.get("adherence_percent")
    short = 0.0 if kept is None else (slo.objective_percent - kept) / 100
    if kept is not None:
        symptom += f", kept {kept:g} % of the time ({slo.objective_percent:g} % asked)"
    if slo.sla is not None and (metric["value"] - slo.sla) * spec.direction.sign < 0:
        symptom += f", beyond the SLA of {slo.sla:g}"
    missed = max(excess, short, 0.0)
    how = "target missed" if excess >= short else "share of the time missed"
    point = {
        "service": service.name,
        "symptom": symptom,
        "metric": slo.metric,
        "value": metric["value"],
        "unit": metric["unit"],
        "slo_target": slo.target,
        "business_impact": service.business_impact.strip() or UNKNOWN,
        "evidence": [f"metric {slo.metric} at {metric['timestamp']}"],
    }
    traffic = _through(service, slo.metric, share)
    return _Weighed(point, service.critical, missed=missed, traffic=traffic, reasons=(f"{how} by {100 * missed:.3g} %",))


def _incident_pain(service: Service, incident: Mapping[str, Any], *, share: float | None, now: datetime | None) -> _Weighed:
    told = str(incident.get("impact") or UNKNOWN)
    level, known = severity_level(incident.get("severity"))
    hours, lasted = _lasted(incident, now)
    severity = f"severity {incident['severity']}" if known else f"severity not known, ranked like level {UNRANKED_SEVERITY}"
    point = {
        "service": service.name,
        "symptom": f"Incident {incident['id']}: {incident['title']}",
        "metric": None,
        "value": None,
        "unit": None,
        "slo_target": None,
        "business_impact": told if told != UNKNOWN else service.business_impact.strip() or UNKNOWN,
        "evidence": [f"incident {incident['id']} from {incident['started_at']}"],
    }
    return _Weighed(point, service.critical, level=level, hours=hours, traffic=share, reasons=(severity, lasted))


def severity_level(severity: Any) -> tuple[int, bool]:
    """0 or 1 (the gravest) to 5 for `SEV2`, `P1`, `high` and the like, and whether it was understood."""
    words = str(severity or "").strip().casefold()
    numbered = NUMBERED.fullmatch(words)
    level = int(numbered[1]) if numbered else LEVELS.get(words)
    return (UNRANKED_SEVERITY, False) if level is None else (level, True)


def _lasted(incident: Mapping[str, Any], now: datetime | None) -> tuple[float, str]:
    try:
        started = parse_stamp(incident["started_at"])
        ended = None if incident.get("ended_at") is None else parse_stamp(incident["ended_at"])
    except ArtifactError:
        return 0.0, "duration not known"
    until = ended or now
    if until is None:
        return 0.0, "not over, duration not known"
    minutes = max(0, round((until - started).total_seconds() / 60))
    words = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.3g} h"
    return minutes / 60, f"lasted {words}" if ended else f"has lasted {words} and is not over"


def _backlog_pain(service: Service, item: Mapping[str, Any], *, share: float | None) -> _Weighed:
    origin = "found by the recurring capture" if item.get("kind") == DRIFT else "left by an earlier cycle"
    point = {
        "service": service.name,
        "symptom": f"{origin[0].upper()}{origin[1:]}: {item['title']}",
        "metric": item["metric"],
        "value": None,
        "unit": None,
        "slo_target": None,
        "business_impact": service.business_impact.strip() or UNKNOWN,
        "evidence": [f"backlog item {item['id']}: {item['reason']}"],
    }
    traffic = share if item["metric"] is None else _through(service, str(item["metric"]), share)
    return _Weighed(point, service.critical, traffic=traffic, reasons=(origin,))
