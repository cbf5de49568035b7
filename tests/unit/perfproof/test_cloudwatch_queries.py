"""The language of CloudWatch queries: what it reads, what it refuses and where."""

from __future__ import annotations

import pytest

from perfproof.cloudwatch.expressions import (
    Expression,
    Number,
    Operation,
    Period,
    Selection,
    dimension_list,
    filled_expression,
    query_text,
    selections,
)
from perfproof.cloudwatch.queries import MAX_DEPTH, MAX_LENGTH, MAX_OPERATIONS, parse_query
from perfproof.errors import ConfigError

TIMES = Selection("AWS/ApplicationELB", "TargetResponseTime", (("LoadBalancer", "app/x/1"), ("TargetGroup", "y")), "p95")
BAD = Selection("N", "A", (("d", "1"),), "Sum")
ALL = Selection("N", "B", (), "Sum")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AWS/ApplicationELB TargetResponseTime{LoadBalancer=app/x/1,TargetGroup=y} p95", TIMES),
        (
            "1000 * AWS/ApplicationELB  TargetResponseTime{ LoadBalancer = app/x/1 , TargetGroup=y } p95",
            Operation("*", Number(1000.0), TIMES),
        ),
        (
            "100 * (N A{d=1} Sum) / (N B Sum)",
            Operation("/", Operation("*", Number(100.0), BAD), ALL),
        ),
        ("N A{d=1} Sum / N B Sum", Operation("/", BAD, ALL)),
        ("N B Sum/$period", None),
        ("N B Sum / $period", Operation("/", ALL, Period())),
        ("N B Sum - N A{d=1} Sum * 2", Operation("-", ALL, Operation("*", BAD, Number(2.0)))),
        ("(N B Sum - N A{d=1} Sum) * .5", Operation("*", Operation("-", ALL, BAD), Number(0.5))),
        ("1e3 * N B p99.9 Seconds", Operation("*", Number(1000.0), Selection("N", "B", (), "p99.9", "Seconds"))),
        ("N A{d=1} Sum or 0 + N B Sum", Operation("+", Selection("N", "A", (("d", "1"),), "Sum", zero_if_absent=True), ALL)),
        ("(N A{d=1} Sum Count or 0) / N B Sum", Operation("/", Selection("N", "A", (("d", "1"),), "Sum", "Count", True), ALL)),
        ('"My App" "Time % \\"x\\""{"a b"="c, {d}"} Average', Selection("My App", 'Time % "x"', (("a b", "c, {d}"),), "Average")),
        ("AWS/Lambda Duration{Resource=f:$LATEST} p50", Selection("AWS/Lambda", "Duration", (("Resource", "f:$LATEST"),), "p50")),
    ],
)
def test_a_query_is_read(text: str, expected: Expression | None) -> None:
    """Products bind closer than sums, both go from left to right, and blanks matter only inside words."""
    if expected is None:
        with pytest.raises(ConfigError, match="CFG-711"):
            parse_query(text)
    else:
        assert parse_query(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", 1, "a word is missing"),
        ("5", 2, "no metric"),
        ("N", 2, "the name of a metric"),
        ("N M", 4, "not a statistic"),
        ("N M avg", 5, "not a statistic .*got avg"),
        ("N M p101", 5, "not a statistic"),
        ("N M p99.", 5, "not a statistic"),
        ("N M Sum/N T Sum", 5, "not a statistic"),
        ("N M p95 seconds", 9, "not a unit"),
        ("N M Sum Sum", 9, "not a unit"),
        ("(N M Sum", 9, "not closed"),
        ("N M Sum)", 8, "something behind"),
        ("N M Sum 5", 9, "something behind"),
        ("N M Sum +", 10, "a word is missing"),
        ("N M{} Sum", 5, "a word is missing"),
        ("N M{a} Sum", 6, "without value"),
        ("N M{a=} Sum", 7, "without value"),
        ("N M{a=b c} Sum", 9, "do not end"),
        ("N M{a=b Sum", 9, "do not end"),
        ("N M{a=1,a=2} Sum", 10, "stands twice"),
        ("N M{a=$region} Sum", 7, r"unknown placeholder \$region"),
        ('N "M $service" Sum', 3, "a placeholder in a name"),
        ("N M Average or 0", 13, "makes no sense"),
        ("N M Sum or 1", 12, "not `or 0`"),
        ("N M Sum or 0", 13, "every metric has `or 0`"),
        ("0 * N M Sum", 1, "not a factor"),
        ("1e999 * N M Sum", 1, "not a factor"),
        ("-1 * N M Sum", 1, "a word is missing"),
        ("SEARCH('x')", 7, "a word is missing|name of a metric"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, place: int, words: str) -> None:
    """The place counts characters from 1, so that an editor finds it."""
    with pytest.raises(ConfigError, match=words) as caught:
        parse_query(text)
    line = str(caught.value)
    assert line.startswith(f"CFG-711 CloudWatch query, character {place}: ")
    assert "\n" not in line and " Fix: " in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("N M Sum + " * MAX_OPERATIONS * 2 + "N M Sum", "too much arithmetic"),
        ("(" * (MAX_DEPTH + 2), "too many parentheses"),
        ("x" * (MAX_LENGTH + 1), "too long"),
        ("N M{" + ",".join(f"d{i}=v" for i in range(31)) + "} Sum", "too many dimensions"),
    ],
)
def test_a_query_without_end_is_refused_and_not_followed(text: str, words: str) -> None:
    """No length and no nesting exhausts the stack."""
    with pytest.raises(ConfigError, match=words):
        parse_query(text)


def test_control_characters_of_a_query_stay_out_of_the_error() -> None:
    """The query is quoted in the error, so what it holds is escaped."""
    with pytest.raises(ConfigError) as caught:
        parse_query("N M\x1b[31m\nSum")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "1000 * N M{a=b,c=$instance} p95 Milliseconds",
        "N A Sum - (N B Sum - N C Sum)",
        "(N A Sum + N B Sum) / (N C Sum or 0 * 2)",
        "100 * (1 - N A Sum / N B Sum)",
        '"a b" "c\\\\d"{"e f"="g\\"h"} Maximum / $period',
    ],
)
def test_the_text_of_an_expression_reads_back_as_the_same(text: str) -> None:
    """What stands in the evidence is a query too, and means the same."""
    expression = parse_query(text)
    assert parse_query(query_text(expression)) == expression


def test_placeholders_are_filled_and_cannot_change_the_query() -> None:
    """A service's name with the signs of the language stays a value."""
    hostile = 'x} Sum + N M{"a'
    filled = filled_expression(parse_query("2 * N M{a=$service,b=pre-$instance} Sum"), service=hostile, instance="10.0.0.1:80")
    (selection,) = selections(filled)
    assert selection.dimensions == (("a", hostile), ("b", "pre-10.0.0.1:80"))
    assert dimension_list(selection)[1] == {"Name": "b", "Value": "pre-10.0.0.1:80"}
    assert parse_query(query_text(filled)) == filled
