"""Units, values and periods of CloudWatch expressions."""

from __future__ import annotations

import math

import pytest

from perfproof.cloudwatch.expressions import Selection, selections
from perfproof.cloudwatch.periods import DAY, HOUR, Periods, step_objection, whole_periods
from perfproof.cloudwatch.queries import UNITS, parse_query
from perfproof.cloudwatch.values import unit_objection, values_of
from perfproof.telemetry import Unit


def objection(text: str, unit: Unit, *published: str) -> str | None:
    """The objection when the selections, from left to right, are published in these units."""
    expression = parse_query(text)
    found = list(selections(expression))
    return unit_objection(expression, dict(zip(found, published, strict=True)), unit)


@pytest.mark.parametrize(
    ("text", "unit", "published", "agrees"),
    [
        ("N T p95", Unit.SECONDS, ["Seconds"], True),
        ("N T p95", Unit.MILLISECONDS, ["Seconds"], False),
        ("1000 * N T p95", Unit.MILLISECONDS, ["Seconds"], True),
        ("N T p95 * 1000", Unit.MILLISECONDS, ["Seconds"], True),
        ("1000 * N T p95", Unit.MILLISECONDS, ["Milliseconds"], False),
        ("N T p95 / 1000", Unit.MILLISECONDS, ["Microseconds"], True),
        ("1000 * N T p95", Unit.SECONDS, ["Seconds"], False),
        ("N T Average", Unit.PERCENT, ["Percent"], True),
        ("N T Average", Unit.PERCENT, ["Count"], False),
        ("100 * N E Sum / N R Sum", Unit.PERCENT, ["Count", "Count"], True),
        ("N E Sum / N R Sum", Unit.PERCENT, ["Count", "Count"], False),
        ("100 * (1 - N E Sum / N R Sum)", Unit.PERCENT, ["Count", "Count"], True),
        ("N R Sum", Unit.PER_SECOND, ["Count"], False),
        ("N R Sum / $period", Unit.PER_SECOND, ["Count"], True),
        ("N R Average", Unit.PER_SECOND, ["Count/Second"], True),
        ("N M Average / 1048576", Unit.MEBIBYTES, ["Bytes"], True),
        ("N M Average / 1000000", Unit.MEBIBYTES, ["Bytes"], False),
        ("N M Average", Unit.MEBIBYTES, ["Megabytes"], True),
        ("N M Average", Unit.MEBIBYTES, ["Seconds"], False),
        ("1000 * N T Sum / N T SampleCount", Unit.MILLISECONDS, ["Seconds", "Seconds"], True),
        ("1000 * N T Sum / N R Sum", Unit.CPU_PER_REQUEST, ["Seconds", "Count"], True),
        ("N Q Sum / N R Sum", Unit.QUERIES_PER_REQUEST, ["Count", "Count"], True),
        ("N C Average * 4 / 100", Unit.CORES, ["Percent"], True),
        ("N C Average", Unit.CORES, ["Bytes"], False),
        ("N A Average + N B Average", Unit.SECONDS, ["Seconds", "Milliseconds"], False),
        ("N A Average + N B Average / 1000", Unit.SECONDS, ["Seconds", "Milliseconds"], True),
        ("N T p95", Unit.MILLISECONDS, ["None"], True),
        ("N T p95", Unit.MILLISECONDS, ["Fortnights"], True),
    ],
)
def test_the_unit_of_a_query_is_compared_with_the_metrics(text: str, unit: Unit, published: list[str], agrees: bool) -> None:
    """Seconds asked as ms need a 1000; a sum of counts is no rate; what has no unit says nothing."""
    found = objection(text, unit, *published)
    assert (found is None) is agrees, found
    if not agrees:
        assert found is not None and any(word in found for word in (unit.value, "joins different units"))


@pytest.mark.parametrize("unit", sorted(UNITS))
@pytest.mark.parametrize("wanted", [Unit.SECONDS, Unit.MEBIBYTES, Unit.PERCENT])
def test_no_unit_of_cloudwatch_agrees_with_a_metric_of_another_kind(unit: str, wanted: Unit) -> None:
    """Only the unit None, and of a byte's multiples those that nobody can tell apart, are left open."""
    kinds = {Unit.SECONDS: ("Seconds", "None"), Unit.PERCENT: ("Percent", "None")}
    kinds[Unit.MEBIBYTES] = ("None", *(f"{size}{kind}" for size in ("Kilo", "Mega", "Giga", "Tera") for kind in ("bytes", "bits")))
    assert (objection("N M Average", wanted, unit) is None) is (unit in kinds[wanted])


def test_numbers_beyond_all_measure_are_an_objection() -> None:
    """Factors whose product is no number give a sentence and no crash."""
    assert "too large" in (objection("1e200 * 1e200 * N T p95", Unit.SECONDS, "Seconds") or "")
    assert "too" in (objection("N T p95 / 1e200 / 1e200", Unit.SECONDS, "Seconds") or "")


def calculated(text: str, *samples: dict[float, float], period: float = 60) -> dict[float, float]:
    expression = parse_query(text)
    found: list[Selection] = list(selections(expression))
    times, values = values_of(expression, dict(zip(found, samples, strict=True)), period=period)
    assert list(times) == sorted(set(times))
    return dict(zip(times, values, strict=True))


def test_a_ratio_is_calculated_moment_by_moment() -> None:
    """Percentages at the moments that both have; one that only one side has is missing."""
    assert calculated("100 * N E Sum / N R Sum", {60: 1, 120: 2, 180: 3}, {60: 10, 120: 8, 240: 5}) == {60: 10, 120: 25}


def test_a_denominator_of_zero_is_nan_and_never_zero() -> None:
    """Nothing divided by nothing is no error rate of 0 %."""
    found = calculated("100 * N E Sum / N R Sum", {60: 0, 120: 5}, {60: 0, 120: 0})
    assert list(found) == [60, 120] and all(math.isnan(value) for value in found.values())


def test_or_zero_needs_a_sample_beside_it() -> None:
    """Errors that were not published are 0 while requests were published, and missing while not."""
    assert calculated("100 * (N E Sum or 0) / N R Sum", {60: 1, 180: 4}, {60: 10, 120: 10}) == {60: 10, 120: 0}


def test_or_zero_in_the_denominator_divides_by_zero() -> None:
    """The way round gives NaN, not infinity and not 0."""
    assert math.isnan(calculated("N E Sum / (N R Sum or 0)", {60: 1}, {})[60])


def test_values_that_are_not_finite_stay_nan() -> None:
    """NaN from CloudWatch, infinity, and an overflow on the way."""
    found = calculated("N A Sum * N B Sum", {1: math.nan, 2: math.inf, 3: 1e308}, {1: 1, 2: 0, 3: 10})
    assert all(math.isnan(value) for value in found.values()) and len(found) == 3


def test_the_period_is_a_number_of_seconds() -> None:
    """Requests per second from requests per period."""
    assert calculated("N R Sum / $period", {300: 600}, period=300) == {300: 2}


def test_the_arithmetic_agrees_with_pythons() -> None:
    """Signs and ranks as everybody knows them."""
    a, b, c = {60: 7.0}, {60: 2.0}, {60: 5.0}
    assert calculated("N A Sum - N B Sum - N C Sum", a, b, c) == {60: 7.0 - 2.0 - 5.0}
    assert calculated("N A Sum - (N B Sum - N C Sum) * 3", a, b, c) == {60: 7.0 - (2.0 - 5.0) * 3}
    assert calculated("N A Sum / N B Sum / N C Sum + 1", a, b, c) == {60: 7.0 / 2.0 / 5.0 + 1}


@pytest.mark.parametrize(
    ("step", "age", "use"),
    [
        (1, HOUR, None), (10, 3 * HOUR, None), (30, 2 * HOUR, None), (60, DAY, None), (120, 15 * DAY, None), (300, 16 * DAY, None),
        (900, 63 * DAY, None), (3600, 64 * DAY, None), (7200, 454 * DAY, None),
        (2, HOUR, 5), (15, HOUR, 20), (45, HOUR, 60), (90, HOUR, 120), (0.5, HOUR, 1), (60.5, HOUR, 120),
        (30, 3 * HOUR + 1, 60), (10, DAY, 60), (60, 15 * DAY + 1, 300), (420, 20 * DAY, 600), (300, 63 * DAY + 1, 3600),
        (5400, 100 * DAY, 7200),
    ],
)  # fmt: skip
def test_the_step_must_be_one_that_cloudwatch_still_has(step: float, age: float, use: int | None) -> None:
    """Short periods for three hours, minutes for 15 days, five minutes for 63, hours for 455; the objection says what to use."""
    found = step_objection(step, age=age)
    if use is None:
        assert found is None
    else:
        assert found is not None and found.endswith(f"use a step of {use} s")
        assert step_objection(use, age=age) is None


def test_nothing_is_kept_for_ever() -> None:
    """No step helps after 455 days."""
    assert step_objection(3600, age=455 * DAY + 1) == "CloudWatch keeps nothing for more than 455 days"


@pytest.mark.parametrize("offset", [0, 1, 17, 59])
@pytest.mark.parametrize("step", [60, 300])
def test_periods_are_those_that_end_in_the_window(offset: int, step: int) -> None:
    """As many as the window holds, at multiples of their length, whatever the window's begin is."""
    begin, wanted = 1_739_696_400 + offset, 20
    end = begin + wanted * step
    periods = whole_periods(begin + step, end, step, settled=math.inf)
    ends = [moment for moment in range(begin - 2 * step, end + 2 * step) if moment % step == 0 and begin < moment <= end]
    assert [start + step for start in range(periods.first, periods.behind, step)] == ends
    assert periods.count == len(ends) == wanted


def test_periods_that_have_not_settled_are_left_out() -> None:
    """Those that end after the moment up to which everything is there; none is left if that lies before the window."""
    assert whole_periods(60, 600, 60, settled=545) == Periods(0, 540, 60)
    assert whole_periods(600, 660, 60, settled=100).count == 0
