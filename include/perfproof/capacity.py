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
from perfproof.prices import Price, price_of
from perfproof.scalability_interval import ScalabilityInterval, scalability_interval
from perfproof.throughput_limits import figures, room, target_rate, throughput_peak
from perfproof.utilization import utilization

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
    observed: Sequence[Mapping[str, Any]] = (),
    samples: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    quoted: Price | None = None,
    refused: str | None = None,
) -> dict[str, Any]:
    """`evidence/capacity.json`: one entry per service with capacity, utilization, scaling and cost.

    `load_documents` are those of `perfproof.load.verdict.summarise`, `baseline` is `baseline-metrics.json`, `observed` its field
    `observed_peak`, `samples` the values of each utilization metric by service, and `quoted` the answer of the AWS Price List, or
    `refused` why there is none.
    """
    entries = []
    for service in services:
        own = {d["scenario"]: d for d in load_documents if d["service"] == service.name}
        known = next((o for o in observed if o.get("service") == service.name), None)
        capacity = _capacity(own.get(Scenario.STRESS), profile, known)
        cells = [c for c in baseline["cells"] if c["service"] == service.name]
        entries.append(
            {
                "service": service.name,
                "capacity": capacity,
                "utilization": utilization(
                    service, cells, peak_rate=capacity["room"]["target_rate"], samples=(samples or {}).get(service.name, {})
                ),
                "scaling": _scaling(service, capacity, profile.peak.rate),
                "cost": _cost(
                    service,
                    capacity,
                    own.get(Scenario.PEAK),
                    optimizations,
                    price_of(service.name, cost=cost, quoted=quoted, refused=refused),
                ),
            }
        )
    return {
        "analyzed_at": stamp(now),
        "peak_rate": profile.peak.rate,
        "currency": cost.currency,
        "services": entries,
        "derived_from": [dict(reference) for reference in derived_from],
    }


def _capacity(stress: Mapping[str, Any] | None, profile: LoadProfile, observed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The highest step that holds the targets with all below it, the first that does not, the fitted law, and the room to the target."""
    target = target_rate(profile.peak.rate, observed)
    nothing = {"knee_rate": None, "first_breach": None, "headroom_percent": None, "headroom_is_lower_bound": None}
    if stress is None or not stress["valid"]:
        why = "no stress test" if stress is None else "the stress test is invalid: " + "; ".join(stress["invalid_reasons"])
        peak = throughput_peak(why, tested=None)
        return {
            **nothing, "reason": why, "steps": [], "scalability": {"fit": None, "reason": why}, "throughput_peak": peak,
            "room": room(target, knee=None, breach=None, peak=peak, reason=why),
        }  # fmt: skip
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
    concurrency = [s["concurrency"] for s in sustained]
    law = scalability_interval(concurrency, throughput=[s["throughput"] for s in sustained])
    peak = throughput_peak(law, tested=max(concurrency, default=None))
    return {
        "knee_rate": knee,
        "first_breach": breach,
        "headroom_percent": None if knee is None else round(100 * (knee / profile.peak.rate - 1), 1),
        "headroom_is_lower_bound": None if knee is None else breach is None,
        "reason": reason,
        "steps": steps,
        "scalability": _scalability(law),
        "throughput_peak": peak,
        "room": room(target, knee=knee, breach=None if breach is None else breach["rate"], peak=peak, reason=reason),
    }


def _scalability(law: ScalabilityInterval | str) -> dict[str, Any]:
    """The law's parameters, and `intervals` of them; without intervals nothing is known of the fit, so there is none."""
    if isinstance(law, str):
        return {"fit": None, "intervals": None, "reason": law}
    fit = law.fit
    values = {
        "rate_of_one": fit.rate_of_one,
        "contention": fit.contention,
        "coherency": fit.coherency,
        "peak_concurrency": fit.peak_concurrency,
        "peak_throughput": fit.peak_throughput,
        "contention_limit": fit.contention_limit,
        "r_squared": fit.r_squared,
    }
    intervals = {name: figures(getattr(law, name)) for name in ("rate_of_one", "contention", "coherency")}
    return {"fit": {k: None if v is None else float(f"{v:.4g}") for k, v in values.items()}, "intervals": intervals, "reason": None}


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
    optimizations: Sequence[Optimization],
    price: Price,
) -> dict[str, Any]:
    """Cost per 1,000 requests = hourly cost / (3.6 x requests/s), at the peak and at the knee; what each plan may change.

    The hourly cost is that of the declared limits of one instance.
    """
    hourly = price.hourly(service.limits)
    peak_rate = peak["throughput"] if peak is not None and peak["valid"] else None
    knee = capacity["knee_rate"]
    own = [o for o in optimizations if o.service == service.name]
    return {
        "hourly": round(hourly, 6),
        "price": price.document(),
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
