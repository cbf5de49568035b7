"""Gate 1, Baseline Validation: is the baseline complete and traceable, the intake complete, are hypotheses documented?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.baseline import DISQUALIFYING, Reason
from perfproof.config import Baseline, Cause, Service, Thresholds
from perfproof.expectations.frame_check import Check
from perfproof.gates.evaluation import Figure, Words, count, evaluate
from perfproof.gates.figures import as_float, at, differs, digest_of, found, mappings, number, plain, rounded, share, text_at, unlike
from perfproof.gates.result import GateResult
from perfproof.gates.text import percent
from perfproof.schemas import document_problems, markdown_problems
from perfproof.schemas.tables import read_baseline_csv

SHA256 = re.compile(r"[0-9a-f]{64}")
UNUSABLE = frozenset(reason.value for reason in DISQUALIFYING) | {Reason.STALE.value}
HYPOTHESIS_FIELDS = ("id", "service", "symptom", "suspected_cause", "confirming_evidence", "metric")
TRACES = ("collection_method", "source", "query", "timestamp")
Cell = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Completeness as the cells give it. `missing` and `critical` name metrics (`service/metric` if there are several services)."""

    percentage: Decimal
    collected: int
    required: int
    missing: tuple[str, ...]
    critical: tuple[str, ...]


def gate_1(
    *,
    intake: Mapping[str, Any],
    baseline: Mapping[str, Any],
    baseline_csv: bytes,
    hypotheses: Mapping[str, Any] | None,
    hypothesis_log: str,
    services: Sequence[Service],
    rules: Baseline,
    thresholds: Thresholds,
    evidence: Sequence[Mapping[str, Any]],
    now: datetime,
    check: Check,
) -> GateResult:
    """The result of gate 1.

    `baseline` is the document of baseline-metrics.json, `hypotheses` that of evidence/hypotheses.json; `rules` say when a
    cell counts. Required are all metrics of `services`: a cell that is absent counts as nothing, not as a smaller whole.
    """
    cells = mappings(baseline, "cells")
    coverage = completeness(cells, services=services, rules=rules)
    gaps, documented = hypothesis_gaps(hypotheses, hypothesis_log)
    untraceable = [f"{name} has no {what}" for name, what in _untraceable(cells)]
    figures = {
        "baseline_completeness": Figure(as_float(coverage.percentage), _in_words(coverage)),
        "critical_metrics_incomplete": count((f"{m} is critical and incomplete" for m in coverage.critical), good="all are complete"),
        "intake_gaps": count(intake_gaps(intake, services=services), good="the intake report is complete"),
        "metrics_untraceable": count(untraceable, good="every value names source, query, method and raw digest"),
        "hypotheses_documented": Figure(float(documented), f"{documented} in {Artifact.HYPOTHESIS_LOG}"),
        "hypothesis_gaps": count(gaps, good="every hypothesis is complete"),
        "integrity_findings": count(
            _integrity(baseline, baseline_csv, hypotheses, coverage=coverage, services=services, rules=rules, evidence=evidence),
            good="declared figures are the recomputed ones",
        ),
    }
    return evaluate(
        suite="gate_1_baseline",
        figures=figures,
        recomputed={
            "baseline_completeness": rounded(coverage.percentage, digits=2),
            "metrics_collected": coverage.collected,
            "metrics_required": coverage.required,
            "missing_metrics": list(coverage.missing),
            "critical_metrics_incomplete": list(coverage.critical),
            "hypotheses_documented": documented,
        },
        words=Words(
            criteria=f"Baseline completeness ≥ {plain(Decimal(str(thresholds.baseline_completeness)))}%, intake report complete, "
            "traceable sources, hypotheses documented",
            actual=_actual(coverage, thresholds),
            told=frozenset({"baseline_completeness"}),
        ),
        thresholds=thresholds,
        evidence=evidence,
        now=now,
        check=check,
    )


def completeness(cells: Iterable[Cell], *, services: Sequence[Service], rules: Baseline) -> Coverage:
    """Mean score of the required cells, in percent. Of two cells for one metric the worse counts; nothing required is 0 %."""
    scores: dict[tuple[str, str], Decimal] = {}
    for cell in cells:
        pair = (str(cell.get("service")), str(cell.get("metric_name")))
        score = cell_score(cell, rules=rules)
        scores[pair] = min(score, scores.get(pair, score))
    required = [(s.name, m.name, m.critical) for s in services for m in s.metrics]
    several = len(services) > 1
    named = [(f"{s}/{m}" if several else m, scores.get((s, m), Decimal(0)), critical) for s, m, critical in required]
    total = sum((score for _, score, _ in named), Decimal(0))
    missing = tuple(name for name, score, _ in named if score == 0)
    return Coverage(
        percentage=share(total, len(named)) or Decimal(0),
        collected=len(named) - len(missing),
        required=len(named),
        missing=missing,
        critical=tuple(name for name, score, critical in named if critical and score < 1),
    )


def cell_score(cell: Cell, *, rules: Baseline) -> Decimal:
    """min(1, coverage / minimum coverage) of a cell with a finite value, enough samples and no disqualifying reason; else 0."""
    value, expected, valid = number(cell.get("value")), number(cell.get("samples_expected")), number(cell.get("samples_valid"))
    reasons = cell.get("reasons")
    if value is None or expected is None or valid is None or not isinstance(reasons, list):
        return Decimal(0)
    if expected <= 0 or valid < max(1, rules.min_samples) or UNUSABLE.intersection(map(str, reasons)):
        return Decimal(0)
    return min(Decimal(1), min(Decimal(1), valid / expected) / Decimal(str(rules.min_coverage)))


def intake_gaps(intake: Mapping[str, Any], *, services: Sequence[Service]) -> list[str]:
    """What the intake report lacks: fields, critical sources, or a metric of a service."""
    gaps = [f"intake report: {problem}" for problem in document_problems(Artifact.INTAKE_REPORT, intake)]
    gaps += [
        f"critical source {source.get('name')} is {source.get('status')}: {source.get('reason')}"
        for source in mappings(intake, "sources")
        if source.get("critical") is not False and source.get("status") != "ok"
    ]
    measured = {text_at(m, "service") for m in mappings(intake, "metrics")}
    gaps += [f"intake report has no metric of {s.name}" for s in services if s.name not in measured]
    return gaps


def hypothesis_gaps(hypotheses: Mapping[str, Any] | None, log: str) -> tuple[list[str], int]:
    """What the hypotheses lack, and how many are documented: complete, and named in the log."""
    gaps = [f"{Artifact.HYPOTHESIS_LOG}: {p}" for p in markdown_problems(Artifact.HYPOTHESIS_LOG, log)]
    documented = 0
    if hypotheses is None:
        return [*gaps, "evidence/hypotheses.json is missing"], 0
    for hypothesis in mappings(hypotheses, "hypotheses"):
        name = text_at(hypothesis, "id") or "a hypothesis without id"
        lacks = [f"{name} names no {field.replace('_', ' ')}" for field in HYPOTHESIS_FIELDS if not text_at(hypothesis, field)]
        if text_at(hypothesis, "cause") not in set(Cause):
            lacks.append(f"{name} has an unknown cause {hypothesis.get('cause')!r}")
        if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", log):
            lacks.append(f"{name} is not in {Artifact.HYPOTHESIS_LOG}")
        documented += not lacks
        gaps += lacks
    return gaps, documented


def _untraceable(cells: Iterable[Cell]) -> Iterable[tuple[str, str]]:
    for cell in cells:
        if cell.get("value") is None:
            continue
        name = f"{cell.get('service')}/{cell.get('metric_name')}"
        yield from ((name, field.replace("_", " ")) for field in TRACES if not text_at(cell, field))
        if not SHA256.fullmatch(text_at(cell, "raw_sha256")):
            yield name, "raw digest"


def _integrity(
    baseline: Mapping[str, Any],
    table: bytes,
    hypotheses: Mapping[str, Any] | None,
    *,
    coverage: Coverage,
    services: Sequence[Service],
    rules: Baseline,
    evidence: Sequence[Mapping[str, Any]],
) -> list[str]:
    complaints = found(
        differs("baseline_completeness", baseline.get("baseline_completeness"), coverage.percentage),
        unlike("metrics_collected", baseline.get("metrics_collected"), coverage.collected),
        unlike("metrics_required", baseline.get("metrics_required"), coverage.required),
    )
    declared = baseline.get("missing_metrics")
    if not isinstance(declared, list) or sorted(map(str, declared)) != sorted(coverage.missing):
        complaints.append(f"missing_metrics declares {declared!r}, the evidence gives {list(coverage.missing)!r}")
    for key, value in (("min_coverage", rules.min_coverage), ("min_samples", rules.min_samples)):
        stated = at(baseline, "requirements", key)
        if stated is not None and number(stated) != Decimal(str(value)):
            complaints.append(f"requirements.{key} is {stated!r}, the protocol file says {value:g}")
    cells = mappings(baseline, "cells")
    complaints += _cell_findings(cells, services)
    complaints += _csv_findings(table, cells)
    expected = digest_of(evidence, "baseline-metrics.json")
    for hypothesis in mappings(hypotheses, "hypotheses"):
        cited = at(hypothesis, "baseline", "sha256")
        if expected is not None and cited != expected:
            complaints.append(f"hypothesis {hypothesis.get('id')} cites another baseline than the one judged")
    return complaints


def _cell_findings(cells: Sequence[Cell], services: Sequence[Service]) -> list[str]:
    complaints = []
    seen: set[tuple[str, str]] = set()
    specs = {(s.name, m.name): m for s in services for m in s.metrics}
    for cell in cells:
        pair = (str(cell.get("service")), str(cell.get("metric_name")))
        name = f"{pair[0]}/{pair[1]}"
        if pair in seen:
            complaints.append(f"{name} stands twice in the baseline")
        seen.add(pair)
        expected, valid = number(cell.get("samples_expected")), number(cell.get("samples_valid"))
        if cell.get("value") is not None and number(cell.get("value")) is None:
            complaints.append(f"{name} has the value {cell.get('value')!r}, which is no number")
        if expected is None or valid is None or valid > expected or valid < 0:
            complaints.append(f"{name} has {cell.get('samples_valid')!r} valid of {cell.get('samples_expected')!r} samples")
        elif expected > 0:
            complaints += found(differs(f"coverage of {name}", cell.get("coverage"), valid / expected, rounding=Decimal("0.0001")))
        spec = specs.get(pair)
        if spec is not None and (cell.get("unit"), cell.get("critical")) != (spec.unit.value, spec.critical):
            complaints.append(f"{name} has unit {cell.get('unit')!r}, critical {cell.get('critical')!r}, unlike the protocol file")
    return complaints


def _csv_findings(table: bytes, cells: Sequence[Cell]) -> list[str]:
    rows, errors = read_baseline_csv(table)
    complaints = [f"{Artifact.BASELINE_CSV}: {error}" for error in errors]
    held = {(row.service, row.metric_name): row for row in rows}
    listed = {(str(cell.get("service")), str(cell.get("metric_name"))): cell for cell in cells}
    for pair, cell in listed.items():
        row = held.get(pair)
        name = f"{pair[0]}/{pair[1]}"
        if row is None:
            complaints.append(f"{Artifact.BASELINE_CSV} has no row for {name}")
        elif row.value != number(cell.get("value")) or (row.unit, row.timestamp) != (cell.get("unit"), cell.get("timestamp")):
            complaints.append(f"{Artifact.BASELINE_CSV} differs from baseline-metrics.json in {name}")
    complaints += [f"{Artifact.BASELINE_CSV} has a row for {s}/{m}, which was not measured" for s, m in held if (s, m) not in listed]
    return complaints


def _in_words(coverage: Coverage) -> str:
    return f"{coverage.collected} of {coverage.required} metrics" + _missing(coverage)


def _missing(coverage: Coverage) -> str:
    return f", missing: {', '.join(coverage.missing)}" if coverage.missing else ""


def _actual(coverage: Coverage, thresholds: Thresholds) -> str:
    shown = percent(float(coverage.percentage), threshold=thresholds.baseline_completeness)
    return f"Baseline completeness {shown}, {coverage.collected} of {coverage.required} metrics collected{_missing(coverage)}"
