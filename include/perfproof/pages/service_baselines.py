"""What was measured of one service before the change, with the query that each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.pages.blocks import Code, Mark, Paragraph, ShownBlock, Table, Tone
from perfproof.report.blocks import figure, percent

HEADER = ("Metric", "Value", "Valid samples", "Coverage", "Source", "Not valid", "Query")


def service_baseline(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Every cell of the service's part of the baseline. Nothing for a document without cells."""
    if "cells" not in document:
        return ()
    window = document.get("window") or {}
    told = f"{document['service']}, build {document.get('build')}: from {window.get('start')} to {window.get('end')}."
    return Paragraph(told), Table(HEADER, tuple(map(_cell, document["cells"])), "What was measured")


def _cell(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    coverage = cell.get("coverage")
    return (
        cell["metric_name"],
        Mark("no value", Tone.BAD) if cell.get("value") is None else figure(cell["value"], cell.get("unit")),
        f"{cell.get('samples_valid')} of {cell.get('samples_expected')}",
        percent(round(100 * coverage, 1)) if isinstance(coverage, int | float) else None,
        cell.get("source"),
        ", ".join(str(code) for code in cell.get("reasons") or ()) or None,
        Code(str(cell["query"])) if cell.get("query") else None,
    )
