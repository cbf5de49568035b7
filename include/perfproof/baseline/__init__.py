"""The baseline of a cycle: cells measured over a window, their completeness, and the documents that hold them."""

from __future__ import annotations

from perfproof.baseline.cells import (
    DISQUALIFYING,
    Cell,
    Reason,
    Requirements,
    Window,
    adherence_percent,
    failed_series,
    measure_cell,
    rate_window,
)
from perfproof.baseline.completeness import Completeness, completeness, require_sources, required_cells
from perfproof.baseline.document import baseline_csv, baseline_document, service_document
from perfproof.baseline.percentiles import require_percentile_order
from perfproof.baseline.reading import cells_of, read_baseline

__all__ = [
    "DISQUALIFYING",
    "Cell",
    "Completeness",
    "Reason",
    "Requirements",
    "Window",
    "adherence_percent",
    "baseline_csv",
    "baseline_document",
    "cells_of",
    "completeness",
    "failed_series",
    "measure_cell",
    "rate_window",
    "read_baseline",
    "require_percentile_order",
    "require_sources",
    "required_cells",
    "service_document",
]
