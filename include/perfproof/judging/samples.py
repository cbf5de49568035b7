"""How many blocks and requests a verdict rests on, what was left out, and whether blocks can hold the percentile at all."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from perfproof.judging.documents import number
from perfproof.judging.measured_blocks import SHARES, Block, Kind, Located, Side, requests_of, value_in
from perfproof.statistics.percentiles import samples_beyond_maximum, smallest_sample


def enough_requests(blocks: Sequence[Block], target: Located) -> str | None:
    """Why the blocks cannot hold the target's percentile, or None. p95 of fewer than 20 requests is their largest value."""
    if target.kind is not Kind.LATENCY:
        return None
    needed = samples_beyond_maximum(SHARES[target.key])
    for side in Side:
        counts = [c for b in blocks if b.side is side and (c := requests_of(b, target.transaction)) is not None]
        if counts and median(counts) < needed:
            return (
                f"{target.key} of {median(counts):g} requests a block is only their largest value: at least {needed} requests of"
                f" {target.transaction} a block are needed, so measure longer blocks."
            )
    return None


def _side_document(every: Sequence[Block], valid: Sequence[Block], side: Side, target: Located, *, block_seconds: float) -> dict[str, Any]:
    mine = [b for b in valid if b.side is side]
    counts = [requests_of(b, target.transaction) for b in mine] if target.kind is Kind.LATENCY else [b.requests for b in mine]
    known = [c for c in counts if c is not None]
    return {
        "blocks": sum(1 for b in every if b.side is side),
        "valid_blocks": len(mine),
        "left_out": [{"order": b.order, "reasons": list(b.invalid_reasons)} for b in every if b.side is side and not b.valid],
        "requests": sum(b.requests for b in mine),
        "requests_of_target": sum(known) if known else None,
        "fewest_in_a_block": min(known) if known else None,
        "values": [number(value_in(b, target, block_seconds=block_seconds)) for b in mine],
    }


def samples_document(
    every: Sequence[Block], valid: Sequence[Block], target: Located, *, block_seconds: float, confidence: float
) -> dict[str, Any]:
    """The field `samples`: per side blocks, requests, what was left out and why, and the target's value in each block."""
    document: dict[str, Any] = {side.value: _side_document(every, valid, side, target, block_seconds=block_seconds) for side in Side}
    if target.kind is Kind.LATENCY:
        needed = smallest_sample(SHARES[target.key], confidence=confidence)
        fewest = [document[side]["fewest_in_a_block"] for side in Side]
        document["requests_for_percentile"] = needed
        if any(f is not None and f < needed for f in fewest):
            document["note"] = (
                f"A single block with fewer than {needed} requests of {target.transaction} does not bound its own {target.key};"
                " the interval of the verdict comes from the spread between blocks."
            )
    return document
