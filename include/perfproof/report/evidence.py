"""The documents that a report projects, and what each must hold so that the report is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.errors import ArtifactError

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The documents that the report projects.

    `pictures` maps the names of SVG evidence to captions, `sources` cites what was read, and `decisions` says what each gate
    comes to with its waivers (PASS, WAIVED, FAIL, INDETERMINATE), by number.
    """

    run: str
    parameters: Document
    intake: Document
    baseline: Document
    hypotheses: Document
    profiles: Sequence[Document]
    query_plans: Document
    load_results: Document
    capacity: Document
    plan: Document
    validation: Document
    slo_record: Document
    gates: Sequence[Document]
    approvals: Sequence[Document]
    waivers: Sequence[Document]
    sources: Sequence[Document]
    pictures: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[int, str] = field(default_factory=dict)
    assurance: str = "A1"


# Field of Evidence -> (what the reader knows it as, the fields without which its section would be empty or wrong).
REQUIRED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "parameters": ("parameters of the run", ("objective", "environment")),
    "intake": (Artifact.INTAKE_REPORT, ("sources", "alerts", "incidents", "deployments", "pain_points")),
    "baseline": (
        BASELINE_JSON,
        ("baseline_completeness", "metrics_collected", "metrics_required", "collection_methodology", "cells"),
    ),
    "hypotheses": ("evidence/hypotheses-checked.json", ("hypotheses",)),
    "query_plans": ("evidence/query-plans.json", ("services",)),
    "load_results": (Artifact.LOAD_TEST_RESULTS, ("scenarios",)),
    "capacity": ("evidence/capacity.json", ("services",)),
    "plan": (Artifact.OPTIMIZATION_PLAN, ("tasks",)),
    "validation": (
        Artifact.VALIDATION_REPORT,
        ("target_metric", "baseline", "optimized", "improvement", "regressions", "regression_count", "status"),
    ),
    "slo_record": (Artifact.SLO_UPDATE_RECORD, ("updates", "approval_status", "approval_percentage")),
}


def require_complete(evidence: Evidence) -> None:
    """Returns if every document is there with what the report shows of it. Raises ArtifactError naming the first that is not."""
    for name, (document_name, fields) in REQUIRED.items():
        document = getattr(evidence, name)
        if not isinstance(document, Mapping) or not document:
            raise _incomplete(document_name, "the document is missing")
        missing = [key for key in fields if document.get(key) is None]
        if missing:
            raise _incomplete(document_name, f"without {', '.join(missing)}")
    if not evidence.profiles:
        raise _incomplete("evidence/profile-<service>.json", "the document is missing")


def _incomplete(name: str, what: str) -> ArtifactError:
    return ArtifactError(451, where=name, what=f"the report is incomplete: {what}", fix="clear the task that writes it, then publish again")
