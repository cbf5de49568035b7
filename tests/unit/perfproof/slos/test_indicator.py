"""What counts as good: counters where the query allows it, samples of the wrapped query otherwise; hostile queries wrap nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import ArtifactError
from perfproof.slos.indicator import Indicator, SliKind, indicator
from perfproof.slos.promql import duration, filled, one_expression, template_text
from perfproof.telemetry import Direction, MetricKind, Unit

P95 = '1000 * histogram_quantile(0.95, sum by (le) (rate(s_bucket{instance="$instance",route=~"a|b"}[$window])))'
RATIO = '100 * sum(rate(r_total{outcome="error"}[$window])) / sum(rate(r_total[$window]))'


def latency(query: str, target: float = 250, buckets: tuple[float, ...] = (0.1, 0.25, 1.0)) -> Indicator:
    return indicator(
        query, where="q", kind=MetricKind.LATENCY, unit=Unit.MILLISECONDS, direction=Direction.LOWER, target=target, buckets=buckets
    )


def ratio(query: str, target: float = 0.5, direction: Direction = Direction.LOWER) -> Indicator:
    return indicator(query, where="q", kind=MetricKind.ERROR_RATE, unit=Unit.PERCENT, direction=direction, target=target)


def test_a_quantile_of_a_histogram_counts_requests_in_its_buckets() -> None:
    """p95 at most 250 ms says that 95 % of the requests are in the bucket of 0.25 s."""
    found = latency(P95)
    assert (found.kind, found.percent) == (SliKind.REQUESTS, 95)
    total = 'sum(increase(s_count{instance="$instance",route=~"a|b"}[$window]))'
    assert found.total_count == total
    assert found.bad_count == f'clamp_min({total} - sum(increase(s_bucket{{instance="$instance",route=~"a|b",le="0.25"}}[$window])), 0)'


def test_a_whole_bucket_is_found_however_it_is_written() -> None:
    """`1` in Prometheus 2, `1.0` in OpenMetrics."""
    assert 'le=~"1([.]0)?"' in latency(P95, target=1000).bad_count


@pytest.mark.parametrize(
    ("query", "target", "buckets", "reason"),
    [
        (P95, 250, (), "not known which buckets"),
        (P95, 260, (0.25,), "no bucket of the histogram ends at the target"),
        (P95.replace("s_bucket", "s_other"), 250, (0.25,), "not selected as usual"),
        (P95.replace('instance="$instance"', 'le!="+Inf"'), 250, (0.25,), "not selected as usual"),
        (P95 + " > 0", 250, (0.25,), "neither a quantile"),
        ("avg(latency)", 250, (0.25,), "neither a quantile"),
    ],
)
def test_everything_else_is_sampled_and_says_why(query: str, target: float, buckets: tuple[float, ...], reason: str) -> None:
    """An alert on a bucket that is not there would never fire."""
    found = latency(query, target, buckets)
    assert found.kind is SliKind.SAMPLES and reason in found.reason and found.percent is None


def test_a_share_of_counters_counts_requests() -> None:
    """And an error counter that was never incremented counts as zero, not as missing."""
    found = ratio(RATIO)
    assert (found.kind, found.percent) == (SliKind.REQUESTS, 99.5)
    assert found.bad_count == '(sum(increase(r_total{outcome="error"}[$window])) or (0 * sum(increase(r_total{}[$window]))))'
    assert ratio(RATIO, direction=Direction.HIGHER).kind is SliKind.SAMPLES
    assert ratio(RATIO, target=0).kind is SliKind.SAMPLES


@pytest.mark.parametrize(
    "query",
    ["up) or vector(1", "up(", 'up{a="}', "sum(up]", "", "# only a comment", 'up{a="b\n"}', "up{a='", 'up{a="\\', ")(", "`", "up # )\n)"],
)
def test_a_query_that_is_not_closed_wraps_nothing(query: str) -> None:
    """It would mean something else between parentheses of ours."""
    with pytest.raises(ArtifactError, match="ART-572"):
        latency(query)


def test_brackets_in_strings_and_comments_close_nothing() -> None:
    """Comments are taken out: one at the end would hide what comes after it."""
    assert one_expression('up{a=")"} # (', where="q") == 'up{a=")"}'
    assert one_expression("sum(up # x)\n)", where="q") == "sum(up \n)"
    assert one_expression("up{a='\"', b=`\\`}", where="q") == "up{a='\"', b=`\\`}"


@given(st.text(alphabet="()[]{}\"'`\\#\n ab", max_size=30))
def test_a_closed_query_stays_closed_when_it_is_wrapped(query: str) -> None:
    """Oracle: what was taken can be taken again, alone and between parentheses."""
    try:
        once = one_expression(query, where="q")
    except ArtifactError:
        return
    assert one_expression(once, where="q") == once
    assert one_expression(f"({once})", where="q") == f"({once})"


def test_what_is_filled_in_is_not_filled_again() -> None:
    """A service called $window, and quotes that try to leave their string."""
    assert filled('up{a="$service"}[$window]', instance="", service='$window"}', window="5m") == 'up{a="$window\\"}"}[5m]'


@pytest.mark.parametrize(("seconds", "text"), [(300, "5m"), (3600, "1h"), (259200, "3d"), (90, "90s"), (5400, "90m")])
def test_durations_are_written_in_the_largest_unit(seconds: int, text: str) -> None:
    """Without a rest."""
    assert duration(seconds) == text


def test_no_duration_is_refused() -> None:
    """Zero would be an empty window."""
    with pytest.raises(ArtifactError, match="ART-571"):
        duration(0)


def test_braces_begin_no_template() -> None:
    """As Prometheus shows it, the text is as it was."""
    assert template_text("{{ query }}") == '{{ "{{" }} query }}'
