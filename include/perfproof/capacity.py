"""Capacity, utilization and cost of each service: how far it is from its limit, and what an optimization is worth.

Everything is computed from documents of the cycle: the stress test's steps, the peak, the baseline's cells, and the
limits and prices that the protocol file declares. What they do not hold is null with a reason, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.config import Cost, LoadProfile, LoadTargets, Optimization, Service
from perfproof.load.plan import Scenario
from perfproof.moments import stamp
from perfproof.scalability import fit_scalability

HIGH_UTILIZATION_PERCENT = 80.0
# Below this share of the offered rate a step was not sustained, whatever its latency was.
SUSTAINED = 0.97


def capacity_document(
    services: Sequence[Service],
    *,
    load_documents: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    profile: LoadProfile,
    cost: Cost,
    optimizations: Sequence[Optimization],
    now: datetime,
    derived_from: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """`evidence/capacity.json`: one entry per service with capacity, utilization, scaling and cost.

    `load_documents` are those of `perfproof.load.verdict.summarise`, `baseline` is `baseline-metrics.json`.
    """
    entries = []
    for service in services:
        own = {d["scenario"]: d for d in load_documents if d["service"] == service.name}
        capacity = _capacity(own.get(Scenario.STRESS), profile)
        cells = [c for c in baseline["cells"] if c["service"] == service.name]
        entries.append(
            {
                "service": service.name,
                "capacity": capacity,
                "utilization": _utilization(service, cells, profile.peak.rate),
                "scaling": _scaling(service, capacity, profile.peak.rate),
                "cost": _cost(service, capacity, own.get(Scenario.PEAK), cost, optimizations),
            }
        )
    return {
        "analyzed_at": stamp(now),
        "peak_rate": profile.peak.rate,
        "currency": cost.currency,
        "services": entries,
        "derived_from": [dict(reference) for reference in derived_from],
    }


def _capacity(stress: Mapping[str, Any] | None, profile: LoadProfile) -> dict[str, Any]:
    """The highest step that holds the targets with all below it, the first that does not, and the fitted law."""
    nothing = {"knee_rate": None, "first_breach": None, "headroom_percent": None, "headroom_is_lower_bound": None}
    if stress is None or not stress["valid"]:
        why = "no stress test" if stress is None else "the stress test is invalid: " + "; ".join(stress["invalid_reasons"])
        return {**nothing, "reason": why, "steps": [], "scalability": {"fit": None, "reason": why}}
    steps = [{**step, "breaches": _breaches(step, profile.targets)} for step in stress["steps"]]
    knee: float | None = None
    breach: dict[str, Any] | None = None
    # A step that holds above one that does not is luck of a short step, so it does not count.
    for step in sorted(steps, key=lambda s: s["rate"]):
        if step["breaches"]:
            breach = {"rate": step["rate"], "breaches": step["breaches"]}
            break
        knee = step["rate"]
    reason = None if knee is not None else "not even the lowest step holds the targets"
    sustained = [s for s in steps if s["complete"]]
    fit = fit_scalability([s["concurrency"] for s in sustained], throughput=[s["throughput"] for s in sustained])
    return {
        "knee_rate": knee,
        "first_breach": breach,
        "headroom_percent": None if knee is None else round(100 * (knee / profile.peak.rate - 1), 1),
        "headroom_is_lower_bound": None if knee is None else breach is None,
        "reason": reason,
        "steps": steps,
        "scalability": _scalability(fit),
    }


def _scalability(fit: Any) -> dict[str, Any]:
    if isinstance(fit, str):
        return {"fit": None, "reason": fit}
    values = {
        "rate_of_one": fit.rate_of_one,
        "contention": fit.contention,
        "coherency": fit.coherency,
        "peak_concurrency": fit.peak_concurrency,
        "peak_throughput": fit.peak_throughput,
        "contention_limit": fit.contention_limit,
        "r_squared": fit.r_squared,
    }
    return {"fit": {k: None if v is None else float(f"{v:.4g}") for k, v in values.items()}, "reason": None}


def _breaches(step: Mapping[str, Any], targets: LoadTargets) -> list[str]:
    """Why the step does not hold; p99 is by nearest rank, so with fewer than 100 requests it is the slowest one."""
    breaches = []
    if not step["complete"]:
        breaches.append("the step was cut short")
    if step["p99"] is None:
        return [*breaches, "nothing was answered"]
    if step["p99"] > targets.p99_ms:
        breaches.append(f"p99 {step['p99']:g} ms of {targets.p99_ms:g} ms allowed")
    if step["error_rate"] is None or step["error_rate"] > targets.error_rate_percent:
        breaches.append(f"error rate {step['error_rate']} percent of {targets.error_rate_percent:g} percent allowed")
    if step["achieved_rate"] < SUSTAINED * step["rate"]:
        breaches.append(f"only {step['achieved_rate']:g} of {step['rate']:g} requests/s could be started")
    return breaches


def _utilization(service: Service, cells: Sequence[Mapping[str, Any]], peak_rate: float) -> list[dict[str, Any]]:
    """One entry per utilization cell of the baseline, against the declared limit of the resource it names."""
    throughput = next((c["value"] for c in cells if c["kind"] == "throughput" and c["value"]), None)
    entries = []
    for cell in (c for c in cells if c["kind"] == "utilization"):
        resource, limit, unit = _resource(str(cell["metric_name"]), service)
        value = cell["value"]
        known = value is not None and math.isfinite(value)
        # CPU grows with the requests; memory does not, so it is not carried over to the peak.
        at_peak = value * peak_rate / throughput if known and throughput and resource == "cpu" else None
        high = known and max(value, at_peak or 0.0) > HIGH_UTILIZATION_PERCENT
        entries.append(
            {
                "metric": cell["metric_name"],
                "resource": resource,
                "percent": value,
                "limit": limit,
                "limit_unit": unit,
                "used": round(value / 100 * limit, 3) if known and limit is not None else None,
                "at_request_rate": throughput,
                "projected_percent_at_peak": None if at_peak is None else round(at_peak, 1),
                "assessment": "unknown" if not known else "high" if high else "within limits",
                "reasons": list(cell["reasons"]),
            }
        )
    return entries


def _resource(metric: str, service: Service) -> tuple[str, float | None, str | None]:
    if "cpu" in metric.lower():
        return "cpu", service.limits.cpu_cores, "cores"
    if "mem" in metric.lower():
        return "memory", service.limits.memory_mib, "MiB"
    return "other", None, None


def _scaling(service: Service, capacity: Mapping[str, Any], peak_rate: float) -> dict[str, Any]:
    """The declared policy, and how many instances like the tested one the peak needs by the measured knee."""
    knee = capacity["knee_rate"]
    return {
        "policy": service.scaling_policy,
        "instances_for_peak": None if knee is None else math.ceil(peak_rate / knee),
        "reason": capacity["reason"],
    }


def _cost(
    service: Service,
    capacity: Mapping[str, Any],
    peak: Mapping[str, Any] | None,
    cost: Cost,
    optimizations: Sequence[Optimization],
) -> dict[str, Any]:
    """Cost per 1,000 requests = hourly cost / (3.6 x requests/s), at the peak and at the knee; what each plan may change.

    The hourly cost is that of the declared limits of one instance.
    """
    hourly = service.limits.cpu_cores * cost.core_hour + service.limits.memory_mib / 1024 * cost.gib_hour
    peak_rate = peak["throughput"] if peak is not None and peak["valid"] else None
    knee = capacity["knee_rate"]
    own = [o for o in optimizations if o.service == service.name]
    return {
        "hourly": round(hourly, 6),
        "per_1000_at_peak": per_1000_requests(hourly, rate=peak_rate),
        "per_1000_at_knee": per_1000_requests(hourly, rate=knee),
        "optimizations": [
            {
                "id": o.id,
                "title": o.title,
                "expected_gain_percent": o.expected_gain_percent,
                "knee_rate_if_reached": None if knee is None else round(knee / (1 - o.expected_gain_percent / 100), 1),
                "per_1000_if_reached": per_1000_requests(hourly, rate=None if knee is None else knee / (1 - o.expected_gain_percent / 100)),
            }
            for o in own
        ],
    }


def per_1000_requests(hourly: float, *, rate: float | None) -> float | None:
    """Cost of 1,000 requests at `rate` requests/s; None without a positive rate."""
    return round(hourly / (3.6 * rate), 6) if rate is not None and rate > 0 else None
