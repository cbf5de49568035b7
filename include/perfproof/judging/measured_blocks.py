"""The measured blocks of `evidence/measurement.json`, checked, and the value of a metric in each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from perfproof.config import GuardKind, Service
from perfproof.errors import ArtifactError
from perfproof.moments import parse_stamp
from perfproof.telemetry import Direction, Unit

LATENCY = re.compile(r"^(?P<transaction>.+)_latency_(?P<percentile>p50|p95|p99)$")
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Side(StrEnum):
    """Which build a block was sent to."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Kind(StrEnum):
    """Where in a block a metric is found."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    ERROR_RATE = "error_rate"
    GUARD = "guard"


@dataclass(frozen=True, slots=True)
class Located:
    """A metric that blocks hold: `key` is the percentile of a latency or the name of a guard."""

    name: str
    kind: Kind
    unit: Unit
    direction: Direction
    key: str = ""
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of load on one side. `figures` is its part of the document."""

    side: Side
    order: int
    started_at: str
    requests: int
    errors: int
    valid: bool
    invalid_reasons: tuple[str, ...]
    figures: Mapping[str, Any]


def refuse(number: int, where: str, what: str, fix: str, *, got: Any = None, expected: Any = None) -> ArtifactError:
    """The error with which a validation halts."""
    return ArtifactError(number, where=where, what=what, got=got, expected=expected, fix=fix)


def part(document: Any, key: str, kind: type | tuple[type, ...], *, where: str) -> Any:
    """`document[key]`, which must be there and of that type. Raises ArtifactError."""
    if not isinstance(document, Mapping) or key not in document:
        raise refuse(310, where, f"validation not possible: {key} is missing", "measure again")
    value = document[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise refuse(311, f"{where}.{key}", "validation not possible: wrong type", "measure again", got=value)
    return value


def read_blocks(measurement: Mapping[str, Any], *, where: str) -> tuple[Block, ...]:
    """The blocks in the order they were measured. Raises ArtifactError for anything that is not a block."""
    blocks = [_block(item, f"{where}.blocks[{i}]") for i, item in enumerate(part(measurement, "blocks", list, where=where))]
    if len({b.order for b in blocks}) != len(blocks):
        raise refuse(312, f"{where}.blocks", "validation not possible: two blocks have the same order", "measure again")
    return tuple(sorted(blocks, key=lambda b: b.order))


def _block(item: Any, where: str) -> Block:
    side = part(item, "side", str, where=where)
    if side not in list(Side):
        raise refuse(
            313,
            f"{where}.side",
            "validation not possible: unknown side",
            "measure again",
            got=side,
            expected=" | ".join(Side),
        )
    requests, errors = part(item, "requests", int, where=where), part(item, "errors", int, where=where)
    if not 0 <= errors <= requests:
        raise refuse(
            314,
            where,
            "validation not possible: errors and requests contradict",
            "measure again",
            got=f"{errors} of {requests}",
        )
    started_at = part(item, "started_at", str, where=where)
    parse_stamp(started_at, where=f"{where}.started_at")
    return Block(
        side=Side(side),
        order=part(item, "order", int, where=where),
        started_at=started_at,
        requests=requests,
        errors=errors,
        valid=part(item, "valid", bool, where=where),
        invalid_reasons=tuple(str(r) for r in part(item, "invalid_reasons", list, where=where)),
        figures=item,
    )


def locate(metric: str, service: Service) -> Located:
    """Where blocks hold `metric`. Raises ArtifactError if they do not, or not in the unit that the protocol file declares."""
    spec, guard = service.metric(metric), next((g for g in service.guards if g.name == metric), None)
    where = f"target metric {metric}"
    latency = LATENCY.match(metric)
    if guard is not None and guard.kind is not GuardKind.ERROR_RATE:
        found = Located(metric, Kind.GUARD, guard.unit, guard.direction, key=metric)
    elif metric == "error_rate" or guard is not None:
        found = Located(metric, Kind.ERROR_RATE, Unit.PERCENT, Direction.LOWER)
    elif metric == "throughput":
        found = Located(metric, Kind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER)
    elif latency and any(t.name == latency["transaction"] for t in service.transactions):
        found = Located(
            metric,
            Kind.LATENCY,
            Unit.MILLISECONDS,
            Direction.LOWER,
            key=latency["percentile"],
            transaction=latency["transaction"],
        )
    else:
        names = [f"{t.name}_latency_p50|p95|p99" for t in service.transactions] + ["throughput", "error_rate"]
        raise refuse(
            315, where, f"validation not possible: the blocks of service {service.name} do not measure it",
            "choose a target that blocks measure", got=metric, expected=", ".join([*names, *(g.name for g in service.guards)]),
        )  # fmt: skip
    if spec is not None and (spec.unit, spec.direction) != (found.unit, found.direction):
        raise refuse(
            316, where, "validation not possible: blocks measure it in another unit or direction", "correct the protocol file",
            got=f"{spec.unit}, {spec.direction}", expected=f"{found.unit}, {found.direction}",
        )  # fmt: skip
    return found


def value_in(block: Block, metric: Located, *, block_seconds: float) -> float | None:
    """The value of `metric` in `block`; None where the block has none. Numbers are checked by the judge."""
    if metric.kind is Kind.THROUGHPUT:
        return (block.requests - block.errors) / block_seconds
    if metric.kind is Kind.ERROR_RATE:
        return 100 * block.errors / block.requests if block.requests else None
    if metric.kind is Kind.GUARD:
        return _entry(_entry(block.figures, "guards"), metric.key)  # type: ignore[no-any-return]
    return _entry(_entry(_entry(block.figures, "by_transaction"), metric.transaction), metric.key)  # type: ignore[no-any-return]


def requests_of(block: Block, transaction: str) -> int | None:
    """Requests of one transaction in `block`, or None if the block does not say."""
    count = _entry(_entry(_entry(block.figures, "by_transaction"), transaction), "requests")
    return count if type(count) is int else None


def _entry(mapping: Any, key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, Mapping) else None


def in_pairs(blocks: Sequence[Block]) -> bool:
    """Whether the blocks, in the order of measuring, are pairs of neighbours with one of each side and none left out."""
    twos = list(zip(blocks[::2], blocks[1::2], strict=False))
    return len(blocks) % 2 == 0 and all(a.side is not b.side and b.order - a.order == 1 for a, b in twos)


def interleaved(blocks: Sequence[Block]) -> bool:
    """Whether the sides really took turns, judged by the order of the blocks and not by what the document says."""
    changes = sum(1 for a, b in pairwise(blocks) if a.side is not b.side)
    smaller = min(sum(1 for b in blocks if b.side is side) for side in Side)
    return changes >= max(2, (smaller + 1) // 2)
