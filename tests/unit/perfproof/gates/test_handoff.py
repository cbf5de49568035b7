"""The six items before the next protocol, each recomputed; an open one blocks with its own line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfproof.artifacts import Artifact
from perfproof.handoff import HandoffBlocked, HandoffState, checklist, require_complete
from perfproof.telemetry import document_bytes, sha256_hex
from perfproof.waivers import Approver, Waiver


@pytest.fixture
def state(cycle: Any, kit: Any) -> HandoffState:
    """A cycle whose gates all passed and whose artifacts are all archived."""
    results = {gate: getattr(cycle, f"gate_{gate}")().document() for gate in (1, 2, 3, 4)}
    artifacts = cycle.artifacts()
    return HandoffState(
        run="run-1",
        results=results,
        result_sha256={gate: sha256_hex(document_bytes(result)) for gate, result in results.items()},
        waivers=(),
        artifacts=artifacts,
        archived={name: sha256_hex(data) for name, data in artifacts.items()},
        slo_record=cycle.slo_record,
        approval_records=cycle.approvals,
        proposal_ref=kit.reference("evidence/slo-proposal.json", cycle.proposal),
        roles=kit.ROLES,
        thresholds=cycle.thresholds,
        now=kit.NOW,
    )


def open_items(state: HandoffState) -> list[int]:
    """The numbers of the items that are not done."""
    return [item.number for item in checklist(state) if not item.done]


def test_a_complete_cycle_is_handed_off(state: HandoffState) -> None:
    """Six items in the specification's order, all done."""
    items = require_complete(state)
    assert [item.number for item in items] == [1, 2, 3, 4, 5, 6]
    assert items[0].line() == "[x] 1. All quality gates passed (Gate 1-4) or waivers documented"
    assert items[2].text == "optimization-validation-report.json shows improvement ≥ 15% or documented justification"
    assert items[5].text == "Documentation completeness ≥ 95%"


def without(state: HandoffState, name: str) -> HandoffState:
    """The state without one artifact."""
    return replace(state, artifacts={n: d for n, d in state.artifacts.items() if n != name})


def altered(state: HandoffState, gate: int, **changes: Any) -> HandoffState:
    """The state with another result of one gate."""
    return replace(state, results={**state.results, gate: {**state.results[gate], **changes}})


SPOILED: dict[str, tuple[Any, list[int], str]] = {
    "a gate that was not evaluated": (
        lambda s: replace(s, results={g: r for g, r in s.results.items() if g != 2}),
        [1],
        "gate 2 (Diagnostic Coverage) was not evaluated",
    ),
    "a gate that failed": (lambda s: altered(s, 1, outcome="FAIL"), [1], "gate 1 (Baseline Validation) is FAIL"),
    "a gate that is not decided": (lambda s: altered(s, 4, outcome="INDETERMINATE"), [1], "is INDETERMINATE"),
    "the result of another gate": (lambda s: replace(s, results={**s.results, 1: s.results[2]}), [1], "gate 1"),
    "no report": (lambda s: without(s, Artifact.PERFORMANCE_REPORT), [2, 5, 6], "PERFORMANCE-REPORT.md is missing"),
    "evidence that the report does not cite": (
        lambda s: replace(s, artifacts={**s.artifacts, Artifact.HYPOTHESIS_LOG: b"# Hypothesis log\n\nAnother one.\n"}),
        [2, 5, 6],
        "hypothesis-log.md is not cited with its digest",
    ),
    "another validation report than gate 3 judged": (lambda s: altered(s, 3, evidence=[]), [3], "gate 3 judged another validation report"),
    "no result of gate 3": (
        lambda s: replace(s, results={g: r for g, r in s.results.items() if g != 3}), [1, 3], "gate-3-result.json is missing"
    ),
    "no approvals": (lambda s: replace(s, approval_records=[]), [4], "no approval of the Product Owner"),
    "no SLO update": (lambda s: replace(s, slo_record={**s.slo_record, "updates": []}), [4], "no SLO update is recorded"),
    "an artifact that the log does not have": (
        lambda s: replace(s, archived={n: d for n, d in s.archived.items() if n != Artifact.MANIFEST}),
        [5],
        "performance-report-manifest.json is not archived",
    ),
    "an artifact with other bytes": (
        lambda s: replace(s, archived={**s.archived, Artifact.MANIFEST: "cd" * 32}), [5], "has other bytes than the log recorded"
    ),
    "an artifact that is missing": (lambda s: without(s, Artifact.IMPROVEMENT_NOTES), [2, 5, 6], "notes.md is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "numbers", "words"), SPOILED.values(), ids=SPOILED.keys())
def test_each_open_item_blocks_with_its_own_line(state: HandoffState, spoil: Any, numbers: list[int], words: str) -> None:
    """The open items are the expected ones, and their lines say what is missing."""
    spoiled = spoil(state)
    assert open_items(spoiled) == numbers
    with pytest.raises(HandoffBlocked) as caught:
        require_complete(spoiled)
    assert len(caught.value.lines) == len(numbers)
    assert any(words in line for line in caught.value.lines)
    assert len(str(caught.value).splitlines()) == 1


def test_a_waived_improvement_is_a_documented_justification(state: HandoffState, cycle: Any, kit: Any) -> None:
    """Short by 8.3 points, justified by a waiver of exactly this result: items 1 and 3 are done, until it expires."""
    result = {**state.results[3], "outcome": "FAIL"}
    result["criteria"] = [
        {**c, "met": False, "actual": 6.7} if c["criterion"] == "improvement" else c for c in state.results[3]["criteria"]
    ]
    digest = sha256_hex(document_bytes(result))
    short = replace(state, results={**state.results, 3: result}, result_sha256={**state.result_sha256, 3: digest})
    assert open_items(short) == [1, 3]
    waiver = Waiver(
        gate=3,
        criterion="improvement",
        justification="The vendor's driver is fixed next week.",
        approvers=(Approver("ada", "Ada Okoro", "product_owner"),),
        requester="eve",
        run="run-1",
        result_sha256=digest,
        granted_at=kit.NOW,
        expires_at=kit.NOW.replace(day=20),
    )
    assert open_items(replace(short, waivers=(waiver,))) == []
    assert open_items(replace(short, waivers=(replace(waiver, run="run-2"),))) == [1, 3]
    assert open_items(replace(short, waivers=(waiver,), now=kit.NOW.replace(day=21))) == [1, 3]
