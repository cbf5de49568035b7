"""The small language of scraped metrics: what it takes, what it refuses, and which unit comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import TelemetryError
from perfproof.scrapes.query import ScrapeQuery, Take, Term, read_query, unit_of
from perfproof.telemetry import Unit


def read(text: str) -> ScrapeQuery:
    return read_query(text, where="query", error=TelemetryError, number=760)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("up", Term(Take.VALUE, "up", ())),
        ('a:b{y="1", x="q\\"\\n",}', Term(Take.VALUE, "a:b", (("x", 'q"\n'), ("y", "1")))),
        ("rate(a_total)", Term(Take.RATE, "a_total", ())),
        ('sum(rate(a_total{x="1"}))', Term(Take.RATE, "a_total", (("x", "1"),), summed=True)),
        ("sum(a)", Term(Take.VALUE, "a", (), summed=True)),
        ("histogram_quantile(0.95, a_bucket)", Term(Take.QUANTILE, "a_bucket", (), quantile=0.95)),
        ('histogram_quantile(5e-1 ,sum( a_bucket{x="1"}))', Term(Take.QUANTILE, "a_bucket", (("x", "1"),), True, 0.5)),
        ("rate", Term(Take.VALUE, "rate", ())),
    ],
)  # fmt: skip
def test_each_form_is_read(text: str, term: Term) -> None:
    """One term, and no number."""
    assert read(text) == ScrapeQuery(1.0, (term,), ())


def test_factors_multiply_and_divide_from_the_left() -> None:
    """Numbers become one scale."""
    a, b = Term(Take.RATE, "a_total", ()), Term(Take.RATE, "b_total", ())
    assert read("100 * rate(a_total) / rate(b_total) / 2 * 3") == ScrapeQuery(150.0, (a,), (b,))
    assert read("1 / up").over == (Term(Take.VALUE, "up", ()),)
    assert read("a / b").names == {"a", "b"}


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "1", "1 * 2", "a b", "a +1", "a - b", "-1 * a", "a *", "* a", "a / 0", "(a)", "a{", "a{x}", "a{x=1}", 'a{x!="1"}',
        'a{x=~".*"}', 'a{x="1",x="2"}', 'a{x="1}', "rate(a_total[5m])", "rate(a_total", "rate(rate(a))", "rate(sum(a))", "increase(a)",
        "avg(a)", "sum(1)", "sum by (x) (a)", "histogram_quantile(a_bucket)", "histogram_quantile(95, a_bucket)",
        "histogram_quantile(0.95, a)", 'histogram_quantile(0.95, a_bucket{le="1"})', "histogram_quantile(0.95, rate(a_bucket))",
        "a # b", "a\0", "ä", "sum(" * 5000, "a * " * 20 + "a", "a" * 9000, "__import__('os')", "$instance",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    """With what is there and what may be there."""
    with pytest.raises(TelemetryError, match="TEL-760 query: the query holds ") as caught:
        read(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet='ab_:{}(),="\\*/ 0.5[]', max_size=60))
def test_any_text_gives_a_query_or_the_one_error(text: str) -> None:
    """Nothing else comes out."""
    try:
        assert read(text).names
    except TelemetryError as error:
        assert error.code == "TEL-760"


@pytest.mark.parametrize(
    ("text", "units", "expected"),
    [
        ("histogram_quantile(0.95, a_seconds_bucket)", {}, ("seconds", Unit.SECONDS)),
        ("histogram_quantile(0.95, a_seconds_bucket) * 1000", {}, ("seconds", Unit.MILLISECONDS)),
        ("histogram_quantile(0.95, a_seconds_bucket) * 100", {}, ("seconds", None)),
        ("a_bytes / 1048576", {}, ("bytes", Unit.MEBIBYTES)),
        ("a_bytes / 1000000", {}, ("bytes", None)),
        ("a_ratio * 100", {}, ("ratio", Unit.PERCENT)),
        ("a_ratio", {}, ("ratio", None)),
        ("rate(cpu_seconds_total)", {}, ("seconds", Unit.CORES)),
        ("rate(cpu_seconds_total) * 100", {}, ("seconds", Unit.PERCENT)),
        ("rate(a_bytes_total)", {}, ("bytes", None)),
        ("latency", {"latency": "milliseconds"}, ("milliseconds", Unit.MILLISECONDS)),
        ("rate(a_seconds_count)", {}, None),
        ("rate(a_seconds_sum) / rate(a_seconds_count)", {}, None),
        ("rate(requests_total)", {}, None),
        ("up", {}, None),
    ],
)
def test_the_unit_follows_from_name_and_numbers(text: str, units: dict[str, str], expected: tuple[str, Unit | None] | None) -> None:
    """None where nothing says it; a unit that no metric here has is None inside."""
    assert unit_of(read(text), units) == expected
