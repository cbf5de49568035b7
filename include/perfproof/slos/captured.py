"""The history of a metric in recurring captures: one value for each interval, as a back-test reads it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.moments import parse_stamp
from perfproof.telemetry import document_bytes

Capture = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """One value per capture (NaN: none), at the ends of their intervals in seconds. `step` is the length of the intervals.

    Captures of another length are left out and counted in `other_lengths`. `source` says what it was read from.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    step: float
    other_lengths: int
    source: Mapping[str, Any]


def captured_history(captures: Sequence[Capture], *, service: str, metric: str, unit: str) -> MetricHistory | None:
    """The metric over `captures` (baseline documents, oldest first), None if none of them measured it in this unit."""
    spans = [(parse_stamp(c["window"]["start"]).timestamp(), parse_stamp(c["window"]["end"]).timestamp()) for c in captures]
    lengths = [end - start for start, end in spans]
    if not lengths:
        return None
    step = max(sorted(set(lengths)), key=lengths.count)
    same = [(span[1], capture) for span, length, capture in zip(spans, lengths, captures, strict=True) if length == step]
    values = tuple(_value(capture, service, metric, unit) for _, capture in same)
    if all(math.isnan(value) for value in values):
        return None
    digest = hashlib.sha256(b"".join(document_bytes(capture) for _, capture in same)).hexdigest()
    source = {
        "captures": len(same),
        "other_lengths": len(captures) - len(same),
        "first": same[0][1]["window"]["start"],
        "last": same[-1][1]["window"]["end"],
        "sha256": digest,
    }
    return MetricHistory(tuple(end for end, _ in same), values, step, len(captures) - len(same), source)


def _value(capture: Capture, service: str, metric: str, unit: str) -> float:
    for cell in capture["cells"]:
        if (cell["service"], cell["metric_name"], cell["unit"]) == (service, metric, unit) and cell["value"] is not None:
            return float(cell["value"])
    return math.nan
