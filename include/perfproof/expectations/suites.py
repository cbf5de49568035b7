"""The criteria of the four gates, declared once: which figure, compared how, with which threshold, and whether it can be waived.

The Great Expectations suites, the plain checks and the gates all read this table. Every figure is a number, so that one
strict frame holds them: what must not happen is counted and compared with zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfproof.config import Thresholds
from perfproof.errors import GateError

COLUMNS = ("criterion", "actual", "threshold", "comparison")
# The spec's own pass thresholds: a protocol file may raise them, and no frame may hold a lower one.
SPEC_THRESHOLDS = Thresholds()
# Fewest runs a side that can ever decide at 5 % two-sided (exact p = 0.0286), reference: benchstat, golang.org/x/perf.
MINIMUM_BLOCKS = 4


class Comparison(StrEnum):
    """How a figure is compared with its threshold."""

    AT_LEAST = ">="
    EQUAL = "=="

    def holds(self, actual: float, threshold: float) -> bool:
        """Whether `actual` meets `threshold`, exactly: no tolerance hides here."""
        return actual >= threshold if self is Comparison.AT_LEAST else actual == threshold


@dataclass(frozen=True, slots=True)
class Requirement:
    """One criterion of a gate.

    `threshold` is a number, or the name of the field of Thresholds that holds it. `undecided` marks a figure that says the
    evidence does not decide: unmet, it makes the gate INDETERMINATE, not FAIL. Integrity and approvals are not `waivable`.
    """

    criterion: str
    comparison: Comparison
    threshold: float | str
    words: str
    waivable: bool = True
    undecided: bool = False

    def value(self, thresholds: Thresholds) -> float:
        """The threshold in force."""
        return float(getattr(thresholds, self.threshold)) if isinstance(self.threshold, str) else self.threshold

    @property
    def minimum(self) -> float:
        """The lowest threshold that the specification allows."""
        return self.value(SPEC_THRESHOLDS)

    @property
    def adjustable(self) -> bool:
        """Whether a protocol file may raise this threshold."""
        return isinstance(self.threshold, str)


@dataclass(frozen=True, slots=True)
class Suite:
    """All criteria of one gate, in the order of the table that people read."""

    name: str
    gate: int
    requirements: tuple[Requirement, ...]


def _none(criterion: str, words: str, *, waivable: bool = True, undecided: bool = False) -> Requirement:
    return Requirement(criterion, Comparison.EQUAL, 0.0, words, waivable=waivable, undecided=undecided)


def _share(criterion: str, field: str, words: str) -> Requirement:
    return Requirement(criterion, Comparison.AT_LEAST, field, words)


_INTEGRITY = _none("integrity_findings", "declared figures equal the recomputed ones", waivable=False)

_OPTIMIZATION = (
    _none("plan_approvals_missing", "optimization plan approved", waivable=False),
    _none("plan_dependencies_unresolved", "plan has no unresolved dependency", waivable=False),
    _none("plan_gaps", "plan names owner, risk, expected gain, dependencies and baseline"),
    _share("improvement", "improvement", "improvement on the targeted metric"),
)
_NO_REGRESSION = (
    _none("regressions", "no guard metric regressed"),
    _none("guards_undecided", "every guard metric is decided", undecided=True),
    _none("instrumentation_gaps", "dashboards, alerts and tracing updated"),
    _INTEGRITY,
)

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "gate_1_baseline",
            1,
            (
                _share("baseline_completeness", "baseline_completeness", "baseline completeness"),
                _none("critical_metrics_incomplete", "every critical metric is complete"),
                _none("intake_gaps", "intake report complete"),
                _none("metrics_untraceable", "every metric has a traceable source", waivable=False),
                Requirement("hypotheses_documented", Comparison.AT_LEAST, 1.0, "hypotheses documented"),
                _none("hypothesis_gaps", "every hypothesis names symptom, cause and evidence"),
                _INTEGRITY,
            ),
        ),
        Suite(
            "gate_2_diagnostics",
            2,
            (
                _share("diagnostic_coverage", "diagnostic_coverage", "diagnostic coverage score"),
                _none("services_missing", "every prioritized service profiled"),
                _none("query_plans_missing", "query plans of every service with a database"),
                _none("profiling_gaps", "profiling report has flame graphs and query plans"),
                _none("scenarios_missing", "load tests cover peak, stress and failure"),
                _none("scenarios_invalid", "every load test is valid"),
                _none("capacity_gaps", "capacity analysis documented"),
                _INTEGRITY,
            ),
        ),
        Suite("gate_3_optimization_point", 3, (*_OPTIMIZATION, *_NO_REGRESSION)),
        Suite(
            "gate_3_optimization_proved",
            3,
            (
                *_OPTIMIZATION,
                Requirement("improvement_proved", Comparison.AT_LEAST, "improvement", "lower confidence bound of it", undecided=True),
                Requirement("blocks_per_side", Comparison.AT_LEAST, float(MINIMUM_BLOCKS), "measured blocks a side", undecided=True),
                *_NO_REGRESSION,
            ),
        ),
        Suite(
            "gate_4_governance",
            4,
            (
                _share("documentation_completeness", "documentation_completeness", "documentation completeness"),
                Requirement("slo_updates_recorded", Comparison.AT_LEAST, 1.0, "SLO updates recorded"),
                _none("slo_update_gaps", "every SLO update names target, alerts, escalation and validation"),
                _none("slo_approvals_missing", "approvals captured", waivable=False),
                _none("report_deliveries_missing", "performance report published"),
                _none("notes_deliveries_missing", "improvement notes shared"),
                _INTEGRITY,
            ),
        ),
    )
}


def suite_named(name: str) -> Suite:
    """The suite of that name. Raises GateError for an unknown one."""
    if name not in SUITES:
        raise GateError(101, where="suite", what="unknown suite", got=name, expected=" | ".join(SUITES), fix="use a declared suite")
    return SUITES[name]
