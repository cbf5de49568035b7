"""The baseline as documents: `baseline-metrics.json`, the specification's six-column CSV, and the records inside them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from perfproof.baseline.cells import Cell, Window
from perfproof.baseline.completeness import Completeness, completeness, required_cells
from perfproof.config import Service, Slo
from perfproof.errors import TelemetryError
from perfproof.moments import stamp

SCHEMA_VERSION = 1
CSV_COLUMNS = ("metric_name", "service", "value", "unit", "collection_method", "timestamp")
# A spreadsheet takes a cell that starts with one of these for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def cell_record(cell: Cell) -> dict[str, Any]:
    """One entry of `cells`. `timestamp` is the end of the window that the value describes."""
    return {
        "metric_name": cell.metric,
        "service": cell.service,
        "kind": cell.kind.value,
        "value": _plain(cell.value),
        "unit": cell.unit.value,
        "direction": cell.direction.value,
        "collection_method": cell.collection_method,
        "source": cell.source,
        "query": cell.query,
        "timestamp": stamp(datetime.fromtimestamp(cell.window_end, UTC)),
        "samples_expected": cell.samples_expected,
        "samples_valid": cell.samples_valid,
        "coverage": round(cell.coverage, 4),
        "staleness_seconds": cell.staleness_seconds,
        "reasons": [reason.value for reason in cell.reasons],
        "critical": cell.critical,
        "raw_sha256": cell.raw_sha256,
    }


def slo_record(slo: Slo, *, service: str, adherence_percent: float | None) -> dict[str, Any]:
    """One entry of `slos`. `met` is null without samples: no data is not adherence."""
    return {
        "slo_name": slo.name,
        "service": service,
        "metric": slo.metric,
        "target": _plain(slo.target),
        "sla": _plain(slo.sla),
        "unit": slo.unit.value,
        "objective_percent": _plain(slo.objective_percent),
        "adherence_percent": None if adherence_percent is None else _plain(round_down(adherence_percent)),
        "met": None if adherence_percent is None else adherence_percent >= slo.objective_percent,
    }


def completeness_figures(found: Completeness) -> dict[str, Any]:
    """The four figures of the specification's sample. The percentage is cut, never rounded up to a threshold."""
    return {
        "baseline_completeness": _plain(round_down(found.percentage)),
        "metrics_collected": found.collected,
        "metrics_required": found.required,
        "missing_metrics": list(found.missing),
    }


def service_document(
    service: Service,
    cells: Sequence[Cell],
    *,
    window: Window,
    adherence: Mapping[str, float | None],
    build: str | None,
    answers: Mapping[str, str],
) -> dict[str, Any]:
    """`evidence/baseline-<service>.json`: what one service's capture gave, to be joined by `baseline_document`.

    `adherence` maps the name of each SLO to its adherence in percent; `build` is what answered, None if nobody knows.
    `answers` are the sources' answers by metric, as text: each has its cell's `raw_sha256`, so the cells can be measured again.
    """
    absent = [spec.name for spec in service.metrics if spec.name not in {cell.metric for cell in cells}]
    if absent:
        raise TelemetryError(
            253, where=f"baseline of {service.name}", what="a required metric was never asked for", got=", ".join(absent),
            fix="capture every metric of the service",
        )  # fmt: skip
    return {
        "service": service.name,
        "build": build,
        "window": window_record(window),
        "requirements": requirements_record(cells),
        "cells": [cell_record(cell) for cell in cells],
        "adherence": {adherence_key(service.name, slo.name): adherence.get(slo.name) for slo in service.slos},
        "answers": dict(answers),
    }


def adherence_key(service: str, slo_name: str) -> str:
    """The key of one SLO among those of several services."""
    return f"{service}/{slo_name}"


def baseline_document(
    cells: Sequence[Cell],
    *,
    window: Mapping[str, Any],
    protocol_sha256: str,
    services: Sequence[Service],
    builds: Mapping[str, str | None],
    adherence: Mapping[str, float | None],
    now: datetime,
) -> dict[str, Any]:
    """`baseline-metrics.json`. Every metric of `services` must have exactly one cell, even an empty one.

    `window` is {start, end, step_seconds}, `builds` maps each service to the build that answered (None: UNKNOWN), and
    `adherence` has the keys of `adherence_key`. Raises TelemetryError if a metric has no cell or two, or if cells were
    measured under different requirements.
    """
    pairs = [(cell.service, cell.metric) for cell in cells]
    measured = set(pairs)
    required = required_cells(services)
    absent = [f"{service}/{metric}" for service, metric in required if (service, metric) not in measured]
    if absent or not cells:
        raise TelemetryError(
            253, where="baseline", what="a required metric was never asked for", got=", ".join(absent) or "no cells",
            fix="capture every service of the protocol file",
        )  # fmt: skip
    if len(set(pairs)) < len(pairs) or set(pairs) != set(required):
        raise TelemetryError(
            254, where="baseline", what="two measurements for one metric, or one that nobody required",
            fix="capture each service once, with one protocol file",
        )  # fmt: skip
    return {
        "schema_version": SCHEMA_VERSION,
        "collected_at": stamp(now),
        "collection_methodology": methodology(cells, window=window),
        "window": dict(window),
        "requirements": requirements_record(cells),
        "protocol_sha256": protocol_sha256,
        **completeness_figures(completeness(cells, required)),
        "cells": [cell_record(cell) for cell in cells],
        "slos": [
            slo_record(slo, service=service.name, adherence_percent=adherence.get(adherence_key(service.name, slo.name)))
            for service in services
            for slo in service.slos
        ],
        "builds": dict(builds),
    }


def requirements_record(cells: Sequence[Cell]) -> dict[str, Any]:
    """What the cells were held to. Raises TelemetryError if they were not all held to the same."""
    held = {cell.requirements for cell in cells}
    if len(held) != 1:
        raise TelemetryError(
            254, where="baseline", what="measured under different requirements", got=f"{len(held)} sets", expected="one",
            fix="capture each service once, with one protocol file",
        )  # fmt: skip
    requirements = held.pop()
    return {
        "min_coverage": requirements.min_coverage,
        "min_samples": requirements.min_samples,
        "max_staleness_seconds": _plain(requirements.max_staleness_seconds),
    }


def window_record(window: Window) -> dict[str, Any]:
    """The window with its ends as moments."""
    return {
        "start": stamp(datetime.fromtimestamp(window.start, UTC)),
        "end": stamp(datetime.fromtimestamp(window.end, UTC)),
        "step_seconds": _plain(window.step),
    }


def methodology(cells: Sequence[Cell], *, window: Mapping[str, Any]) -> str:
    """How the values came about, in words that an outsider can follow."""
    methods = "; ".join(sorted({cell.collection_method for cell in cells}))
    return (
        f"Collected by: {methods}. One sample every {window['step_seconds']:g} s after {window['start']} up to {window['end']}, "
        "as recorded; gaps are not filled. Each value is the median of the valid samples, to six significant digits; for a "
        "quantile series it is the typical quantile of the short spans that its query names. Not valid: NaN and infinities, a "
        "moment with two different values, a series with a value that its unit cannot have. Completeness is the mean over all "
        "required metrics of min(1, coverage / minimum coverage), 0 for a metric that is stale, untraceable or has too few samples."
    )


def baseline_csv(document: Mapping[str, Any]) -> bytes:
    """`baseline-metrics.csv` from the document: the specification's six columns, one row per cell, `\\n` line ends.

    The value of a cell without one is empty. Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for cell in document["cells"]:
        value = "" if cell["value"] is None else repr(cell["value"])
        writer.writerow([value if name == "value" else _harmless(str(cell[name])) for name in CSV_COLUMNS])
    return out.getvalue().encode()


def round_down(value: float) -> float:
    """`value` cut to two decimals: 94.999 stays below 95. What binary fractions add is forgiven (28.999999999 is 29)."""
    return math.floor(value * 100 + 1e-6) / 100


def _harmless(text: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{shown}" if shown.startswith(FORMULA_STARTS) else shown


def _plain(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) and abs(value) < 1e15 else value
