"""How far the concurrent baseline blocks are from what phase 1 captured: the environment's drift, not the change's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from perfproof.judging.documents import number, rounded
from perfproof.judging.measured_blocks import Located, part, refuse


def drift_document(
    target: Located, service: str, concurrent: tuple[float | None, ...], baseline_document: Mapping[str, Any]
) -> dict[str, Any]:
    """The field `drift`. ArtifactError if the phase 1 baseline does not know the target metric, or in another unit.

    The two are measured in different ways and under different load, so the figure informs; no verdict rests on it.
    """
    where = "baseline-metrics.json"
    cells = [
        cell
        for cell in part(baseline_document, "cells", list, where=where)
        if isinstance(cell, Mapping) and cell.get("metric_name") == target.name and cell.get("service") == service
    ]
    if len(cells) != 1:
        raise refuse(
            317, where, f"validation not possible: {len(cells)} cells for {target.name} of {service}",
            "capture the baseline of the target metric", expected="one cell",
        )  # fmt: skip
    cell = cells[0]
    if cell.get("unit") != target.unit.value:
        raise refuse(
            318, f"{where} {target.name}", "validation not possible: the baseline is in another unit",
            "capture it in the unit of the blocks", got=cell.get("unit"), expected=target.unit.value,
        )  # fmt: skip
    captured = cell.get("value")
    known = [v for v in concurrent if v is not None and math.isfinite(v)]
    document: dict[str, Any] = {
        "metric": target.name,
        "unit": target.unit.value,
        "baseline_value": captured,
        "baseline_timestamp": cell.get("timestamp"),
        "concurrent_value": number(median(known)) if known else None,
        "change_percent": None,
        "note": "",
    }
    if not isinstance(captured, int | float) or isinstance(captured, bool) or captured <= 0 or not known:
        document["note"] = "Unknown: the phase 1 baseline or the concurrent baseline has no value to compare."
        return document
    change = 100 * (median(known) - captured) / captured
    document["change_percent"] = rounded(change)
    document["note"] = (
        f"The baseline blocks measured beside the candidate differ from phase 1 by {change:+.1f} %. The verdict compares blocks that were"
        " measured together, so this does not enter it."
    )
    return document
