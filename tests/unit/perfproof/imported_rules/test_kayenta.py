"""Kayenta's rules: scores computed by hand, and each case that Kayenta lets pass under its own name."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from perfproof.errors import PerfproofError
from perfproof.imported_rules.kayenta import CanaryResult, Classification, judge_canary, read_canary_config, without_outliers
from perfproof.imported_rules.kayenta_file import Outliers, OutlierStrategy
from perfproof.imported_rules.scores import Answer

Json = dict[str, Any]
BASE = [100.0, 101.0, 99.0, 102.0, 98.0, 103.0, 97.0, 100.5]


def metric(name: str, *groups: str, **canary: Any) -> Json:
    return {"name": name, "groups": list(groups) or ["g"], "query": {"x": 1}, "analysisConfigurations": {"canary": canary}}


def config(*metrics: Json, weights: Json | None = None) -> bytes:
    classifier = {"groupWeights": weights or {}, "scoreThresholds": {"pass": 95, "marginal": 75}}
    return json.dumps({"name": "c", "judge": {"name": "NetflixACAJudge-v1.0"}, "metrics": metrics, "classifier": classifier}).encode()


def judged(*metrics: Json, before: Json, after: Json, weights: Json | None = None) -> CanaryResult:
    return judge_canary(read_canary_config(config(*metrics, weights=weights), where="canary.json"), before, after)


def one(before: list[float], after: list[float], **canary: Any) -> Classification:
    return judged(metric("m", **canary), before={"m": before}, after={"m": after}).metrics[0].classification


def times(factor: float) -> list[float]:
    return [value * factor for value in BASE]


@pytest.mark.parametrize(
    ("direction", "factor", "expected"),
    [
        ("increase", 1.5, Classification.HIGH),
        ("increase", 0.5, Classification.PASS),
        ("decrease", 0.5, Classification.LOW),
        ("decrease", 1.5, Classification.PASS),
        ("either", 1.5, Classification.HIGH),
        ("either", 0.5, Classification.LOW),
        ("either", 1.0, Classification.PASS),
    ],
)
def test_the_direction_says_which_change_fails(direction: str, factor: float, expected: Classification) -> None:
    """A change far outside of the noise."""
    assert one(BASE, times(factor), direction=direction) is expected


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        ({"allowedIncrease": 1.2}, 1.19, Classification.PASS),
        ({"allowedIncrease": 1.2}, 1.21, Classification.HIGH),
        ({"allowedDecrease": 0.8}, 0.81, Classification.PASS),
        ({"allowedDecrease": 0.8}, 0.79, Classification.LOW),
        ({"measure": "cles", "allowedIncrease": 0.9}, 1.5, Classification.HIGH),
    ],
)
def test_an_effect_that_is_allowed_passes(size: Json, factor: float, expected: Classification) -> None:
    """Significant, but not large enough; the mean ratio is the factor itself, cles of values all larger is 1."""
    assert one(BASE, times(factor), effectSize=size) is expected


@pytest.mark.parametrize(("by", "low", "expected"), [(5, 1, Classification.PASS), (6, 2, Classification.HIGH)])
def test_the_interval_must_clear_a_quarter_of_the_shift(by: float, low: float, expected: Classification) -> None:
    """8 values one apart: the 98 % interval reaches 4 to either side. 1 is above zero, but not above 5/4; 2 is above 6/4."""
    before = [float(v) for v in range(10, 18)]
    found = judged(metric("m"), before={"m": before}, after={"m": [v + by for v in before]}).metrics[0]
    assert found.change is not None and found.change.low == low
    assert found.classification is expected


def test_groups_and_weights_make_up_the_score() -> None:
    """Group a: 1 of 2 pass, weight 70; b: 1 of 1, and c: 0 of 1, share the other 30: 35 + 15 + 0 = 50."""
    metrics = (metric("m1", "a"), metric("m2", "a"), metric("m3", "b"), metric("m4", "c"))
    after = {"m1": BASE, "m2": times(1.5), "m3": BASE, "m4": times(1.5)}
    found = judged(*metrics, before=dict.fromkeys(after, BASE), after=after, weights={"a": 70})
    assert {name: score.low for name, score in found.groups.items()} == {"a": 50, "b": 100, "c": 0}
    assert (found.score.low, found.score.high, found.answer) == (50, 50, Answer.FAIL)


@pytest.mark.parametrize(("bad", "score", "answer"), [(0, 100, Answer.PASS), (1, 80, Answer.WARNING), (2, 60, Answer.FAIL)])
def test_the_score_decides_by_two_limits(bad: int, score: float, answer: Answer) -> None:
    """Five metrics of one group; pass from 95, marginal from 75."""
    names = [f"m{i}" for i in range(5)]
    after = {name: times(1.5) if i < bad else BASE for i, name in enumerate(names)}
    found = judged(*(metric(name) for name in names), before=dict.fromkeys(names, BASE), after=after)
    assert (found.score.low, found.answer) == (score, answer)


def test_a_critical_metric_fails_everything() -> None:
    """9 of 10 pass, the tenth is critical: score 0."""
    names = [f"m{i}" for i in range(10)]
    metrics = [metric(name, critical=name == "m9") for name in names]
    found = judged(*metrics, before=dict.fromkeys(names, BASE), after={**dict.fromkeys(names, BASE), "m9": times(2)})
    assert (found.answer, found.score.high) == (Answer.FAIL, 0)


def test_missing_values_are_left_out_or_zero() -> None:
    """`remove` compares what is there; `replace` makes a metric that went silent a fall to zero."""
    silent = [math.nan] * 8
    assert one(BASE, silent, nanStrategy="remove") is Classification.NODATA
    assert one(BASE, silent, nanStrategy="replace", direction="decrease") is Classification.LOW


def test_data_that_must_be_there_fails_where_it_is_not() -> None:
    """One of four metrics: 3 of 4 pass; without mustHaveData it does not count."""
    names = ["a", "b", "c", "d"]
    values = dict.fromkeys(names[:3], BASE)
    for must, score in ((True, 75), (False, 100)):
        found = judged(*(metric(name, mustHaveData=must) for name in names), before=values, after=values)
        assert found.score.low == score


def test_half_of_the_metrics_without_data_fails() -> None:
    """Kayenta's limit of 50 %."""
    values = {"a": BASE}
    assert judged(metric("a"), metric("b"), before=values, after=values).answer is Answer.FAIL


def test_outliers_lie_beyond_the_fences_and_the_outer_percentiles() -> None:
    """Quartiles of 1…200 are 50.25 and 150.75, so the fence lies at 452.25: a third outlier goes, the 99th percentile stays."""
    values = [float(v) for v in range(1, 201)]
    rule = Outliers(OutlierStrategy.REMOVE)
    assert without_outliers([*values, 1000.0], rule) == values
    assert without_outliers([*values, 1000.0], Outliers()) == [*values, 1000.0]
    # With few values the 99th percentile is the largest one, and nothing is an outlier.
    assert without_outliers([*BASE, 1000.0], rule) == [*BASE, 1000.0]


# What Kayenta gets wrong


def test_a_group_without_data_counts_zero() -> None:
    """Kayenta gives it 100, and here the canary would pass."""
    names = ["a", "b", "c"]
    metrics = [metric("a", "x"), metric("b", "x"), metric("c", "y")]
    values = dict.fromkeys(names[:2], BASE)
    found = judged(*metrics, before=values, after=values, weights={"x": 60, "y": 40})
    assert (found.groups["y"].high, found.score.high, found.answer) == (0, 60, Answer.FAIL)


def test_growth_from_zero_is_not_a_pass() -> None:
    """Kayenta's ratio of means is no number there, which is never above what is allowed."""
    assert one([0.0] * 8, [5.0, 6, 7, 5, 6, 7, 5, 6], direction="increase", effectSize={"allowedIncrease": 1.5}) is Classification.HIGH


def test_an_effect_from_zero_is_told_in_words() -> None:
    """Its ratio is infinite, which nobody should have to read."""
    found = judged(
        metric("m", direction="increase", effectSize={"allowedIncrease": 1.5}),
        before={"m": [0.0] * 8},
        after={"m": [5.0, 6, 7, 5, 6, 7, 5, 6]},
    )  # fmt: skip
    assert found.metrics[0].reason == "effect without a bound (the mean before is zero), allowed 1.5"


def test_sparse_counts_are_not_a_pass() -> None:
    """One error in twenty becomes eight in twenty: most values are equal, so ranks see nothing."""
    assert one([0.0] * 19 + [1.0], [0.0] * 14 + [1.0] * 6, direction="increase") is Classification.UNDECIDED


def test_a_spread_that_grows_is_not_a_pass() -> None:
    """The level stays, the tail grows tenfold: a test of the level sees nothing."""
    generator = np.random.default_rng(4)
    before, after = (generator.normal(100, spread, 40).tolist() for spread in (1, 10))
    assert one(before, after) is Classification.UNDECIDED


def test_too_few_values_are_not_a_pass() -> None:
    """Four a side can never alarm at 98 %."""
    assert one(BASE[:4], times(9)[:4]) is Classification.UNDECIDED
    assert one(BASE[:4], BASE[:4]) is Classification.UNDECIDED


def test_what_is_undecided_leaves_the_answer_open_only_where_it_matters() -> None:
    """One of 21 metrics: 95.2 or 100, a pass either way; one of 2: 50 or 100."""
    names = [f"m{i}" for i in range(21)]
    before = {**dict.fromkeys(names, BASE), "m0": BASE[:4]}
    assert judged(*(metric(name) for name in names), before=before, after=before).answer is Answer.PASS
    found = judged(*(metric(name) for name in names[:2]), before=before, after=before)
    assert (found.answer, found.score.low, found.score.high) == (Answer.INCONCLUSIVE, 50, 100)
    critical = judged(*(metric(name, critical=name == "m0") for name in names), before=before, after=before)
    assert critical.answer is Answer.INCONCLUSIVE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "ART-111"),
        (b'{"metrics": [], "metrics": []}', "ART-111"),
        (b"[]", "ART-123"),
        (config(), "ART-473"),
        (config(metric("a"), metric("a")), "ART-473"),
        (config({"name": "a", "groups": []}), "ART-473"),
        (config(metric("a", criticalIncrease=2)), "ART-120"),
        (config(metric("a", effectSize={"criticalIncrease": 2})), "ART-120"),
        (config(metric("a", effectSize={"allowedIncrease": 0.5})), "ART-473"),
        (config(metric("a", direction="up")), "ART-122"),
        (config(metric("a", outliers={"outlierFactor": 0})), "ART-473"),
        (config(metric("a"), weights={"b": 5}), "ART-473"),
        (config(metric("a"), weights={"g": 50}), "ART-473"),
        (config(metric("a", "g", "h"), weights={"g": 120}), "ART-473"),
        (json.dumps({"metrics": [metric("a")], "classifier": {}}).encode(), "ART-473"),
    ],
)
def test_a_configuration_that_cannot_be_judged_is_one_line(data: bytes, code: str) -> None:
    """What is not supported is refused, not ignored."""
    with pytest.raises(PerfproofError) as caught:
        read_canary_config(data, where="canary.json")
    assert str(caught.value).startswith(code) and "\n" not in str(caught.value)
