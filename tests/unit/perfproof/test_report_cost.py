"""Cost and promises in the report: shown where the cycle has them, and never more than they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perfproof.report import render_html, render_markdown
from perfproof.report.blocks import Paragraph, Section
from perfproof.report.cost import with_cost_and_promises

SECTION = Section("Validation", (Paragraph("The verdict."),))
SIDE = {"build": "b1", "cpu_ms_per_request": 10.0, "memory_gib_seconds_per_request": 0.01, "per_1000": 0.000125, "blocks": 6}
COST = {
    "price": {"currency": "USD", "source": "protocol file", "as_of": "2025-02-16"}, "before": SIDE, "after": {**SIDE, "per_1000": 0.0001},
    "change_percent": -20.0, "ci_low": -25.0, "ci_high": None, "confidence": 0.95, "reason": None,
}  # fmt: skip
RECORD = {
    "validated_at": "2025-02-16T17:00:00Z", "optimizations": [{"id": "OPT-001", "title": "Index", "cause": "database_contention"}],
    "cause": "database_contention", "promised_percent": 40.0, "realized_percent": 30.0, "ratio": 0.75, "kept": "short",
}  # fmt: skip
CLASS = {
    "cause": "database_contention", "validated": 1, "promised_percent": 40.0, "realized_percent": 30.0, "ratio": 0.75, "kept": 0,
    "short": 1, "undecided": 0, "unknown": 0,
}  # fmt: skip
GAINS = {"records": [RECORD], "by_cause": [CLASS], "not_carried": "no backlog of an earlier cycle was supplied"}


def evidence_with(cost: Any, gains: Any) -> Any:
    """A cycle of which only these two are read."""
    return SimpleNamespace(cost_change=cost, promised_gains=gains, origin=lambda *names: [], pictures={}, descriptions={})


def written(cost: Any = None, gains: Any = None) -> str:
    evidence: Any = evidence_with(cost, gains)
    return render_markdown("Report", [with_cost_and_promises(SECTION, evidence)])


def test_a_cycle_without_them_has_its_section_as_before() -> None:
    """Reports of evidence that is older."""
    evidence: Any = evidence_with(None, None)
    assert with_cost_and_promises(SECTION, evidence) == SECTION


def test_cost_stands_before_and_after_with_price_source_and_interval() -> None:
    """An end that is not bounded is open."""
    text = written(COST)
    assert "Cost of the change" in text and "protocol file, 2025-02-16" in text
    assert "0.000125 USD" in text and "0.0001 USD" in text
    assert "changed by -20 %, 95 % interval -25 % to open" in text


def test_an_unknown_cost_is_called_unknown() -> None:
    """With its reason, and no figure of a change."""
    nothing = {**SIDE, "per_1000": None}
    text = written({**COST, "before": nothing, "after": nothing, "change_percent": None, "reason": "no guard measures memory"})
    assert "UNKNOWN" in text and "no guard measures memory" in text and "changed by" not in text


def test_promises_stand_with_what_became_of_them() -> None:
    """Also that no earlier cycle is in it."""
    text = written(None, GAINS)
    assert "0.75 of the promise" in text and "OPT-001: Index" in text and "short" in text
    assert "no backlog of an earlier cycle was supplied" in text


def test_texts_of_others_are_escaped() -> None:
    """In Markdown and HTML."""
    bad = "<script>alert(1)</script>"
    hostile = {**RECORD, "optimizations": [{"id": bad, "title": bad, "cause": bad}], "cause": bad, "kept": bad}
    gains = {**GAINS, "records": [hostile], "by_cause": [{**CLASS, "cause": bad}], "not_carried": bad}
    cost = {**COST, "price": {"currency": bad, "source": bad, "as_of": bad}, "reason": bad, "before": {**SIDE, "build": bad}}
    evidence: Any = evidence_with(cost, gains)
    section = with_cost_and_promises(SECTION, evidence)
    assert "<script>alert" not in render_markdown("Report", [section])
    assert "<script>alert" not in render_html("Report", [section], {})
