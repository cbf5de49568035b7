"""What the performance report says, section by section, from the artifacts of a cycle."""

from __future__ import annotations

from perfproof.report.blocks import Section
from perfproof.report.change import optimization, slo_updates, validation
from perfproof.report.cost import with_cost_and_promises
from perfproof.report.diagnosis import baseline, diagnostics
from perfproof.report.evidence import Evidence, require_complete
from perfproof.report.gates import approvals, gates, sources
from perfproof.report.intake import intake
from perfproof.report.summary import summary


def sections(evidence: Evidence) -> tuple[Section, ...]:
    """The sections of the report: a summary, then the spec's order, and what proves it.

    Raises ArtifactError naming the document that is missing or has not what the report must show.
    """
    require_complete(evidence)
    return (
        summary(evidence),
        intake(evidence),
        baseline(evidence),
        diagnostics(evidence),
        optimization(evidence),
        with_cost_and_promises(validation(evidence), evidence),
        slo_updates(evidence),
        gates(evidence),
        approvals(evidence),
        sources(evidence),
    )
