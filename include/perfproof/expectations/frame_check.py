"""Does a frame of criteria hold? Answered by Great Expectations, inside rules that it lacks.

Great Expectations passes an empty column, NaN, +inf, True for 1, a condition that selects no row, and a suite without
expectations. So the wrapper refuses such a frame before, and demands after that every declared expectation was evaluated on
exactly the rows it is about, without an exception.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from perfproof.expectations.criteria_table import CriteriaTable
from perfproof.expectations.suites import COLUMNS, Comparison, Suite, suite_named

if TYPE_CHECKING:
    import pandas as pd

FRAME_EXPECTATIONS = 8
EXPECTATIONS_PER_REQUIREMENT = 3


@dataclass(frozen=True, slots=True)
class FrameCheck:
    """`success` only if `evaluated == expected` expectations ran and all of them hold."""

    suite: str
    success: bool
    evaluated: int
    expected: int
    reasons: tuple[str, ...]


class Check(Protocol):
    """How a gate has its frame checked."""

    def __call__(self, criteria_frame: pd.DataFrame | CriteriaTable, suite: str) -> FrameCheck:
        """The answer for a frame with the columns of COLUMNS."""
        ...


def check_frame(criteria_frame: pd.DataFrame | CriteriaTable, suite: str) -> FrameCheck:
    """The answer of Great Expectations for `criteria_frame` against the suite of that name.

    The frame has one row per criterion and the columns criterion, actual, threshold and comparison. Raises GateError for an
    unknown suite; everything wrong with the frame itself is a reason, and never a pass.
    """
    declared = suite_named(suite)
    expected = FRAME_EXPECTATIONS + EXPECTATIONS_PER_REQUIREMENT * len(declared.requirements)
    frame = criteria_frame.frame() if isinstance(criteria_frame, CriteriaTable) else criteria_frame
    refusals = _refusals(frame)
    if refusals:
        return FrameCheck(suite, False, 0, expected, refusals)
    expectations = _expectations(declared)
    result = _context().data_sources.pandas_default.read_dataframe(frame).validate(expectations)
    evaluated = int(result.statistics["evaluated_expectations"])
    reasons = [reason for one in result.results if (reason := _complaint(one)) is not None]
    if evaluated != expected or len(result.results) != expected:
        reasons.append(f"{evaluated} of {expected} expectations were evaluated")
    return FrameCheck(suite, bool(result.success) and not reasons, evaluated, expected, tuple(reasons))


def _refusals(frame: pd.DataFrame) -> tuple[str, ...]:
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        return (f"columns are missing: {', '.join(missing)}",)
    if len(frame) == 0:
        return ("the frame has no rows",)
    reasons = []
    for column in COLUMNS:
        if frame[column].isna().any():
            reasons.append(f"{column} has nulls")
            continue
        wrong = next((v for v in frame[column].tolist() if not _of_type(column, v)), None)
        if wrong is not None:
            reasons.append(f"{column} holds {wrong!r}, which is no {'finite number' if column in COLUMNS[1:3] else 'text'}")
    return tuple(reasons)


def _of_type(column: str, value: Any) -> bool:
    if column in ("actual", "threshold"):
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, str)


@cache
def _context() -> Any:
    """One ephemeral context per process: making it is cheap, importing Great Expectations takes seconds."""
    import great_expectations

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


@cache
def _expectations_of(name: str) -> Any:
    return _build_suite(suite_named(name))


def _expectations(suite: Suite) -> Any:
    return _expectations_of(suite.name)


def _build_suite(suite: Suite) -> Any:
    """No two expectations are identical: Great Expectations would silently merge them."""
    import great_expectations
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    names = [r.criterion for r in suite.requirements]
    expectations: list[Any] = [
        gxe.ExpectTableRowCountToEqual(value=len(names)),
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=list(COLUMNS)),
        gxe.ExpectColumnValuesToBeUnique(column="criterion"),
        gxe.ExpectColumnDistinctValuesToEqualSet(column="criterion", value_set=names),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in COLUMNS),
    ]
    for requirement in suite.requirements:
        row = Column("criterion") == requirement.criterion
        meta = {"criterion": requirement.criterion}
        top = 100.0 if requirement.adjustable else requirement.minimum
        pair = {"column_A": "actual", "column_B": "threshold", "row_condition": row, "meta": meta}
        expectations += [
            gxe.ExpectColumnValuesToBeInSet(column="comparison", value_set=[requirement.comparison.value], row_condition=row, meta=meta),
            gxe.ExpectColumnValuesToBeBetween(
                column="threshold", min_value=requirement.minimum, max_value=top, row_condition=row, meta=meta
            ),
            gxe.ExpectColumnPairValuesToBeEqual(**pair)
            if requirement.comparison is Comparison.EQUAL
            else gxe.ExpectColumnPairValuesAToBeGreaterThanB(or_equal=True, **pair),
        ]
    return great_expectations.ExpectationSuite(name=suite.name, expectations=expectations)


def _complaint(one: Any) -> str | None:
    """Why this expectation does not count as met; None if it does. An exception is no data failure, and no pass."""
    config = one.expectation_config
    criterion = (config.meta or {}).get("criterion")
    subject = criterion or config.kwargs.get("column") or "the frame"
    information = one.exception_info or {}
    raised = information.get("raised_exception", True) if "raised_exception" in information else bool(information)
    if raised:
        return f"{subject}: {config.type} raised an exception"
    if not one.success:
        return f"{subject}: {config.type} does not hold"
    if criterion and one.result.get("element_count") != 1:
        return f"{subject}: {config.type} looked at {one.result.get('element_count')} rows, expected 1"
    return None
