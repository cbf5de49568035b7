"""Where throughput peaks, how much room is left to the target, and how many instances the target needs with two to spare.

Nothing beyond the tested range is claimed. The law's peak counts as a knee only if its whole interval was tested; otherwise
the answer is a word and a reason. Capacity of one instance lies between the highest step that held and the first that did not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.scalability_interval import METHOD, Interval, ScalabilityInterval

# One may fail while another is being replaced.
SPARE = 2
# Ends further apart say how little is known, not what the peak is.
MAX_RATIO = 2.0


class Knee(StrEnum):
    """Whether the highest throughput was found."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """The rate in requests/s that the service must carry, and where it comes from."""

    rate: float
    source: str


def target_rate(configured: float, observed: Mapping[str, Any] | None) -> Target:
    """The observed peak if the telemetry has one above the configured peak, else the configured one: the larger is the safer plan.

    `observed` is an entry of `observed_peak` in `load-test-results.json`.
    """
    rate = (observed or {}).get("observed_rate")
    if isinstance(rate, int | float) and math.isfinite(rate) and rate > configured:
        return Target(float(rate), "observed peak")
    return Target(configured, "configured peak" if rate is None else "configured peak, not below the observed one")


def throughput_peak(found: ScalabilityInterval | str, *, tested: float | None) -> dict[str, Any]:
    """`throughput_peak` of a service: status, throughput and concurrency with their intervals, and the reason where there is none.

    `found` is the law with its intervals or why there is none, `tested` the most requests in service of any step.
    """
    if isinstance(found, str) or tested is None:
        return _peak(Knee.UNKNOWN, str(found), tested=tested)
    ratio = _ratio(found.highest_throughput)
    place = found.peak_concurrency
    if place.value is None or place.value > tested:
        reason = f"not reached within the tested range (up to {tested:.4g} requests in service): no knee claimed"
        return _peak(Knee.NOT_REACHED, reason, found, tested=tested)
    if place.high is None or place.high > tested:
        reason = f"the law peaks within the tested range, but its interval reaches beyond {tested:.4g} requests in service: no knee claimed"
        return _peak(Knee.UNKNOWN, reason, found, tested=tested)
    if math.isinf(ratio):
        reason = f"the steps scatter: the peak's interval has no end above, a factor of {MAX_RATIO:g} between its ends is allowed"
        return _peak(Knee.UNKNOWN, reason, found, tested=tested)
    if ratio > MAX_RATIO:
        reason = f"the steps scatter: the ends of the peak's interval differ by a factor of {ratio:.2g}, {MAX_RATIO:g} allowed"
        return _peak(Knee.UNKNOWN, reason, found, tested=tested)
    return _peak(Knee.REACHED, None, found, tested=tested)


def _ratio(interval: Interval) -> float:
    return interval.high / interval.low if interval.high is not None and interval.low else math.inf


def _peak(status: Knee, reason: str | None, found: ScalabilityInterval | None = None, *, tested: float | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "status": status.value,
        "reason": reason,
        "tested_concurrency": tested,
        "throughput": None,
        "concurrency": None,
    }
    if status is Knee.REACHED and found is not None:
        document["throughput"] = figures(found.highest_throughput)
        document["concurrency"] = figures(found.peak_concurrency)
    if found is not None:
        document |= {"confidence": found.confidence, "method": METHOD, "steps": found.steps}
        # What the law says of a range that nobody tested stays visible as the extrapolation it is.
        document["law"] = {"throughput": figures(found.highest_throughput), "concurrency": figures(found.peak_concurrency)}
    return document


def figures(interval: Interval) -> dict[str, float | None]:
    """Value and ends in four significant digits."""
    return {name: None if v is None else float(f"{v:.4g}") for name in ("value", "low", "high") for v in (getattr(interval, name),)}


def room(target: Target, *, knee: float | None, breach: float | None, peak: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
    """`headroom` and `instances` of a service for the target, each with the interval that the capacity of one instance has.

    `knee` is the highest rate that held, `breach` the first that did not (None: all held), `peak` is `throughput_peak`. With
    instances that share nothing, N = ceil(target / capacity of one), and two are added. All None with `reason` without a knee.
    """
    document = {"target_rate": target.rate, "target_source": target.source}
    if knee is None or not target.rate > 0:
        unknown = {"value": None, "low": None, "high": None}
        why = reason or "the target is no rate"
        return {**document, "headroom_percent": unknown, "instances_n_plus_2": unknown, "basis": None, "reason": why}
    low, high = knee, breach
    basis = "the highest step that held its targets, and the first that did not" if breach is not None else "the highest step, which held"
    if peak["status"] == Knee.REACHED:
        throughput = peak["throughput"]
        low = min(low, throughput["low"])
        high = throughput["high"] if high is None else min(high, throughput["high"])
        high = max(high, knee)
        basis += "; the interval of the highest throughput by the law"
    return {
        **document,
        "headroom_percent": {
            "value": round(100 * (knee / target.rate - 1), 1),
            "low": round(100 * (low / target.rate - 1), 1),
            "high": None if high is None else round(100 * (high / target.rate - 1), 1),
        },
        "instances_n_plus_2": {
            "value": _instances(target.rate, knee),
            "low": SPARE + 1 if high is None else _instances(target.rate, high),
            "high": _instances(target.rate, low),
        },
        "basis": basis,
        "reason": None,
    }


def _instances(target: float, capacity: float) -> int:
    # 60 requests/s on instances of 20 are three, whatever binary fractions make of it.
    return math.ceil(round(target / capacity, 9)) + SPARE
