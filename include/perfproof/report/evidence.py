"""The documents that a report projects, and what each must hold so that the report is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.errors import ArtifactError
from perfproof.report.blocks import Origin, Picture

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The documents that the report projects.

    `pictures` maps the names of SVG evidence to captions, `sources` cites what was read, and `decisions` says what each gate
    comes to with its waivers (PASS, WAIVED, FAIL, INDETERMINATE), by number. `profile_comparisons` and `query_plan_diff` are there where
    the candidate was set against the baseline. `descriptions` says in words what can be seen in a picture, by its name.
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
    profile_comparisons: Sequence[Document] = ()
    query_plan_diff: Document | None = None
    cost_change: Document | None = None
    promised_gains: Document | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def known(self, *names: str) -> tuple[str, ...]:
        """Those of `names` that are among the evidence of the cycle."""
        sources = {str(source["name"]) for source in self.sources}
        return tuple(name for name in names if name in sources)

    def origin(self, *names: str) -> list[Origin]:
        """What says where the figures that follow come from; nothing where none of `names` is evidence of the cycle."""
        found = self.known(*names)
        return [Origin(found)] if found else []


def pictures(evidence: Evidence, word: str) -> list[Picture]:
    """The pictures with `word` in their name, in the order of their names."""
    found = ((name, caption) for name, caption in sorted(evidence.pictures.items()) if word in name)
    return [Picture(name, caption, evidence.descriptions.get(name, "")) for name, caption in found]


# Names that the report cites and that are no artifacts of the protocol.
HYPOTHESES_CHECKED = "evidence/hypotheses-checked.json"
HYPOTHESES_RESULTS = "evidence/hypotheses-results.json"
QUERY_PLANS = "evidence/query-plans.json"
CAPACITY = "evidence/capacity.json"
COST_CHANGE = "evidence/cost-change.json"
PROMISED_GAINS = "evidence/promised-gains.json"
PLAN_DIFF = "evidence/query-plan-diff.json"
MEASUREMENT = "evidence/measurement.json"

# Field of Evidence -> (what the reader knows it as, the fields without which its section would be empty or wrong).
REQUIRED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "parameters": ("parameters of the run", ("objective", "environment")),
    "intake": (Artifact.INTAKE_REPORT, ("sources", "alerts", "incidents", "deployments", "pain_points")),
    "baseline": (
        BASELINE_JSON,
        ("baseline_completeness", "metrics_collected", "metrics_required", "collection_methodology", "cells"),
    ),
    "hypotheses": (HYPOTHESES_CHECKED, ("hypotheses",)),
    "query_plans": (QUERY_PLANS, ("services",)),
    "load_results": (Artifact.LOAD_TEST_RESULTS, ("scenarios",)),
    "capacity": (CAPACITY, ("services",)),
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
