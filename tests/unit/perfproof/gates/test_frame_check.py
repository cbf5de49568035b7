"""The Great Expectations check against its plain twin: no empty, null, non-finite or stringly frame ever passes either."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from perfproof.config import Thresholds
from perfproof.errors import GateError
from perfproof.expectations import SUITES, check_frame, plain_check
from perfproof.expectations.suites import COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
SUITE = "gate_3_optimization_proved"


def rows(suite: str = SUITE, thresholds: Thresholds | None = None) -> list[list[Any]]:
    """One row per criterion of the suite, each exactly at its threshold."""
    values = thresholds or Thresholds()
    return [[r.criterion, r.value(values), r.value(values), r.comparison.value] for r in SUITES[suite].requirements]


def frame(data: list[list[Any]]) -> pd.DataFrame:
    """The rows as a frame, values kept as they are."""
    return pd.DataFrame(data, columns=list(COLUMNS), dtype=object)


@pytest.mark.parametrize("suite", SUITES)
def test_a_frame_exactly_at_its_thresholds_passes(suite: str) -> None:
    """Every suite: all expectations evaluated, none broken, by both implementations."""
    for check in (check_frame, plain_check):
        answer = check(pd.DataFrame(rows(suite), columns=list(COLUMNS)), suite)
        assert (answer.success, answer.reasons) == (True, ())
        assert answer.evaluated == answer.expected > 3 * len(SUITES[suite].requirements)


@pytest.mark.parametrize("suite", SUITES)
def test_every_criterion_that_is_missed_by_a_hair_is_named(suite: str) -> None:
    """All rows at once just below their threshold or not equal to it: each is named, by both implementations."""
    data = [[name, math.nextafter(actual, -math.inf), *rest] for name, actual, *rest in rows(suite)]
    for check in (check_frame, plain_check):
        answer = check(pd.DataFrame(data, columns=list(COLUMNS)), suite)
        assert (answer.success, answer.evaluated) == (False, answer.expected)
        assert [r.split(":")[0] for r in answer.reasons] == [r.criterion for r in SUITES[suite].requirements]


@pytest.mark.parametrize("suite", SUITES)
def test_one_criterion_that_is_missed_is_enough(suite: str) -> None:
    """The last criterion alone fails the frame."""
    data = rows(suite)
    data[-1][1] = 1.0
    for check in (check_frame, plain_check):
        assert not check(pd.DataFrame(data, columns=list(COLUMNS)), suite).success


BAD_VALUES = {
    "None": None,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "text": "15",
    "text NaN": "NaN",
    "true": True,
    "false": False,
    "pandas NA": pd.NA,
    "not a time": pd.NaT,
    "a list": [15.0],
    "complex": 15 + 0j,
}


@pytest.mark.parametrize("column", [1, 2], ids=["actual", "threshold"])
@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_no_value_but_a_finite_number_passes(value: Any, column: int) -> None:
    """In every row, for figure and threshold, by both implementations; nothing is evaluated on such a frame."""
    for place in range(len(rows())):
        data = rows()
        data[place][column] = value
        for check in (check_frame, plain_check):
            answer = check(frame(data), SUITE)
            assert (answer.success, answer.evaluated) == (False, 0)
            assert answer.reasons


FRAMES = {
    "no rows": lambda d: [],
    "a criterion missing": lambda d: d[:-1],
    "a criterion twice": lambda d: [*d, d[0]],
    "one criterion in place of another": lambda d: [d[0], *d[:-1]],
    "an unknown criterion": lambda d: [*d[:-1], ["something", 0.0, 0.0, "=="]],
    "a lowered threshold": lambda d: [[r[0], r[1], 10.0, r[3]] if r[0] == "improvement" else r for r in d],
    "a threshold above 100": lambda d: [[r[0], 102.0, 101.0, r[3]] if r[0] == "improvement" else r for r in d],
    "a tolerated regression": lambda d: [[r[0], 1.0, 1.0, r[3]] if r[0] == "regressions" else r for r in d],
    "another comparison": lambda d: [[r[0], r[1], r[2], ">="] if r[0] == "regressions" else r for r in d],
    "no comparison": lambda d: [[r[0], r[1], r[2], ""] for r in d],
    "a negative count": lambda d: [[r[0], -1.0, 0.0, r[3]] if r[0] == "regressions" else r for r in d],
    "a null criterion": lambda d: [[None, *d[0][1:]], *d[1:]],
    "a number for a criterion": lambda d: [[7, *d[0][1:]], *d[1:]],
}


@pytest.mark.parametrize("spoil", FRAMES.values(), ids=FRAMES.keys())
def test_a_frame_that_is_not_the_suites_fails(spoil: Any) -> None:
    """Empty, short, doubled or altered frames fail in both implementations."""
    for check in (check_frame, plain_check):
        answer = check(frame(spoil(rows())), SUITE)
        assert not answer.success
        assert answer.reasons


def test_a_column_that_is_missing_or_extra_fails() -> None:
    """The frame has exactly the four columns."""
    whole = pd.DataFrame(rows(), columns=list(COLUMNS))
    for spoiled in (whole.drop(columns=["threshold"]), whole.assign(met=True), whole[list(reversed(COLUMNS))]):
        for check in (check_frame, plain_check):
            assert not check(spoiled, SUITE).success


def test_a_raised_threshold_is_accepted_and_counts() -> None:
    """20 percent asked for: 19 fails, 20 passes."""
    strict = Thresholds(improvement=20.0)
    for actual, passes in ((20.0, True), (19.0, False)):
        data = [[r[0], actual if r[0] == "improvement" else r[1], r[2], r[3]] for r in rows(thresholds=strict)]
        for check in (check_frame, plain_check):
            assert check(pd.DataFrame(data, columns=list(COLUMNS)), SUITE).success is passes


def test_an_unknown_suite_is_an_error() -> None:
    """A suite with no expectations would pass everything."""
    for check in (check_frame, plain_check):
        with pytest.raises(GateError, match="GAT-101"):
            check(pd.DataFrame(rows(), columns=list(COLUMNS)), "gate_9")


def test_the_gates_agree_with_great_expectations(cycle: Any) -> None:
    """All four gates pass with the real check, and a spoiled one fails with it."""
    cycle.check = check_frame
    for gate in (cycle.gate_1, cycle.gate_2, cycle.gate_3, cycle.gate_4):
        result = gate()
        assert result.outcome == "PASS"
        assert result.expectations["evaluated"] == result.expectations["expected"]
    cycle.validation["optimized"]["value"] = 420
    assert cycle.gate_3().outcome == "FAIL"


def test_great_expectations_alone_would_pass_what_the_wrapper_refuses() -> None:
    """Why the wrapper is there: the library calls an empty column, NaN and an empty suite a success."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    at_least = gx.ExpectationSuite(name="at_least", expectations=[gxe.ExpectColumnValuesToBeBetween(column="actual", min_value=15)])
    for values in ([], [math.nan]):
        batch = context.data_sources.pandas_default.read_dataframe(pd.DataFrame({"actual": pd.Series(values, dtype=float)}))
        assert batch.validate(at_least).success
    batch = context.data_sources.pandas_default.read_dataframe(pd.DataFrame({"actual": [1.0]}))
    assert batch.validate(gx.ExpectationSuite(name="nothing", expectations=[])).success
