"""A load file and a comparison of two as JSON: figures, and beside them what they cannot support."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from perfproof.load_files.comparison import LoadComparison
from perfproof.load_files.figures import Figures
from perfproof.load_files.form import LoadFile, Part
from perfproof.load_files.time_blocks import Block

WARM_UP_IN = "the warm-up is in the figures: nothing was left out at the beginning"


def limits_of(file: LoadFile, *, skip_seconds: float) -> list[str]:
    """The limits of a file, with that of its warm-up."""
    return [*file.limits, *([WARM_UP_IN] if file.requests is not None and skip_seconds <= 0 else [])]


def file_document(
    file: LoadFile,
    *,
    figures: Figures | None,
    by_name: Sequence[Figures],
    blocks: Sequence[Block],
    block_seconds: float,
    skip_seconds: float,
) -> dict[str, Any]:
    """Everything that is known of one file. `figures` is None for a summary."""
    document: dict[str, Any] = {
        "tool": file.tool.value,
        "form": file.form,
        "kind": "summary" if figures is None else "requests",
        "limits": limits_of(file, skip_seconds=skip_seconds),
        "left_out": list(file.left_out),
        "dropped": file.dropped,
    }
    if figures is not None:
        document |= {
            "skip_seconds": skip_seconds,
            **_figures(figures),
            "by_name": [_figures(one) for one in by_name],
            "block_seconds": block_seconds,
            "blocks": [asdict(block) for block in blocks],
        }
    elif file.summary is not None:
        document |= {
            "seconds": file.summary.seconds,
            "rate": file.summary.rate,
            **_part(file.summary.total),
            "by_name": [_part(part) for part in file.summary.parts],
        }
    return document


def comparison_document(
    comparison: LoadComparison, *, before: LoadFile, after: LoadFile, limits: Sequence[str], block_seconds: float
) -> dict[str, Any]:
    """The answer with its verdicts. A verdict stands for a metric of the whole test or of the route that was named."""
    return {
        "answer": comparison.answer.value,
        "reasons": list(comparison.reasons),
        "block_seconds": block_seconds,
        "verdicts": [{name: _finite(value) for name, value in asdict(verdict).items()} for verdict in comparison.verdicts],
        "before": {"tool": before.tool.value, "form": before.form, "left_out": list(before.left_out)},
        "after": {"tool": after.tool.value, "form": after.form, "left_out": list(after.left_out)},
        "limits": list(limits),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    rate = figures.error_rate
    return {
        "name": figures.name,
        "requests": figures.requests,
        "errors": figures.errors,
        "seconds": figures.seconds,
        "rate": figures.rate,
        "throughput": figures.throughput,
        "error_rate_percent": {"value": 100 * rate.estimate, "low": 100 * rate.low, "high": 100 * rate.high},
        "latency_ms": {label: asdict(percentile) for label, percentile in figures.latency.items()},
    }


def _part(part: Part) -> dict[str, Any]:
    return {"name": part.name, "requests": part.requests, "errors": part.errors, "latency_ms": dict(part.latency_ms)}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
