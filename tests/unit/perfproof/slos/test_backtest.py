"""The replay against a slow simulation, and what it does not claim."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.errors import ArtifactError
from perfproof.slos.backtest import Incident, back_test, back_test_document, back_test_words
from perfproof.slos.burn_rates import DAY, Alerts, Pair, Severity, Traffic, burn_rate_alerts, fires
from perfproof.slos.history import History, events_history, threshold_history
from perfproof.telemetry import Direction

SMALL = (
    Pair(Severity.PAGE, 0.02, 60, 5),
    Pair(Severity.PAGE, 0.05, 180, 15),
    Pair(Severity.TICKET, 0.10, 300, 30),
    Pair(Severity.TICKET, 0.10, 600, 60),
)

GUARD = Traffic(20, 2)


def small_alerts(percent: float = 95, traffic: Traffic = GUARD, period: int = 1200) -> Alerts:
    return burn_rate_alerts(percent, traffic=traffic, period=period, pairs=SMALL)


def second_by_second(history: History, alerts: Alerts, severity: Severity) -> list[bool]:
    """The oracle: at each second all events of both windows are added up again."""
    events = {place: (bad, total) for place, bad, total in zip(history.steps, history.bad, history.total, strict=True)}
    firing = []
    for now in range(history.length):
        sums = {}
        for alert in alerts.of(severity):
            for seconds in (alert.pair.long, alert.pair.short):
                inside = [events[s] for s in range(max(0, now - seconds + 1), now + 1) if s in events]
                sums[alert, seconds] = (sum(b for b, _ in inside), sum(t for _, t in inside))
        firing.append(
            any(fires(a, long=sums[a, a.pair.long], short=sums[a, a.pair.short], traffic=alerts.traffic) for a in alerts.of(severity))
        )
    return firing


def rises(flags: Sequence[bool]) -> int:
    return sum(now and not before for before, now in zip([False, *flags], flags, strict=False))


@pytest.mark.parametrize("seed", range(6))
def test_the_replay_is_that_of_a_simulation_second_by_second(seed: int) -> None:
    """Random traffic with bursts of failures and single gaps: the same seconds fire, so the same episodes are counted."""
    generator = random.Random(seed)
    times, good, total, rate = [], [], [], 0.0
    for second in range(1, 1300):
        if generator.random() < 0.01:
            rate = generator.choice([0.0, 0.0, 0.02, 0.1, 0.5, 1.0])
        if generator.random() < 0.03:
            continue
        count = generator.randrange(0, 6)
        failed = sum(generator.random() < rate for _ in range(count))
        times.append(float(second))
        total.append(count)
        good.append(count - failed)
    history = events_history(times, good, total, step=1)
    alerts = small_alerts()
    result = back_test(history, alerts=alerts)
    for severity, shown in ((Severity.PAGE, result.pages), (Severity.TICKET, result.tickets)):
        expected = second_by_second(history, alerts, severity)
        assert shown == rises(expected)
        assert result.firing_seconds[severity.value] == sum(expected)
    assert result.gaps == history.length - len(times) > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10), min_size=700, max_size=700), st.data())
def test_more_bad_events_never_end_an_alert(bad: list[int], data: st.DataObject) -> None:
    """Whatever fired keeps firing when more of the same events are bad."""
    more = [min(10, b + data.draw(st.integers(0, 2))) if place % 37 == 0 else b for place, b in enumerate(bad)]
    times = [float(second) for second in range(1, 701)]
    few, many = (
        back_test(
            events_history(times, [10 - b for b in counts], [10] * 700, step=1), alerts=small_alerts(traffic=Traffic(0, 0), period=700)
        )
        for counts in (bad, more)
    )
    for severity in ("page", "ticket"):
        assert many.firing_seconds[severity] >= few.firing_seconds[severity]
    assert not (few.pages and not many.pages) and not (few.tickets and not many.tickets)
    assert few.budget_left is not None and many.budget_left is not None and many.budget_left <= few.budget_left


@given(st.integers(2, 4))
@settings(deadline=None)
def test_the_same_history_at_another_scale_of_time_gives_the_same_counts(scale: int) -> None:
    """Steps, windows and period times n: nothing else changes."""
    bad = [5 if 200 <= second < 320 else 0 for second in range(700)]
    counts = []
    for n in (1, scale):
        pairs = tuple(Pair(p.severity, p.budget, n * p.long, n * p.short) for p in SMALL)
        alerts = burn_rate_alerts(95, traffic=Traffic(0, 0), period=700 * n, pairs=pairs)
        history = events_history([float(n * (s + 1)) for s in range(700)], [10 - b for b in bad], [10] * 700)
        result = back_test(history, alerts=alerts)
        counts.append((result.pages, result.tickets, result.budget_left))
    assert counts[0] == counts[1] and counts[0][0] == 1


def test_a_quiet_history_pages_nobody_and_keeps_the_budget() -> None:
    """Shown as zero, which is not the same as not shown."""
    history = events_history([60.0 * n for n in range(1, 31 * 1440)], [100] * (31 * 1440 - 1), [100] * (31 * 1440 - 1))
    result = back_test(history, alerts=burn_rate_alerts(99.9, traffic=Traffic(100, 5)))
    assert (result.pages, result.tickets, result.budget_left, result.reasons) == (0, 0, 1.0, ())


def test_an_empty_or_short_history_is_not_shown() -> None:
    """Never zero pages: nobody looked."""
    alerts = burn_rate_alerts(99, traffic=Traffic(0, 0))
    for times in ([], [60.0 * n for n in range(1, 50)]):
        result = back_test(events_history(times, [1] * len(times), [1] * len(times), step=60), alerts=alerts)
        assert (result.shown, result.pages, result.tickets, result.budget_left) == (False, None, None, None)
        assert back_test_words(result)[0].startswith("back-test: not shown (")
        assert back_test_document(result)["status"] == "not shown" and back_test_document(result)["not_shown"]


def test_hourly_values_show_tickets_but_no_pages() -> None:
    """A page needs a short window of minutes; the count of tickets is given, that of pages is not, and no budget of 30 days."""
    times = [3600.0 * n for n in range(1, 24 * 8)]
    values = [100.0] * len(times)
    values[100:140] = [900.0] * 40
    history = threshold_history(times, values, target=250, direction=Direction.LOWER)
    result = back_test(history, alerts=burn_rate_alerts(99, traffic=Traffic(30, 3)))
    assert result.pages is None and result.tickets == 1 and result.budget_left is None
    assert any("one value in 3600 s" in reason for reason in result.reasons)


def test_gaps_are_counted_and_never_filled() -> None:
    """Half of the history missing: not shown; what was bad around a gap is not carried over it."""
    times = [60.0 * n for n in range(1, 6 * 1440) if n % 2]
    result = back_test(
        events_history(times, [0] * len(times), [1] * len(times), step=60), alerts=burn_rate_alerts(99, traffic=Traffic(0, 0))
    )
    assert not result.shown and "50 % of the history" in result.reasons[0]


def test_readings_that_are_no_measurement_are_dropped() -> None:
    """NaN, negative, more good than all, and two different readings of one moment; the same reading twice is one."""
    times = [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.0, math.nan]
    history = events_history(times, [1, math.nan, -1, 9, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1], step=1)
    assert history.steps == (0, 5) and history.dropped == 6 and history.gaps == 4
    assert threshold_history([1, 2], [math.inf, 3], target=5, direction=Direction.LOWER, step=1).dropped == 1


def test_the_direction_says_what_is_bad() -> None:
    """A throughput below its target is bad; a value at the target is good."""
    history = threshold_history([60, 120, 180], [9, 10, 11], target=10, direction=Direction.HIGHER)
    assert history.bad == (1, 0, 0)


def test_known_incidents_are_timed_from_their_begin() -> None:
    """Total outage after a quiet hour: the page comes as soon as the burn rate of the hour exceeds its factor."""
    minutes = 4 * 1440
    bad = [100 if 3000 <= minute < 3060 else 0 for minute in range(minutes)]
    history = events_history([60.0 * (m + 1) for m in range(minutes)], [100 - b for b in bad], [100] * minutes)
    incidents = [
        Incident("outage", 3000 * 60.0, 3060 * 60.0),
        Incident("unseen", 100 * 60.0, 200 * 60.0),
        Incident("before", -500.0, 10.0),
    ]
    result = back_test(history, alerts=burn_rate_alerts(99, traffic=Traffic(100, 5)), incidents=incidents)
    outage, unseen, before = result.detections
    # 14.4 % of an hour is 8.64 minutes.
    assert outage.page_after == 9 * 60
    assert (unseen.page_after, unseen.ticket_after, unseen.reason) == (None, None, None)
    assert before.reason == "not within the history"
    assert "incident outage: page after 540 s" in "\n".join(back_test_words(result))


def test_overspending_is_negative_and_a_budget_of_nothing_is_said() -> None:
    """5 % bad of a 1 % budget; 100 % objective with bad events."""
    times = [60.0 * n for n in range(1, 31 * 1440)]
    history = events_history(times, [95] * len(times), [100] * len(times))
    assert back_test(history, alerts=burn_rate_alerts(99, traffic=Traffic(0, 0))).budget_left == pytest.approx(-4)
    assert back_test(history, alerts=burn_rate_alerts(100, traffic=Traffic(0, 0))).budget_left is None


@pytest.mark.parametrize(("times", "step"), [([1.0], None), ([1.0, 2.0], 0.0), ([1.0, 2.0], math.inf), ([0.0, 1e12], 1.0)])
def test_times_that_make_no_grid_are_refused(times: list[float], step: float | None) -> None:
    """One line instead of a replay of nothing, or of all memory."""
    with pytest.raises(ArtifactError, match="ART-579"):
        events_history(times, [1] * len(times), [1] * len(times), step=step)


def test_the_step_is_the_usual_distance() -> None:
    """Gaps do not make it longer."""
    assert events_history([0, 60, 120, 600, 660], [1] * 5, [1] * 5).step == 60
    assert DAY == 86_400
