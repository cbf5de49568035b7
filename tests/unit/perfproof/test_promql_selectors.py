"""Which series an expression reads, and that nothing hostile makes the reader slow or wrong."""

from __future__ import annotations

import time

import pytest

from perfproof.promql_selectors import Selector, resolved, selectors


def sel(name: str, **labels: str) -> Selector:
    return Selector(name, frozenset(labels.items()))


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("up == 0", {sel("up")}),
        ('1000 * histogram_quantile(0.95, sum by (le, route) (rate(x_bucket{instance="$instance",route="orders"}[$window])))',
         {sel("x_bucket", route="orders")}),
        ("sum(rate(a_total[5m])) by (code) / on (code) group_left (team) sum without (x) (b_total offset 1h)",
         {sel("a_total"), sel("b_total")}),
        ('{__name__="a:b", code=~"5.."} unless absent(c)', {sel("a:b"), sel("c")}),
        ('a{code=~"500", path!="/x", k=~"literal"}', {sel("a", code="500", k="literal")}),
        ('{"http.latency", route="a}b"} > 1e-3', {sel("http.latency", route="a}b")}),
        ("a @ end() and bool # a comment with b{x=\"y\"}\n or c", {sel("a"), sel("c")}),
        ("max_over_time(a[1h:5m]) > bool 0x1F", {sel("a")}),
        ("vector(1)", set()),
    ],
)  # fmt: skip
def test_names_and_certain_labels_are_read(expression: str, read: set[Selector]) -> None:
    """Functions, aggregations, grouping labels, ranges and comments are no series; only labels with one certain value count."""
    assert selectors(expression) == frozenset(read)


@pytest.mark.parametrize(
    "expression", ["", "a{", 'a{x="', "a{x=}", '{x="y"}', '{"Namespace": "AWS/ECS"}', "select ; drop", "a" * 9000, "metric{x='y' z}"]
)
def test_what_is_no_promql_is_not_guessed(expression: str) -> None:
    """Unknown, and not an empty set of series."""
    assert selectors(expression) is None


def test_recording_rules_are_followed_and_rings_end() -> None:
    """A rule of a rule leads to what it reads; rules that read each other end; a rule that cannot be read stays a name."""
    rules = {
        "shop:p95": "histogram_quantile(0.95, shop:rate)",
        "shop:rate": 'rate(x_bucket{route="orders"}[5m])',
        "a": "b",
        "b": "a",
        "bad": "{",
    }
    assert resolved("shop:p95 > 0.25", rules) == {sel("x_bucket", route="orders")}
    assert resolved("a + up", rules) == {sel("up")}
    assert resolved("a", rules) == {sel("a")}
    assert resolved("bad", rules) == {sel("bad")}


def test_hostile_expressions_are_read_in_time() -> None:
    """Unclosed brackets, many names, rules that fan out: bounded."""
    fan = {f"r{n}": " + ".join(f"r{m}" for m in range(n + 1, min(n + 200, 400))) + " + leaf" for n in range(400)}
    begun = time.perf_counter()
    for expression in ("(" * 8000, "a" + "[" * 8000, "{" * 8000, '"' + "\\" * 8000, " ".join(f"m{n}" for n in range(1500)), "$" * 8000):
        selectors(expression)
    assert resolved("r0", fan) == {sel("leaf")}
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (sel("a", x="1"), sel("a", x="2"), True),
        (sel("a", x="1"), sel("a", y="2"), False),
        (sel("a"), sel("a", x="1"), False),
        (sel("a"), sel("b"), True),
    ],
)
def test_selectors_contradict_by_name_or_value(one: Selector, other: Selector, contradict: bool) -> None:
    """Both ways alike."""
    assert one.contradicts(other) is contradict
    assert other.contradicts(one) is contradict
