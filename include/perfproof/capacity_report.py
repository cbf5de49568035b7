"""`capacity-analysis.md`: the capacity document in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.markdown import table, text


def capacity_markdown(document: Mapping[str, Any]) -> str:
    """The analysis as Markdown, from the document of `perfproof.capacity.capacity_document`."""
    services = document["services"]
    parts = [
        "# Capacity analysis",
        f"Analyzed at {text(document['analyzed_at'])}. Expected peak: {text(_number(document['peak_rate'], 'requests/s'))}.",
        *(_capacity(s, document["peak_rate"]) for s in services),
        "## Utilization",
        "From the baseline's cells, against the limits that the protocol file declares for one instance. The projection to "
        "the peak assumes that CPU grows in proportion to the requests.",
        *(_utilization(s) for s in services),
        "## Scaling policies",
        *(_scaling(s) for s in services),
        "## Cost impact",
        "Cost of 1,000 requests = hourly cost of one instance / (3.6 x requests per second). The effect of an optimization "
        "is what its owner expects, carried over to throughput; it is an estimate until the optimization is measured.",
        *(_cost(s, document["currency"]) for s in services),
        "## Sources",
        table(("Evidence", "SHA-256"), [(r["name"], r["sha256"]) for r in document["derived_from"]]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _capacity(entry: Mapping[str, Any], peak_rate: float) -> str:
    capacity = entry["capacity"]
    parts = [f"**{text(entry['service'])}**: {_knee(capacity, peak_rate)}"]
    if capacity["steps"]:
        rows = [
            (
                _number(s["rate"]),
                _number(s["throughput"]),
                _number(s["concurrency"]),
                _number(s["p95"]),
                _number(s["p99"]),
                _number(s["error_rate"]),
                "; ".join(s["breaches"]) or "holds",
            )
            for s in capacity["steps"]
        ]
        header = ("Offered req/s", "Answered req/s", "In service", "p95 ms", "p99 ms", "Errors %", "Targets")
        parts.append(table(header, rows))
    parts.append(_law(capacity["scalability"]))
    return "\n\n".join(parts)


def _knee(capacity: Mapping[str, Any], peak_rate: float) -> str:
    if capacity["knee_rate"] is None:
        return f"no capacity could be shown: {text(capacity['reason'])}."
    least = "at least " if capacity["headroom_is_lower_bound"] else ""
    sentence = (
        f"holds its targets up to {least}{text(_number(capacity['knee_rate'], 'requests/s'))}, "
        f"{text(_number(capacity['headroom_percent'], 'percent'))} above the peak of {text(_number(peak_rate, 'requests/s'))}."
    )
    if capacity["headroom_percent"] < 0:
        sentence = (
            f"holds its targets up to {text(_number(capacity['knee_rate'], 'requests/s'))} only, "
            f"{text(_number(-capacity['headroom_percent'], 'percent'))} below the peak of {text(_number(peak_rate, 'requests/s'))}."
        )
    breach = capacity["first_breach"]
    if breach is None:
        return sentence + " No step broke a target, so the limit lies above the highest step."
    return f"{sentence} At {text(_number(breach['rate'], 'requests/s'))}: {text('; '.join(breach['breaches']))}."


def _law(scalability: Mapping[str, Any]) -> str:
    fit = scalability["fit"]
    if fit is None:
        return f"Universal Scalability Law: not identifiable from these steps ({text(scalability['reason'])})."
    sentence = (
        f"Universal Scalability Law: one request at a time {text(_number(fit['rate_of_one'], 'requests/s'))}, contention "
        f"{text(fit['contention'])}, coherency {text(fit['coherency'])}, R squared {text(fit['r_squared'])}."
    )
    if fit["peak_throughput"] is not None:
        return (
            f"{sentence} Throughput is highest with {text(_number(fit['peak_concurrency']))} requests in service, at "
            f"{text(_number(fit['peak_throughput'], 'requests/s'))}. Beyond the measured steps this is an extrapolation."
        )
    if fit["contention_limit"] is not None:
        return f"{sentence} Throughput levels off at {text(_number(fit['contention_limit'], 'requests/s'))}. This is an extrapolation."
    return sentence


def _utilization(entry: Mapping[str, Any]) -> str:
    if not entry["utilization"]:
        return f"**{text(entry['service'])}**: the baseline holds no utilization."
    rows = [
        (
            u["metric"],
            _number(u["percent"], "percent"),
            _number(u["used"], u["limit_unit"] or ""),
            _number(u["limit"], u["limit_unit"] or ""),
            _number(u["projected_percent_at_peak"], "percent"),
            u["assessment"] + (f" ({', '.join(u['reasons'])})" if u["reasons"] else ""),
        )
        for u in entry["utilization"]
    ]
    header = ("Metric", "Utilization", "Used", "Limit", "Projected at peak", "Assessment")
    return f"**{text(entry['service'])}**\n\n{table(header, rows)}"


def _scaling(entry: Mapping[str, Any]) -> str:
    scaling = entry["scaling"]
    count = scaling["instances_for_peak"]
    need = (
        f"How many instances the peak needs is unknown: {text(scaling['reason'])}."
        if count is None
        else f"By the measured limit of one instance, and if instances share nothing that limits them, the peak needs {count}."
    )
    return f"**{text(entry['service'])}**: {text(scaling['policy'])} {need}"


def _cost(entry: Mapping[str, Any], currency: str) -> str:
    cost = entry["cost"]
    line = (
        f"**{text(entry['service'])}**: {text(_number(cost['hourly'], currency))} per hour and instance; per 1,000 requests "
        f"{text(_number(cost['per_1000_at_peak'], currency))} at the peak, "
        f"{text(_number(cost['per_1000_at_knee'], currency))} at the measured limit."
    )
    if not cost["optimizations"]:
        return line
    rows = [
        (
            f"{o['id']} {o['title']}",
            _number(o["expected_gain_percent"], "percent"),
            _number(o["knee_rate_if_reached"], "req/s"),
            _number(o["per_1000_if_reached"], currency),
        )
        for o in cost["optimizations"]
    ]
    header = ("Optimization", "Expected gain", "Limit if reached", "Per 1,000 requests if reached")
    return f"{line}\n\n{table(header, rows)}"


def _number(value: float | None, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:.6g} {unit}".strip()
