"""What 1,000 requests cost before and after a change, by what the measured blocks used of processor and memory.

Cost of a request = CPU seconds per request x price of a core + resident memory x seconds per request x price of memory. Memory
is held whether or not requests come, so its part belongs to the rate of the blocks; the same rate was sent to both sides.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.config import Guard, GuardKind, Service
from perfproof.judging.measured_blocks import Block, Side, part, read_blocks
from perfproof.prices import Price
from perfproof.statistics.hodges_lehmann import shift
from perfproof.telemetry import Unit

WHERE = "evidence/measurement.json"
CONFIDENCE = 0.95
MIN_BLOCKS = 2


def cost_change(measurement: Mapping[str, Any], *, service: Service, price: Price, optimizations: Sequence[str]) -> dict[str, Any]:
    """`evidence/cost-change.json`: cost per 1,000 requests on both sides (medians over valid blocks) and its change in percent.

    The interval of the change is Hodges and Lehmann's on the logarithms of the blocks' costs; ends are None where the blocks are
    too few. Figures are None with `reason` where a block does not hold what a cost needs. Raises ArtifactError for a malformed
    measurement.
    """
    seconds = float(part(measurement, "block_seconds", (int, float), where=WHERE))
    cpu, memory = _cpu_guard(service.guards), _memory_guard(service.guards)
    sides: dict[str, Any] = {}
    costs: dict[Side, list[float]] = {}
    blocks = [b for b in read_blocks(measurement, where=WHERE) if b.valid and not b.figures.get("confirmation")]
    for side in Side:
        own = [b for b in blocks if b.side is side]
        used = [_used(b, cpu, memory, seconds) for b in own]
        costs[side] = [1000 * price.of_request(cpu_seconds=c, gib_seconds=m) for c, m in used if c is not None and m is not None]
        sides[side] = {
            "build": _build(measurement, side),
            "cpu_ms_per_request": _median([1000 * c for c, _ in used if c is not None]),
            "memory_gib_seconds_per_request": _median([m for _, m in used if m is not None]),
            "per_1000": _median(costs[side]) if len(costs[side]) == len(own) else None,
            "blocks": len(costs[side]),
        }
    reason = _why_not(cpu, memory, costs, blocks)
    if reason:
        for side in sides.values():
            side["per_1000"] = None
    return {
        "service": service.name,
        "optimizations": list(optimizations),
        "rate": measurement.get("rate"),
        "price": price.document(),
        "before": sides[Side.BASELINE],
        "after": sides[Side.CANDIDATE],
        **(_nothing() if reason else _change(costs[Side.BASELINE], costs[Side.CANDIDATE])),
        "reason": reason,
        "cpu_guard": cpu.name if cpu else None,
        "memory_guard": memory.name if memory else None,
    }


def _cpu_guard(guards: Sequence[Guard]) -> Guard | None:
    return next((g for g in guards if g.kind is GuardKind.COUNTER_PER_REQUEST and g.unit is Unit.CPU_PER_REQUEST), None)


def _memory_guard(guards: Sequence[Guard]) -> Guard | None:
    return next((g for g in guards if g.kind is GuardKind.GAUGE and g.unit is Unit.MEBIBYTES), None)


def _used(block: Block, cpu: Guard | None, memory: Guard | None, seconds: float) -> tuple[float | None, float | None]:
    """CPU seconds and GiB-seconds of one request of the block; None for what it does not hold."""
    values = block.figures.get("guards") or {}
    spent, held = (_number(values.get(guard.name)) if guard else None for guard in (cpu, memory))
    per_request = seconds / block.requests if block.requests > 0 and seconds > 0 else None
    return (
        spent / 1000 if spent is not None else None,
        held / 1024 * per_request if held is not None and per_request is not None else None,
    )


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _build(measurement: Mapping[str, Any], side: Side) -> str | None:
    builds = measurement.get("builds")
    return str(builds.get(side.value)) if isinstance(builds, Mapping) else None


def _median(values: Sequence[float]) -> float | None:
    return float(f"{statistics.median(values):.6g}") if values else None


def _why_not(cpu: Guard | None, memory: Guard | None, costs: Mapping[Side, Sequence[float]], blocks: Sequence[Block]) -> str | None:
    if cpu is None:
        return f"no guard of the service measures CPU per request (a counter_per_request in {Unit.CPU_PER_REQUEST})"
    if memory is None:
        return f"no guard of the service measures its memory (a gauge in {Unit.MEBIBYTES})"
    for side in Side:
        valid = sum(b.side is side for b in blocks)
        if len(costs[side]) < valid:
            return f"{valid - len(costs[side])} of {valid} valid blocks of the {side} do not hold CPU, memory or requests"
        if valid < MIN_BLOCKS:
            return f"{valid} valid blocks of the {side}, {MIN_BLOCKS} needed"
        if min(costs[side]) <= 0:
            return "the prices make a request free, so nothing can be compared"
    return None


def _nothing() -> dict[str, float | None]:
    return dict.fromkeys(("change_percent", "ci_low", "ci_high", "confidence"))


def _change(before: Sequence[float], after: Sequence[float]) -> dict[str, float | None]:
    found = shift([math.log(c) for c in before], [math.log(c) for c in after], confidence=CONFIDENCE)
    low, high = (_percent(end) if math.isfinite(end) else None for end in (found.low, found.high))
    return {"change_percent": _percent(found.estimate), "ci_low": low, "ci_high": high, "confidence": CONFIDENCE}


def _percent(logarithm: float) -> float:
    return round(100 * math.expm1(logarithm), 2) + 0.0
