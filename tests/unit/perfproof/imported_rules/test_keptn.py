"""Keptn's rules: the scores are computed by hand in each test, the differences from Keptn have names."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from perfproof.errors import PerfproofError
from perfproof.imported_rules.keptn import Earlier, Evaluated, Status, aggregated, evaluate, read_slo
from perfproof.imported_rules.keptn_file import Aggregate, parse_criterion
from perfproof.imported_rules.scores import Answer

Json = dict[str, Any]


def objective(sli: str, *passing: list[str], warning: list[list[str]] | None = None, **more: Any) -> Json:
    result: Json = {"sli": sli, **more}
    if passing:
        result["pass"] = [{"criteria": one} for one in passing]
    if warning:
        result["warning"] = [{"criteria": one} for one in warning]
    return result


def judged(*objectives: Json, values: dict[str, float], history: list[Earlier] | None = None, **comparison: Any) -> Evaluated:
    document = {
        "spec_version": "1.0",
        "comparison": comparison or {"compare_with": "single_result", "include_result_with_score": "all"},
        "objectives": list(objectives),
        "total_score": {"pass": "90%", "warning": "75%"},
    }
    return evaluate(read_slo(yaml.safe_dump(document).encode(), where="slo.yaml"), values, history or [])


def past(*values: float, sli: str = "p95", result: Answer | None = Answer.PASS) -> list[Earlier]:
    return [Earlier({sli: value}, result) for value in values]


@pytest.mark.parametrize(
    ("text", "value", "earlier", "status"),
    [
        ("<600", 599.9, None, Status.PASS),
        ("<600", 600, None, Status.FAIL),
        ("<=600", 600, None, Status.PASS),
        ("=0", 0, None, Status.PASS),
        ("=0", 0.1, None, Status.FAIL),
        (">5", 5, None, Status.FAIL),
        (">= 5", 5, None, Status.PASS),
        ("<=+10%", 110, 100, Status.PASS),
        ("<=+10%", 110.1, 100, Status.FAIL),
        ("<=10%", 110, 100, Status.PASS),
        (">=-5%", 95, 100, Status.PASS),
        (">=-5%", 94.9, 100, Status.FAIL),
        ("<+25", 124, 100, Status.PASS),
        ("<+25", 125, 100, Status.FAIL),
        (">-25", 75, 100, Status.FAIL),
        ("<=+.5%", 100.5, 100, Status.PASS),
    ],
)
def test_a_criterion_means_what_keptn_means(text: str, value: float, earlier: float | None, status: Status) -> None:
    """Absolute, relative in percent, relative in the unit; % without a sign is an increase."""
    found = judged(objective("p95", [text]), values={"p95": value}, history=[] if earlier is None else past(earlier))
    assert found.objectives[0].status is status


@pytest.mark.parametrize("text", ["", "600", "<", "<%", "=<3", "<+-3", "<1e3", "<600ms", "<=+10%%", "<|5", "< 5 %%", "== 3"])
def test_a_criterion_that_is_none_is_refused(text: str) -> None:
    """Keptn counts it as violated, without a word."""
    with pytest.raises(PerfproofError, match=r"ART-472 .*not a criterion"):
        parse_criterion(text, where="slo.yaml")


def test_within_a_list_all_must_hold_and_of_several_lists_one() -> None:
    """(<600 and >100) or <50."""
    sets = (["<600", ">100"], ["<50"])
    statuses = [judged(objective("p95", *sets), values={"p95": v}).objectives[0].status for v in (300, 700, 70, 40)]
    assert statuses == [Status.PASS, Status.FAIL, Status.FAIL, Status.PASS]


def test_weights_warnings_and_information_make_up_the_score() -> None:
    """Pass 3 of 3, warning 1 of 2, fail 0 of 1, information counts for nothing: 4 of 6 is 66.7 %."""
    found = judged(
        objective("a", ["<10"], weight=3),
        objective("b", ["<10"], weight=2, warning=[["<20"]]),
        objective("c", ["<10"]),
        objective("d", warning=[["<1"]]),
        values={"a": 5, "b": 15, "c": 30, "d": 99},
    )
    assert [one.status for one in found.objectives] == [Status.PASS, Status.WARNING, Status.FAIL, Status.INFO]
    assert found.score.low == found.score.high == pytest.approx(100 * 4 / 6)
    assert found.answer is Answer.FAIL


@pytest.mark.parametrize(("failing", "score", "answer"), [(0, 100, Answer.PASS), (1, 80, Answer.WARNING), (2, 60, Answer.FAIL)])
def test_the_total_decides_by_its_two_limits(failing: int, score: float, answer: Answer) -> None:
    """Five objectives of weight 1; pass from 90 %, warning from 75 %."""
    names = "abcde"
    values = {name: 20.0 if place < failing else 5.0 for place, name in enumerate(names)}
    found = judged(*(objective(name, ["<10"]) for name in names), values=values)
    assert (found.score.low, found.answer) == (score, answer)


def test_a_key_sli_fails_everything() -> None:
    """9 of 10 points would pass; a key SLI in warning does not fail, a failed one does."""
    rest = objective("a", ["<10"], weight=19)
    key = objective("k", ["<10"], warning=[["<20"]], key_sli=True)
    assert judged(rest, key, values={"a": 5, "k": 15}).answer is Answer.PASS
    found = judged(rest, key, values={"a": 5, "k": 25})
    assert (found.answer, found.score.low) == (Answer.FAIL, 95)
    assert "Key SLI failed: k" in found.reason


def test_several_results_are_summed_up() -> None:
    """The newest three of those that passed: 100, 110, 90 are 100 on average."""
    history = past(900, 100) + past(999, result=Answer.FAIL) + past(110, 90)
    rule = {
        "compare_with": "several_results",
        "include_result_with_score": "pass",
        "number_of_comparison_results": 3,
        "aggregate_function": "avg",
    }
    found = judged(objective("p95", ["<=+10%"]), values={"p95": 110}, history=history, **rule)
    assert (found.objectives[0].compared, found.earlier, found.answer) == (100, 3, Answer.PASS)
    single = {**rule, "compare_with": "single_result"}
    assert judged(objective("p95", ["<=+10%"]), values={"p95": 110}, history=history, **single).objectives[0].compared == 90


@pytest.mark.parametrize(("included", "count"), [("pass", 1), ("pass_or_warn", 2), ("all", 4)])
def test_which_results_count(included: str, count: int) -> None:
    """An evaluation whose result nobody recorded counts only where all do."""
    history = [e for r in (Answer.PASS, Answer.WARNING, Answer.FAIL, None) for e in past(100, result=r)]
    rule = {"compare_with": "several_results", "include_result_with_score": included, "number_of_comparison_results": 9}
    assert judged(objective("p95", ["<=+10%"]), values={"p95": 1}, history=history, **rule).earlier == count


@pytest.mark.parametrize(
    ("values", "function", "expected"),
    [
        ([1, 2, 6], Aggregate.AVG, 3),
        ([4, 1, 3, 2], Aggregate.P50, 2.5),
        # Place 0.9 * 5 = 4.5 of 4 values: the last one.
        ([4, 1, 3, 2], Aggregate.P90, 4),
        # Place 0.9 * 11 = 9.9: nine tenths of the way from the 9th to the 10th.
        (list(range(1, 11)), Aggregate.P90, 9.9),
        (list(range(1, 21)), Aggregate.P95, 19.95),
        ([7, math.nan], Aggregate.P50, 7),
        ([math.nan], Aggregate.AVG, None),
        ([], Aggregate.P95, None),
    ],
)
def test_aggregates_are_those_of_keptn(values: list[float], function: Aggregate, expected: float | None) -> None:
    """Percentiles at place p(n + 1); missing values are left out."""
    assert aggregated(values, function) == (None if expected is None else pytest.approx(expected))


# What Keptn gets wrong


def test_no_history_is_never_a_pass() -> None:
    """Keptn passes a relative criterion without an earlier evaluation."""
    found = judged(objective("p95", ["<=+10%"]), values={"p95": 9e9})
    assert (found.answer, found.objectives[0].status) == (Answer.INCONCLUSIVE, Status.INCONCLUSIVE)
    assert "there is no earlier value" in found.objectives[0].reason
    without_a_value = judged(objective("p95", ["<=+10%"]), values={"p95": 1}, history=past(math.nan))
    assert without_a_value.answer is Answer.INCONCLUSIVE


def test_what_is_unknown_does_not_hide_what_is_known() -> None:
    """A violated absolute criterion fails without a history; a met alternative passes without one."""
    assert judged(objective("p95", ["<=+10%", "<600"]), values={"p95": 700}).answer is Answer.FAIL
    assert judged(objective("p95", ["<=+10%"], ["<600"]), values={"p95": 500}).answer is Answer.PASS
    found = judged(objective("a", ["<=+10%"]), objective("b", ["<10"], weight=99), values={"a": 1, "b": 5})
    assert (found.answer, found.score.low, found.score.high) == (Answer.PASS, 99, 100)


def test_a_key_sli_without_a_value_fails() -> None:
    """Keptn only takes its points away: 95 of 100 would pass."""
    rest = objective("a", ["<10"], weight=19)
    for values in ({"a": 5.0}, {"a": 5.0, "k": math.nan}):
        assert judged(rest, objective("k", ["<10"], key_sli=True), values=values).answer is Answer.FAIL


def test_a_key_sli_that_is_unknown_decides_nothing() -> None:
    """Whether it failed is open, and with it everything."""
    found = judged(objective("a", ["<10"], weight=19), objective("k", ["<=+10%"], key_sli=True), values={"a": 5, "k": 5})
    assert found.answer is Answer.INCONCLUSIVE


def test_nothing_to_judge_is_not_a_pass() -> None:
    """Keptn answers pass with 100 % where no objective has criteria."""
    assert judged(objective("a"), values={"a": 5}).answer is Answer.INCONCLUSIVE


def test_a_share_of_a_value_below_zero_is_unknown() -> None:
    """In Keptn `<=+10%` of -100 is -110, so that no change at all fails."""
    assert judged(objective("p95", ["<=+10%"]), values={"p95": -100}, history=past(-100)).answer is Answer.INCONCLUSIVE


def test_from_zero_any_growth_is_too_much() -> None:
    """10 % more than zero is zero."""
    assert judged(objective("p95", ["<=+10%"]), values={"p95": 0}, history=past(0)).answer is Answer.PASS
    assert judged(objective("p95", ["<=+10%"]), values={"p95": 0.1}, history=past(0)).answer is Answer.FAIL


GOOD: Json = {"objectives": [objective("a", ["<1"])], "total_score": {"pass": "90%"}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"objectives": []}, "ART-472"),
        ({"objectives": [objective("a", ["<1"]), objective("a", ["<2"])]}, "ART-472"),
        ({"objectives": [objective("a", [])]}, "ART-472"),
        ({"objectives": [objective("a", ["<1"], weight=0)]}, "ART-472"),
        ({"objectives": [objective("a", ["<1"], weight=1.5)]}, "CFG-123"),
        ({"objectives": [objective("a", ["<1"], keysli=True)]}, "CFG-120"),
        ({"objectives": [{"sli": "a", "passing": []}]}, "ART-472"),
        ({"objectives": [{"weight": 1}]}, "CFG-121"),
        ({"objectives": {"a": 1}}, "CFG-123"),
        ({"total_score": {"pass": "most"}}, "ART-472"),
        ({"total_score": {"pass": "0%"}}, "ART-472"),
        ({"total_score": {"pass": "101%"}}, "ART-472"),
        ({"total_score": {"pass": "50%", "warning": "60%"}}, "ART-472"),
        ({"total_score": {"warning": "60%"}}, "CFG-121"),
        ({"comparison": {"compare_with": "the_best"}}, "CFG-122"),
        ({"comparison": {"aggregate_function": "max"}}, "CFG-122"),
        ({"comparison": {"number_of_comparison_results": 0}}, "ART-472"),
        ({"comparison": {"scope_tags": []}}, "CFG-120"),
        ({"threshold": 1}, "CFG-120"),
    ],
)
def test_a_file_that_cannot_be_judged_is_one_line(change: Json, code: str) -> None:
    """With the place of what is wrong; nothing is guessed."""
    with pytest.raises(PerfproofError) as caught:
        read_slo(yaml.safe_dump({**GOOD, **change}).encode(), where="slo.yaml")
    assert str(caught.value).startswith(f"{code} slo.yaml") and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [", "- a\n", "", "objectives: &x [*x]\n"])
def test_yaml_is_read_strictly(text: str) -> None:
    """Duplicate keys, anchors and other shapes are errors."""
    with pytest.raises(PerfproofError, match="CFG-10"):
        read_slo(text.encode(), where="slo.yaml")


def test_keptns_own_defaults_and_spellings_are_taken() -> None:
    """An empty filter, a number as percentage, no comparison: the newest evaluation, whatever its result."""
    document = """
filter:
comparison:
objectives:
  - sli: a
    displayName: A
    pass:
      - criteria: ["<=+10%"]
total_score: {pass: 90}
"""
    slo = read_slo(document.encode(), where="slo.yaml")
    assert evaluate(slo, {"a": 11}, past(99, 10, sli="a", result=None)).answer is Answer.PASS
