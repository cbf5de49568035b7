"""The same rules as the Great Expectations check, written row by row without it: slow to trust, quick to read.

It is the oracle of the Great Expectations check in the tests, and checks the gates where its import of some seconds is not worth it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from perfproof.expectations.criteria_table import CriteriaTable
from perfproof.expectations.frame_check import EXPECTATIONS_PER_REQUIREMENT, FRAME_EXPECTATIONS, FrameCheck
from perfproof.expectations.suites import COLUMNS, Requirement, suite_named

if TYPE_CHECKING:
    import pandas as pd


def plain_check(criteria_frame: pd.DataFrame | CriteriaTable, suite: str) -> FrameCheck:
    """The answer for `criteria_frame` in plain Python. Raises GateError for an unknown suite."""
    declared = suite_named(suite)
    expected = FRAME_EXPECTATIONS + EXPECTATIONS_PER_REQUIREMENT * len(declared.requirements)
    if tuple(criteria_frame.columns) != COLUMNS:
        return FrameCheck(suite, False, 0, expected, ("the columns are not the declared ones",))
    rows = [dict(zip(COLUMNS, values, strict=True)) for values in criteria_frame.itertuples(index=False, name=None)]
    if not rows:
        return FrameCheck(suite, False, 0, expected, ("the frame has no rows",))
    malformed = [reason for row in rows for reason in _malformed(row)]
    if malformed:
        return FrameCheck(suite, False, 0, expected, tuple(malformed))
    reasons = []
    names = [r.criterion for r in declared.requirements]
    if sorted(row["criterion"] for row in rows) != sorted(names):
        reasons.append("the criteria are not the declared ones, each once")
    by_name = {row["criterion"]: row for row in rows}
    for requirement in declared.requirements:
        if requirement.criterion in by_name:
            reasons += _broken(requirement, by_name[requirement.criterion])
    return FrameCheck(suite, not reasons, expected, expected, tuple(reasons))


def _malformed(row: dict[str, Any]) -> list[str]:
    reasons = [f"{column} is no text: {row[column]!r}" for column in ("criterion", "comparison") if not isinstance(row[column], str)]
    for column in ("actual", "threshold"):
        value = row[column]
        if isinstance(value, bool) or not isinstance(value, int | float):
            reasons.append(f"{column} is no number: {value!r}")
        elif not math.isfinite(value):
            reasons.append(f"{column} is null or not finite: {value!r}")
    return reasons


def _broken(requirement: Requirement, row: dict[str, Any]) -> list[str]:
    reasons = []
    name, threshold = requirement.criterion, row["threshold"]
    if row["comparison"] != requirement.comparison.value:
        reasons.append(f"{name}: compared with {row['comparison']}, expected {requirement.comparison.value}")
    highest = 100.0 if requirement.adjustable else requirement.minimum
    if not requirement.minimum <= threshold <= highest:
        reasons.append(f"{name}: threshold {threshold} is outside {requirement.minimum} to {highest}")
    if not requirement.comparison.holds(row["actual"], threshold):
        reasons.append(f"{name}: {row['actual']} {requirement.comparison.value} {threshold} does not hold")
    return reasons
