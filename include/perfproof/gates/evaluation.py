"""From figures to an outcome: the frame of criteria, its check, and the words of the result. The same for every gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.config import Thresholds
from perfproof.errors import GateError
from perfproof.expectations.criteria_table import CriteriaTable
from perfproof.expectations.frame_check import Check
from perfproof.expectations.suites import Requirement, Suite, suite_named
from perfproof.gates.result import GATE_NAMES, Criterion, GateResult, Outcome
from perfproof.gates.text import gate_failed

REASONS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """A recomputed figure. `value` is None where the evidence gives none; `reason` says in words what it means.

    `undecided`: should the figure not meet its threshold, then more evidence might still change that.
    """

    value: float | None
    reason: str
    undecided: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """The `Criteria:` line of a gate, and the start of its `Actual:` line, which already speaks of the criteria in `told`."""

    criteria: str
    actual: str
    told: frozenset[str]


def count(complaints: Iterable[str], *, good: str) -> Figure:
    """A figure that counts complaints and names them; `good` is what to say when there are none."""
    found = tuple(complaints)
    shown = "; ".join(found[:REASONS_SHOWN])
    more = f"; and {len(found) - REASONS_SHOWN} more" if len(found) > REASONS_SHOWN else ""
    return Figure(float(len(found)), f"{shown}{more}" if found else good)


def evaluate(
    *,
    suite: str,
    figures: Mapping[str, Figure],
    recomputed: Mapping[str, Any],
    words: Words,
    thresholds: Thresholds,
    evidence: Iterable[Mapping[str, Any]],
    now: datetime,
    check: Check,
) -> GateResult:
    """The result of the gate that `suite` belongs to.

    FAIL if a criterion is unmet; else INDETERMINATE if one is not decided or `check` does not confirm the frame; else PASS.
    Raises GateError if `figures` are not exactly the suite's criteria.
    """
    declared = suite_named(suite)
    names = [r.criterion for r in declared.requirements]
    if sorted(figures) != sorted(names):
        raise GateError(102, where=suite, what="figures are not the criteria", got=sorted(figures), expected=sorted(names), fix="give each")
    criteria = tuple(_criterion(r, figures[r.criterion], thresholds) for r in declared.requirements)
    answer = check(criteria_table(criteria), suite)
    confirmed = answer.success and answer.evaluated == answer.expected
    unmet = [c for c in criteria if c.met is not True]
    reasons = [f"{c.criterion}: {c.reason}" for c in unmet]
    if confirmed == bool(unmet):
        reasons += [f"checks: {reason}" for reason in answer.reasons] or ["checks: the frame check does not agree with the criteria"]
    outcome = _outcome(criteria, confirmed=confirmed)
    return GateResult(
        gate=declared.gate,
        name=GATE_NAMES[declared.gate],
        outcome=outcome,
        evaluated_at=now,
        criteria=criteria,
        figures=recomputed,
        reasons=tuple(reasons),
        expectations={"evaluated": answer.evaluated, "expected": answer.expected, "suite": suite, "success": answer.success},
        evidence=tuple({"name": e["name"], "sha256": e["sha256"]} for e in evidence),
        text=None if outcome is Outcome.PASS else _text(declared, words, unmet, confirmed=confirmed),
    )


def criteria_table(criteria: Iterable[Criterion]) -> CriteriaTable:
    """The criteria as the table that is checked: one row each, columns criterion, actual, threshold, comparison."""
    return CriteriaTable.of((c.criterion, c.actual, c.threshold, c.comparison) for c in criteria)


def _criterion(requirement: Requirement, figure: Figure, thresholds: Thresholds) -> Criterion:
    threshold = requirement.value(thresholds)
    met: bool | None = None
    if figure.value is not None:
        met = requirement.comparison.holds(figure.value, threshold)
        if not met and (requirement.undecided or figure.undecided):
            met = None
    return Criterion(requirement.criterion, figure.value, threshold, requirement.comparison.value, met, requirement.waivable, figure.reason)


def _outcome(criteria: tuple[Criterion, ...], *, confirmed: bool) -> Outcome:
    if any(c.met is False for c in criteria):
        return Outcome.FAIL
    if confirmed and all(c.met is True for c in criteria):
        return Outcome.PASS
    return Outcome.INDETERMINATE


def _text(suite: Suite, words: Words, unmet: list[Criterion], *, confirmed: bool) -> str:
    said = [words.actual] if words.actual else []
    said += [c.reason for c in unmet if c.criterion not in words.told]
    if not unmet and not confirmed:
        said.append("the checks did not run as declared")
    return gate_failed(suite.gate, criteria=words.criteria, actual="; ".join(said))
