"""Burn-rate alerts: computed factors, alerts that can fire, and a guard for low traffic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import ArtifactError
from perfproof.slos.burn_rates import DAY, PAIRS, Severity, Traffic, alerts_document, bad_share, burn_rate_alerts, factor, fires

ANY = Traffic(0, 0)


@pytest.mark.parametrize(("days", "factors"), [(30, [14.4, 6, 3, 1]), (28, [13.44, 5.6, 2.8, 0.9333333])])
def test_the_known_factors_follow_from_the_formula(days: int, factors: list[float]) -> None:
    """budget x period / long window; page first two pairs, ticket last two."""
    alerts = burn_rate_alerts(99.9, traffic=ANY, period=days * DAY).alerts
    assert [alert.factor for alert in alerts] == pytest.approx(factors)
    assert [alert.pair.severity.value for alert in alerts] == ["page", "page", "ticket", "ticket"]


@given(st.integers(4, 366), st.integers(2, 5))
def test_factors_scale_with_the_period(days: int, times: int) -> None:
    """A period of n times the length gives n times the factor."""
    for pair in PAIRS:
        assert factor(pair, period=times * days * DAY) == pytest.approx(times * factor(pair, period=days * DAY))


@given(st.floats(0.1, 100), st.integers(1, 366))
def test_every_alert_that_is_kept_can_fire(percent: float, days: int) -> None:
    """A total outage with enough traffic fires each of them, and what is left out is said."""
    found = burn_rate_alerts(percent, traffic=Traffic(100, 5), period=days * DAY)
    assert len(found.alerts) + len(found.left_out) == len(PAIRS)
    for alert in found.alerts:
        assert fires(alert, long=(1000, 1000), short=(100, 100), traffic=found.traffic)


def test_an_alert_that_could_never_fire_is_lowered_and_says_so() -> None:
    """14.4 times the budget of a 90 % objective is more than everything; exactly everything is too much as well."""
    first, second, *_ = burn_rate_alerts(90, traffic=ANY).alerts
    assert first.factor == pytest.approx(9) and first.threshold == 0.9
    assert "could never fire" in str(first.lowered) and "could never fire" in first.words
    assert second.factor == 6 and second.lowered is None
    exactly = burn_rate_alerts(50, traffic=ANY, period=DAY * 10, pairs=PAIRS[:1])
    assert exactly.alerts[0].factor * 0.5 < 1


def test_a_second_lowered_alert_is_left_out() -> None:
    """At 80 % both pages would be lowered to the same share: the one with shorter windows stays."""
    found = burn_rate_alerts(80, traffic=ANY)
    assert [alert.pair.long for alert in found.of(Severity.PAGE)] == [3600]
    assert len(found.left_out) == 1 and "6h" in found.left_out[0]


def test_no_budget_and_too_short_a_period_have_no_alerts() -> None:
    """And a sentence for each pair says why."""
    assert burn_rate_alerts(100, traffic=ANY).alerts == ()
    assert "no error budget" in burn_rate_alerts(100, traffic=ANY).left_out[0]
    one_day = burn_rate_alerts(99, traffic=ANY, period=DAY)
    assert [alert.pair.long for alert in one_day.alerts] == [3600, 21600, DAY] and "longer than the period" in one_day.left_out[0]


def test_an_alert_needs_both_windows_and_strictly_more() -> None:
    """At the threshold it does not fire; a short window that has recovered ends it."""
    alert = burn_rate_alerts(99, traffic=ANY).alerts[0]
    assert not fires(alert, long=(144, 1000), short=(144, 1000), traffic=ANY)
    assert fires(alert, long=(145, 1000), short=(145, 1000), traffic=ANY)
    assert not fires(alert, long=(500, 1000), short=(0, 100), traffic=ANY)
    assert not fires(alert, long=(0, 0), short=(0, 0), traffic=ANY)


def test_two_failures_at_night_page_nobody() -> None:
    """Fewer events, or fewer bad ones, than the guard asks for."""
    alert = burn_rate_alerts(99.9, traffic=ANY).alerts[0]
    assert fires(alert, long=(2, 10), short=(2, 2), traffic=ANY)
    assert not fires(alert, long=(2, 10), short=(2, 2), traffic=Traffic(100, 0))
    assert not fires(alert, long=(2, 10), short=(2, 2), traffic=Traffic(0, 5))


def test_a_missing_metric_alerts_after_one_percent_of_the_budget() -> None:
    """99 % of 30 days: 259 s; never below two evaluations."""
    assert burn_rate_alerts(99, traffic=ANY).absent_seconds == 259
    assert burn_rate_alerts(99.999, traffic=ANY).absent_seconds == 120


def test_the_budget_is_what_is_written() -> None:
    """Decimal, so that 99.9 leaves 0.001 and not 0.00099999…"""
    assert bad_share(99.9) == 0.001 and bad_share(100) == 0


@pytest.mark.parametrize(("percent", "period"), [(0, DAY), (101, DAY), (float("nan"), DAY), (99, 0)])
def test_what_is_no_objective_is_refused(percent: float, period: int) -> None:
    """One line, with the value."""
    with pytest.raises(ArtifactError, match="ART-573"):
        burn_rate_alerts(percent, traffic=ANY, period=period)


def test_the_document_holds_definition_guard_and_words() -> None:
    """What people approve: factors, windows, guard, absence."""
    document = alerts_document(burn_rate_alerts(99, traffic=Traffic(100, 5)))
    assert document["alerts"][0] == {
        "severity": "page", "budget_percent": 2, "long_window": "1h", "short_window": "5m", "factor": 14.4, "bad_share_above": 0.144,
        "lowered": None, "words": "page: burn rate above 14.4 over 1h and 5m (more than 14.4 % bad; 2 % of the budget in 1h)",
    }  # fmt: skip
    assert document["low_traffic_guard"] == {"min_events": 100, "min_bad_events": 5, "window": "long"}
    assert (document["period"], document["absent_after"]) == ("30d", "259s")
