"""What a service bears, how much room is left to the target, and what an instance costs."""

from __future__ import annotations

from typing import Any

from perfproof.report.blocks import Block, Mark, Paragraph, Picture, Subheading, Table, Tone, figure, percent, sentence
from perfproof.report.evidence import CAPACITY, Document, Evidence

PEAKS = {"reached": Tone.GOOD, "not reached": Tone.NEUTRAL}


def capacity(evidence: Evidence) -> list[Block]:
    """Capacity of each service with its interval, and its cost per hour."""
    document = evidence.capacity
    blocks: list[Block] = [Subheading("Capacity and cost"), *evidence.origin(CAPACITY)]
    empty = len(blocks)
    for service in document["services"]:
        blocks.append(Table((f"Capacity of {service.get('service')}", ""), _facts(service, document)))
        table = tuple(_used(used) for used in service.get("utilization") or () if used.get("percentiles"))
        if table:
            header = (f"Utilization of {service.get('service')}", "Baseline", "p50", "p95", "p99", "At the target rate", "Assessment")
            blocks.append(Table(header, table, "Shares of the declared limits, with the intervals of the percentiles"))
    curves = [(name, caption) for name, caption in sorted(evidence.pictures.items()) if name.startswith("evidence/capacity-curve-")]
    blocks += [Picture(name, caption, evidence.descriptions.get(name, "")) for name, caption in curves]
    return blocks if len(blocks) > empty else [*blocks, Paragraph("No capacity was analyzed.")]


def _facts(service: Document, document: Document) -> tuple[tuple[Any, ...], ...]:
    found, scaling, cost = (service.get(key) or {} for key in ("capacity", "scaling", "cost"))
    currency = str(document.get("currency") or "")
    price = cost.get("price") or {}
    told = f"{price.get('source')}, {price.get('as_of') or 'day not stated'}" if price else ""
    return (
        ("Expected peak", figure(document.get("peak_rate"), "req/s")),
        ("Highest rate within all targets", figure(found.get("knee_rate"), "req/s")),
        ("Headroom over the peak", percent(found.get("headroom_percent"))),
        *_room(found.get("room")),
        *_peak(found.get("throughput_peak")),
        ("Scaling policy", scaling.get("policy")),
        ("Cost per hour", (figure(cost.get("hourly"), currency), told)),
        *(_utilization(used) for used in service.get("utilization") or () if not used.get("percentiles")),
    )


def _room(room: Document | None) -> tuple[tuple[str, Any], ...]:
    """The room to the target and the instances that it needs with two to spare, each with its interval."""
    if not room:
        return ()
    target = ("Rate to be carried", f"{figure(room.get('target_rate'), 'req/s')} ({room.get('target_source')})")
    if room.get("reason"):
        unknown = (Mark("UNKNOWN", Tone.WARNING), sentence(room["reason"]))
        return target, ("Room to that rate", unknown)
    spare, count = room.get("headroom_percent") or {}, room.get("instances_n_plus_2") or {}
    return (
        target,
        ("Room to that rate", f"{percent(spare.get('value'))} ({between(spare, ' %')})"),
        ("Instances with two to spare (N+2)", f"{figure(count.get('value'))} ({between(count)})"),
        ("By", sentence(room.get("basis"))),
    )


def _peak(peak: Document | None) -> tuple[tuple[str, Any], ...]:
    if not peak:
        return ()
    mark = Mark(str(peak.get("status")), PEAKS.get(str(peak.get("status")), Tone.WARNING))
    most, place = peak.get("throughput") or {}, peak.get("concurrency") or {}
    if not most:
        return (("Highest throughput", (mark, sentence(peak.get("reason")))),)
    told = (
        f"{figure(most.get('value'), 'req/s')} ({between(most)}) with {figure(place.get('value'))} requests in service ({between(place)}), "
        "all of it within the tested range."
    )
    return (("Highest throughput", (mark, told)),)


def between(ends: Document, unit: str = "") -> str:
    """The interval in words; an end without a bound is open."""
    low, high = (f"{end + 0.0:.4g}{unit}" if isinstance(end, int | float) else "open" for end in (ends.get("low"), ends.get("high")))
    return f"{low} to {high}"


def _used(used: Document) -> tuple[Any, ...]:
    percentiles = used.get("percentiles") or {}
    assessment = str(used.get("assessment"))
    tone = {"within limits": Tone.GOOD, "high": Tone.BAD}.get(assessment, Tone.WARNING)
    return (
        used.get("metric"),
        percent(_rounded(used.get("percent"))),
        *(_percentile(percentiles.get(name) or {}) for name in ("p50", "p95", "p99")),
        percent(_rounded(used.get("projected_percent_at_peak"))),
        (Mark(assessment, tone), *(str(reason) for reason in used.get("reasons") or ())),
    )


def _percentile(found: Document) -> Any:
    if not isinstance(found.get("value"), int | float):
        return "unknown", str(found.get("reason") or "no samples")
    return percent(_rounded(found["value"])), between(found, " %")


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, int | float) else None


def _utilization(used: Document) -> tuple[Any, str]:
    return used.get("metric"), f"{figure(used.get('percent'), 'percent')} ({used.get('assessment')})"
