"""Reads `baseline-metrics.json`: only what this version writes, and only if its figures are those that its cells give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perfproof.baseline.cells import Cell, Reason, Requirements, impossible
from perfproof.baseline.completeness import completeness
from perfproof.baseline.document import SCHEMA_VERSION, completeness_figures
from perfproof.errors import ArtifactError
from perfproof.inputs.shapes import refusal, require
from perfproof.moments import parse_stamp
from perfproof.strict import build, read_json
from perfproof.telemetry import Direction, MetricKind, Unit

NUMBER = (int, float)
NUMBER_OR_NULL = (int, float, type(None))
DOCUMENT_KEYS: dict[str, type | tuple[type, ...]] = {
    "schema_version": int,
    "collected_at": str,
    "collection_methodology": str,
    "window": dict,
    "requirements": dict,
    "protocol_sha256": str,
    "baseline_completeness": NUMBER,
    "metrics_collected": int,
    "metrics_required": int,
    "missing_metrics": list,
    "cells": list,
    "slos": list,
    "builds": dict,
}
CELL_KEYS: dict[str, type | tuple[type, ...]] = {
    "metric_name": str,
    "service": str,
    "kind": str,
    "value": NUMBER_OR_NULL,
    "unit": str,
    "direction": str,
    "collection_method": str,
    "source": str,
    "query": str,
    "timestamp": str,
    "samples_expected": int,
    "samples_valid": int,
    "coverage": NUMBER,
    "staleness_seconds": NUMBER_OR_NULL,
    "reasons": list,
    "critical": bool,
    "raw_sha256": str,
}
SLO_KEYS: dict[str, type | tuple[type, ...]] = {
    "slo_name": str,
    "service": str,
    "metric": str,
    "target": NUMBER,
    "sla": NUMBER_OR_NULL,
    "unit": str,
    "objective_percent": NUMBER,
    "adherence_percent": NUMBER_OR_NULL,
    "met": (bool, type(None)),
}
WINDOW_KEYS: dict[str, type | tuple[type, ...]] = {"start": str, "end": str, "step_seconds": NUMBER}
DIGEST = re.compile(r"[0-9a-f]{64}")


def read_baseline(data: bytes, *, where: str) -> dict[str, Any]:
    """The document in `data`, its completeness recomputed from its cells. Raises ArtifactError for what differs or is missing."""
    document = require(read_json(data, where=where), DOCUMENT_KEYS, where=where, number=310)
    if document["schema_version"] != SCHEMA_VERSION:
        raise refusal(
            311, f"{where}.schema_version", "another version of the format", "capture the baseline with this version",
            got=document["schema_version"], expected=SCHEMA_VERSION,
        )  # fmt: skip
    parse_stamp(document["collected_at"], where=f"{where}.collected_at")
    _check_digest(document["protocol_sha256"], f"{where}.protocol_sha256")
    require(document["window"], WINDOW_KEYS, where=f"{where}.window", number=310)
    require(document["builds"], dict.fromkeys(document["builds"], (str, type(None))), where=f"{where}.builds", number=310)
    for index, slo in enumerate(document["slos"]):
        require(slo, SLO_KEYS, where=f"{where}.slos[{index}]", number=310)
    cells = cells_of(document, where=where)
    figures = completeness_figures(completeness(cells, [(cell.service, cell.metric) for cell in cells]))
    for key, value in figures.items():
        if document[key] != value:
            raise refusal(
                312, f"{where}.{key}", "the cells do not give the declared figure", "keep the file as it was written",
                got=document[key], expected=value,
            )  # fmt: skip
    return document


def cells_of(document: Mapping[str, Any], *, where: str = "baseline") -> list[Cell]:
    """The cells of a baseline document or of one service's part of it.

    Raises ArtifactError for a cell that contradicts itself or comes twice.
    """
    requirements = build(Requirements, document["requirements"], where=f"{where}.requirements", error=ArtifactError)
    if not 0 < requirements.min_coverage <= 1 or requirements.min_samples < 0:
        raise refusal(
            313,
            f"{where}.requirements",
            "out of range",
            "keep the file as it was written",
            got=document["requirements"],
        )
    cells: list[Cell] = []
    seen: set[tuple[str, str]] = set()
    for index, record in enumerate(document["cells"]):
        place = f"{where}.cells[{index}]"
        cell = _cell(require(record, CELL_KEYS, where=place, number=310), requirements, place)
        if (cell.service, cell.metric) in seen:
            raise refusal(314, place, "two cells for one metric", "keep one", got=f"{cell.service}/{cell.metric}")
        seen.add((cell.service, cell.metric))
        cells.append(cell)
    if not cells:
        raise refusal(315, f"{where}.cells", "no cells", "capture the baseline again")
    return cells


def _cell(record: dict[str, Any], requirements: Requirements, place: str) -> Cell:
    if not 0 <= record["samples_valid"] <= record["samples_expected"]:
        raise refusal(
            316, f"{place}.samples_valid", "more samples than steps, or fewer than none", "keep the file as it was written",
            got=record["samples_valid"], expected=f"0 to {record['samples_expected']}",
        )  # fmt: skip
    if (record["value"] is None) != (record["samples_valid"] == 0):
        raise refusal(
            317,
            f"{place}.value",
            "value and number of samples contradict each other",
            "capture it again",
            got=record["value"],
        )
    _check_digest(record["raw_sha256"], f"{place}.raw_sha256")
    cell = Cell(
        metric=record["metric_name"],
        service=record["service"],
        kind=build(MetricKind, record["kind"], where=f"{place}.kind", error=ArtifactError),
        value=None if record["value"] is None else float(record["value"]),
        unit=build(Unit, record["unit"], where=f"{place}.unit", error=ArtifactError),
        direction=build(Direction, record["direction"], where=f"{place}.direction", error=ArtifactError),
        collection_method=record["collection_method"],
        source=record["source"],
        query=record["query"],
        window_end=parse_stamp(record["timestamp"], where=f"{place}.timestamp").timestamp(),
        samples_expected=record["samples_expected"],
        samples_valid=record["samples_valid"],
        staleness_seconds=None if record["staleness_seconds"] is None else float(record["staleness_seconds"]),
        reasons=tuple(build(Reason, reason, where=f"{place}.reasons", error=ArtifactError) for reason in record["reasons"]),
        critical=record["critical"],
        raw_sha256=record["raw_sha256"],
        requirements=requirements,
    )
    if cell.value is not None and impossible(cell.value, kind=cell.kind, unit=cell.unit):
        raise refusal(
            319, f"{place}.value", f"no {cell.kind.value} can be this in {cell.unit.value}", "capture it again", got=record["value"],
        )  # fmt: skip
    if abs(cell.coverage - record["coverage"]) > 1e-4:
        raise refusal(
            312, f"{place}.coverage", "the samples do not give the declared figure", "keep the file as it was written",
            got=record["coverage"], expected=round(cell.coverage, 4),
        )  # fmt: skip
    return cell


def _check_digest(text: str, place: str) -> None:
    if not DIGEST.fullmatch(text):
        raise refusal(318, place, "not a SHA-256 digest", "64 lower-case hexadecimal digits", got=text)
