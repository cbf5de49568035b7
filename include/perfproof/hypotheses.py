"""Hypotheses: what the baseline makes suspect, what would confirm it, and what the diagnostics then said.

Before the diagnostics there are the baseline and the intake, so a suspicion rests on the resource utilization that goes with a
symptom, and on the spans that take the time in the traces of sources. Where neither says anything, the cause stays unknown. What
happened shortly before is noted beside a hypothesis and supports none. `perfproof.hypothesis_results` marks them by the measured result.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfproof import markdown
from perfproof.config import Cause, Service
from perfproof.findings import MINOR, DiagnosticFinding, findings_of
from perfproof.telemetry import MetricKind, Unit
from perfproof.trace_support import MOST_PERCENT, TraceSupport, trace_support

# Utilization in percent of the limit. Below LOW a slow service waits rather than computes; above HIGH it computes; from
# NEAR on, queues at the resource itself explain latency (at 85 percent a single server's queue holds about 6 requests).
LOW = 30.0
HIGH = 70.0
NEAR = 85.0
MAX_COINCIDENCES = 5

CONFIRMED_BY = {
    Cause.CODE_HOT_PATH: "A profile under load in which one path of the code carries at least 15 percent of the CPU samples.",
    Cause.DATABASE_CONTENTION: "Query plans that show rows read in vain or a spill to disk in statements with at least 5 percent of the "
    "database's time, or a statement that is repeated many times per request.",
    Cause.INFRASTRUCTURE_LIMIT: "A stress test in which throughput stops to rise while the resource stays at its limit.",
}


def formulate(
    *,
    intake: Mapping[str, Any],
    baseline: Mapping[str, Any],
    services: Sequence[Service],
    target_metric: str,
    baseline_reference: Mapping[str, str],
) -> dict[str, Any]:
    """`evidence/hypotheses.json` (shape 4): per symptom of the baseline the causes that it makes suspect.

    Symptoms are objectives that are not met, pain points of the intake, and the target metric of the cycle. A symptom
    without a suspicion is listed under `unknown`, with what the baseline lacks. `observations` {kind: traces | timeline, text,
    supports} are what the intake's traces say about the cause (supports true or false), and coincidences in time (supports null).
    """
    hypotheses: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for service in services:
        for metric, symptom in _symptoms(service, intake, baseline, target_metric):
            support = trace_support(intake.get("traces") or (), service=service, metric=metric)
            suspicions, lacking = _suspicions(service, metric, baseline, support)
            if not suspicions:
                unknown.append({"service": service.name, "symptom": symptom, "metric": metric, "reason": lacking})
            for cause, why in suspicions:
                hypotheses.append(
                    {
                        "id": f"HYP-{len(hypotheses) + 1:03d}",
                        "service": service.name,
                        "symptom": symptom,
                        "suspected_cause": why,
                        "cause": cause.value,
                        "confirming_evidence": CONFIRMED_BY[cause],
                        "metric": metric,
                        "baseline": dict(baseline_reference),
                        "observations": _observations(service, cause, support, intake),
                        "status": "open",
                        "status_reason": "The diagnostics have not run yet.",
                    }
                )
    return {"hypotheses": hypotheses, "unknown": unknown}


def _cells(baseline: Mapping[str, Any], service: str) -> dict[str, Mapping[str, Any]]:
    return {c["metric_name"]: c for c in baseline["cells"] if c["service"] == service and c["value"] is not None}


def _symptoms(service: Service, intake: Mapping[str, Any], baseline: Mapping[str, Any], target: str) -> list[tuple[str, str]]:
    """(metric, symptom) pairs, one a metric: the first source that names a metric describes it."""
    cells = _cells(baseline, service.name)
    found: dict[str, str] = {}
    for slo in baseline["slos"]:
        if slo["service"] == service.name and slo["met"] is False:
            cell = cells.get(slo["metric"])
            measured = f"{cell['value']:g} {cell['unit']}" if cell else "not measured"
            found.setdefault(slo["metric"], f"{slo['slo_name']} is not met: {measured}, target {slo['target']:g} {slo['unit']}")
    for point in intake["pain_points"]:
        if point["service"] == service.name and point["metric"]:
            found.setdefault(point["metric"], point["symptom"])
    if service.metric(target) is not None:
        cell = cells.get(target)
        measured = f"is {cell['value']:g} {cell['unit']}" if cell else "has no value"
        found.setdefault(target, f"{target} {measured} in the baseline and is what this cycle is to improve")
    return list(found.items())


def _observations(service: Service, cause: Cause, support: TraceSupport | None, intake: Mapping[str, Any]) -> list[dict[str, Any]]:
    traced = support.observation(cause) if support else None
    near = [c for c in intake.get("coincidences") or () if c["service"] == service.name][-MAX_COINCIDENCES:]
    return [*([traced] if traced else []), *({"kind": "timeline", "text": str(c["what"]), "supports": None} for c in near)]


def _suspicions(
    service: Service, metric: str, baseline: Mapping[str, Any], support: TraceSupport | None
) -> tuple[list[tuple[Cause, str]], str]:
    found, lacking = _by_utilization(service, metric, baseline)
    spec = service.metric(metric)
    if support is None or spec is None or spec.kind not in (MetricKind.LATENCY, MetricKind.THROUGHPUT):
        return found, lacking
    causes = {cause for cause, _ in found}
    if support.database >= MOST_PERCENT and Cause.DATABASE_CONTENTION not in causes:
        found.append((Cause.DATABASE_CONTENTION, f"{support.text('database', support.database)}: the database is suspected"))
    if support.own >= MOST_PERCENT and not causes and not _knows_cpu(service, baseline):
        # A service whose CPU is idle does not compute in its own spans: it waits for something that nobody traces.
        found.append((Cause.CODE_HOT_PATH, f"{support.text('own', support.own)}: a code hot path is possible"))
    return found, f"{lacking}; {support.elsewhere}, so another service is what requests wait for" if support.elsewhere else lacking


def _knows_cpu(service: Service, baseline: Mapping[str, Any]) -> bool:
    cells = _cells(baseline, service.name)
    return any(m.kind is MetricKind.UTILIZATION and "cpu" in m.name and m.name in cells for m in service.metrics)


def _by_utilization(service: Service, metric: str, baseline: Mapping[str, Any]) -> tuple[list[tuple[Cause, str]], str]:
    cells = _cells(baseline, service.name)
    spec = service.metric(metric)
    used = {
        m.name: float(cells[m.name]["value"])
        for m in service.metrics
        if m.kind is MetricKind.UTILIZATION and m.unit is Unit.PERCENT and m.name in cells
    }
    found = [
        (Cause.INFRASTRUCTURE_LIMIT, f"{name} is {value:.3g} percent, near its limit") for name, value in used.items() if value >= NEAR
    ]
    if spec is None or spec.kind not in (MetricKind.LATENCY, MetricKind.THROUGHPUT):
        return found, f"{metric} is no latency or throughput and no resource is near its limit: the baseline does not tell a cause"
    cpu = [(name, value) for name, value in used.items() if "cpu" in name]
    if not cpu:
        return found, "the baseline holds no CPU utilization of the service"
    name, value = max(cpu, key=lambda pair: pair[1])
    if value >= LOW:
        found.append((Cause.CODE_HOT_PATH, f"{name} is {value:.3g} percent, so requests spend their time computing: {_kind(value)}"))
    if value < HIGH and service.endpoints.baseline.database_connection is not None:
        how = "low" if value < LOW else "moderate"
        found.append(
            (Cause.DATABASE_CONTENTION, f"{name} is {value:.3g} percent, {how}, so requests wait for something; its database is suspected")
        )
    return found, f"{name} is {value:.3g} percent, so requests wait, and the protocol file names no database that they could wait for"


def _kind(value: float) -> str:
    return "a code hot path is suspected" if value >= HIGH else "a code hot path is possible beside waiting"


def update_status(
    hypotheses: Mapping[str, Any], *, profiles: Sequence[Mapping[str, Any]], plans: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A copy of `hypotheses` with each status decided by the diagnostics: confirmed, refuted, or still open, and why.

    Traces neither confirm nor refute, for they tell where the time is spent and not why; but what they support is not refuted by
    statements that show nothing.
    """
    updated = copy.deepcopy(dict(hypotheses))
    findings = findings_of(profiles, plans)
    for hypothesis in updated["hypotheses"]:
        own = [f for f in findings if f.service == hypothesis["service"] and f.cause == hypothesis["cause"]]
        hypothesis["status"], hypothesis["status_reason"] = _decide(hypothesis, own, profiles, plans)
    return updated


def _decide(
    hypothesis: Mapping[str, Any],
    findings: Iterable[DiagnosticFinding],
    profiles: Sequence[Mapping[str, Any]],
    plans: Mapping[str, Any] | None,
) -> tuple[str, str]:
    service, cause = hypothesis["service"], Cause(hypothesis["cause"])
    confirming = [f for f in findings if f.confirming]
    if confirming:
        more = f" ({len(confirming) - 1} more findings)" if len(confirming) > 1 else ""
        return "confirmed", f"{confirming[0].text}{more}"
    if cause is Cause.CODE_HOT_PATH:
        profile = next((p for p in profiles if p["service"] == service), None)
        if profile is None or profile["status"] != "ok":
            why = "was not profiled" if profile is None else f"has an inconclusive profile: {profile['reason']}"
            return "open", f"The service {why}."
        return "refuted", "No path of the code carries 15 percent of the CPU samples: the time divides into small parts."
    if cause is Cause.DATABASE_CONTENTION:
        traced = next((str(o["text"]) for o in hypothesis.get("observations") or () if o["kind"] == "traces" and o["supports"]), None)
        also = f" Yet {traced}." if traced else ""
        read = next((s for s in plans["services"] if s["service"] == service), None) if plans else None
        if read is None or not read["statements"]:
            return "open", f"No query plans or statement statistics of the service's database were read.{also}"
        large = [s for s in read["statements"] if (s["share_percent"] or 0.0) >= 100 * MINOR]
        unread = sum(1 for s in large if not s["analyzed"])
        if unread:
            return "open", f"{unread} of {len(large)} large statements could not be run for their plan, and the others show nothing.{also}"
        shown = f"None of the {len(large)} statements with at least 5 percent of the time reads in vain or spills, and none repeats."
        # Locks, a pool that is too small or a slow network are not seen in plans.
        return ("open", f"{shown}{also}") if traced else ("refuted", shown)
    return "open", "Neither a profile nor a query plan shows a limit of the infrastructure: the stress test and the capacity analysis do."


def hypothesis_log(hypotheses: Mapping[str, Any]) -> str:
    """hypothesis-log.md: each hypothesis with its symptom, suspected cause, confirming evidence, baseline and status."""
    parts = ["# Hypothesis log", "What the baseline makes suspect, and what would confirm it. Only the diagnostics decide."]
    for h in hypotheses["hypotheses"]:
        rows = [
            ["Service", h["service"]],
            ["Symptom", h["symptom"]],
            ["Suspected cause", f"{h['cause'].replace('_', ' ')}: {h['suspected_cause']}"],
            ["Evidence that would confirm", h["confirming_evidence"]],
            ["Metric", h["metric"]],
            ["Baseline", f"{h['baseline']['name']}, SHA-256 {h['baseline']['sha256']}"],
            *([_observed(o), o["text"]] for o in h.get("observations") or ()),
            ["Status", f"{h['status']}: {h['status_reason']}"],
        ]
        parts += [f"## {markdown.text(h['id'])}", markdown.table(["", ""], rows)]
    if not hypotheses["hypotheses"]:
        parts.append("No hypothesis: the baseline makes no cause suspect.")
    if hypotheses["unknown"]:
        rows = [[u["service"], u["symptom"], u["metric"], u["reason"]] for u in hypotheses["unknown"]]
        parts += ["## Cause unknown", markdown.table(["Service", "Symptom", "Metric", "Why it is unknown"], rows)]
    return "\n\n".join(parts) + "\n"


def _observed(observation: Mapping[str, Any]) -> str:
    return {True: "Traces support it", False: "Traces do not support it"}.get(observation["supports"], "Coincidence in time, no cause")
