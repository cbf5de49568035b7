"""JSON documents that a cycle writes, as tables and charts. Where the report shows the same document, its own section is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.pages.blocks import ShownBlock
from perfproof.pages.decisions import approval, gate_result
from perfproof.pages.load_results import load_results, load_test
from perfproof.pages.measured import measurement, validation
from perfproof.pages.profile_tables import profile, statements
from perfproof.pages.query_plan_trees import query_plans
from perfproof.pages.service_baselines import service_baseline
from perfproof.report.blocks import Section
from perfproof.report.change import optimization, slo_updates
from perfproof.report.diagnosis import baseline
from perfproof.report.evidence import Document, Evidence
from perfproof.report.moved import moved

Blocks = tuple[ShownBlock, ...]
_SHOWN = ("Paragraph", "Subheading", "Table", "Listing", "Chart")


def known_document(name: str, document: Document) -> Blocks | None:
    """The blocks that show the document of that name, None for a document without a page of its own.

    Raises what Python raises for a document of another shape: the caller shows it as it is then.
    """
    for pattern, show in _DOCUMENTS:
        if re.fullmatch(pattern, name):
            return show(document)
    return None


def _of_report(section: Callable[[Evidence], Any], field: str, *, many: bool = False) -> Callable[[Document], Blocks]:
    def show(document: Document) -> Blocks:
        found = section(_evidence({field: (document,) if many else document}))
        return own_blocks(found.blocks if isinstance(found, Section) else found)

    return show


def own_blocks(blocks: Any) -> Blocks:
    """Those of the report's blocks that a page shows: its pictures and references have places of their own there."""
    return tuple(block for block in blocks if type(block).__name__ in _SHOWN)


def _evidence(fields: Mapping[str, Any]) -> Evidence:
    """A report's evidence of which only `fields` are there."""
    empty: dict[str, Any] = {
        "run": "", "parameters": {}, "intake": {}, "baseline": {}, "hypotheses": {}, "profiles": (), "query_plans": {}, "load_results": {},
        "capacity": {}, "plan": {}, "validation": {}, "slo_record": {}, "gates": (), "approvals": (), "waivers": (), "sources": (),
    }  # fmt: skip
    return Evidence(**{**empty, **fields})


def _validation(document: Document) -> Blocks:
    from perfproof.report.change import validation as section

    return (*validation(document), *_of_report(section, "validation")(document))


_DOCUMENTS: tuple[tuple[str, Callable[[Document], Blocks]], ...] = (
    (r"gate-[1-4]-result\.json", gate_result),
    (re.escape(BASELINE_JSON), _of_report(baseline, "baseline")),
    (r"evidence/baseline-(?!against-|comparison)[a-z0-9_.-]+\.json", service_baseline),
    (re.escape(Artifact.OPTIMIZATION_PLAN), _of_report(optimization, "plan")),
    (re.escape(Artifact.VALIDATION_REPORT), _validation),
    (re.escape(Artifact.SLO_UPDATE_RECORD), _of_report(slo_updates, "slo_record")),
    (re.escape(Artifact.LOAD_TEST_RESULTS), load_results),
    (r"evidence/load-[a-z0-9_.-]+\.json", load_test),
    (r"evidence/measurement\.json", measurement),
    (r"evidence/query-plan-diff\.json", _of_report(moved, "query_plan_diff")),
    (r"evidence/(candidate-)?query-plans(-candidate)?\.json", query_plans),
    (r"evidence/profile-comparison-[a-z0-9_.-]+\.json", _of_report(moved, "profile_comparisons", many=True)),
    (r"evidence/profile-[a-z0-9_.-]+\.json", profile),
    (r"evidence/(candidate-)?statements-[a-z0-9_.-]+\.json", statements),
    (r"approvals/.+\.json", approval),
)
