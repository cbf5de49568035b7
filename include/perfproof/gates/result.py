"""What a gate answers: an outcome, every criterion with its figure and reason, and the protocol's words when it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.moments import stamp

GATE_NAMES = {
    1: "Baseline Validation",
    2: "Diagnostic Coverage",
    3: "Optimization Validation",
    4: "Governance & Communication",
}


class Outcome(StrEnum):
    """`INDETERMINATE`: nothing was found wrong, but the evidence does not decide. It never counts as a pass."""

    PASS = "PASS"  # noqa: S105  an outcome, no secret
    FAIL = "FAIL"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of a gate. `met` is None where the evidence does not decide; `actual` is None where there is no figure."""

    criterion: str
    actual: float | None
    threshold: float
    comparison: str
    met: bool | None
    waivable: bool
    reason: str

    def document(self) -> dict[str, Any]:
        """The criterion as it stands in the gate's result."""
        return {
            "criterion": self.criterion,
            "actual": self.actual,
            "threshold": self.threshold,
            "comparison": self.comparison,
            "met": self.met,
            "waivable": self.waivable,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one gate. `text` is the protocol's `[RAY GATE FAILED: …]` block, None when the gate passed."""

    gate: int
    name: str
    outcome: Outcome
    evaluated_at: datetime
    criteria: tuple[Criterion, ...]
    figures: Mapping[str, Any]
    reasons: tuple[str, ...]
    expectations: Mapping[str, Any]
    evidence: tuple[Mapping[str, Any], ...]
    text: str | None

    @property
    def passed(self) -> bool:
        """True only for PASS."""
        return self.outcome is Outcome.PASS

    def unmet(self) -> tuple[Criterion, ...]:
        """The criteria that are not met or not decided."""
        return tuple(c for c in self.criteria if c.met is not True)

    def document(self) -> dict[str, Any]:
        """`gate-N-result.json`, in the order in which people read it."""
        return {
            "gate": self.gate,
            "name": self.name,
            "outcome": self.outcome.value,
            "evaluated_at": stamp(self.evaluated_at),
            "criteria": [c.document() for c in self.criteria],
            "figures": dict(self.figures),
            "reasons": list(self.reasons),
            "expectations": dict(self.expectations),
            "text": self.text,
            "evidence": [dict(e) for e in self.evidence],
        }
