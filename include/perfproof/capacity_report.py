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
        "From the baseline's cells and samples, against the limits that the protocol file declares for one instance. The projection "
        "to the target rate assumes that CPU grows in proportion to the requests.",
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
    parts += [_law(capacity["scalability"]), _peak(capacity.get("throughput_peak")), _room(capacity.get("room"))]
    return "\n\n".join(part for part in parts if part)


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
    intervals = [f"{n.replace('_', ' ')} {_between(v)}" for n, v in (scalability.get("intervals") or {}).items()]
    return sentence + (f" At 95 percent: {text('; '.join(intervals))}." if intervals else "")


def _peak(peak: Mapping[str, Any] | None) -> str:
    """Where throughput is highest, or that no knee is claimed; what the law says beyond the tested range is called an extrapolation."""
    if peak is None:
        return ""
    if peak["status"] == "reached":
        most, place = peak["throughput"], peak["concurrency"]
        return (
            f"Knee: throughput is highest at {text(_number(most['value'], 'requests/s'))} ({text(_between(most))}) with "
            f"{text(_number(place['value']))} requests in service ({text(_between(place))}), all of it within the tested range."
        )
    return f"Knee: {text(peak['status'])}. {text(peak['reason'])}."


def _room(room: Mapping[str, Any] | None) -> str:
    if room is None:
        return ""
    target = f"Target: {text(_number(room['target_rate'], 'requests/s'))} ({text(room['target_source'])})."
    if room["reason"]:
        return f"{target} Headroom and instances are unknown: {text(room['reason'])}."
    spare, count = room["headroom_percent"], room["instances_n_plus_2"]
    return (
        f"{target} Headroom {text(_number(spare['value'], 'percent'))} ({text(_between(spare))}). With two instances to spare (N+2) the "
        f"target needs {text(_number(count['value']))} instances ({text(_between(count))}). From {text(room['basis'])}."
    )


def _between(figures: Mapping[str, Any]) -> str:
    low, high = (figures.get(end) for end in ("low", "high"))
    return f"{'open' if low is None else f'{low:.6g}'} to {'open' if high is None else f'{high:.6g}'}"


def _utilization(entry: Mapping[str, Any]) -> str:
    if not entry["utilization"]:
        return f"**{text(entry['service'])}**: the baseline holds no utilization."
    rows = [
        (
            u["metric"],
            _number(u["percent"], "percent"),
            _number(u["used"], u["limit_unit"] or ""),
            _number(u["limit"], u["limit_unit"] or ""),
            *(_percentile((u.get("percentiles") or {}).get(name)) for name in ("p50", "p95", "p99")),
            _number(u["projected_percent_at_peak"], "percent"),
            u["assessment"] + (f" ({', '.join(u['reasons'])})" if u["reasons"] else ""),
        )
        for u in entry["utilization"]
    ]
    header = ("Metric", "Utilization", "Used", "Limit", "p50", "p95", "p99", "Projected at target", "Assessment")
    return f"**{text(entry['service'])}**\n\n{table(header, rows)}"


def _percentile(figures: Mapping[str, Any] | None) -> str:
    if not figures or figures["value"] is None:
        return f"unknown ({(figures or {}).get('reason') or 'no samples'})"
    return f"{_number(figures['value'], 'percent')} ({_between(figures)})"


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
        f"{text(_number(cost['per_1000_at_knee'], currency))} at the measured limit.{_price(cost.get('price'))}"
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


def _price(price: Mapping[str, Any] | None) -> str:
    """The price that was used, where it is from and of which day."""
    if price is None:
        return ""
    rates = (("core_hour", "per core and hour"), ("gib_hour", "per GiB and hour"), ("instance_hour", "per hour"))
    told = ", ".join(f"{_number(price[key], str(price['currency']))} {words}" for key, words in rates if price.get(key) is not None)
    instance = f" of {price['instance']} ({price.get('vcpu')} vCPU, {price.get('gib')} GiB)" if price.get("instance") else ""
    note = f" {price['note']}." if price.get("note") else ""
    return " " + text(f"Price{instance}: {told}; {price['source']}, {price.get('as_of') or 'the day is not stated'}.{note}")


def _number(value: float | None, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:.6g} {unit}".strip()
