"""When a running load test ends itself."""

from __future__ import annotations

import pytest

from perfproof.config import Abort
from perfproof_airflow.load_engine.stop_conditions import StopConditions

ABORT = Abort(error_rate_percent=50, p99_ms=1000, over_seconds=5)


@pytest.fixture
def conditions() -> StopConditions:
    """Conditions of a test at 20 requests/s."""
    return StopConditions(ABORT, lowest_rate=20)


def test_a_good_service_goes_on(conditions: StopConditions) -> None:
    """Half of the answers may fail, and a request that waits a little is none."""
    for k in range(40):
        conditions.add(at=k / 20, latency_ms=900, ok=k % 2 == 0)
    assert conditions.reached(now=2, open_since=[1.0] * 50) is None


@pytest.mark.parametrize(("ok", "latency", "words"), [(False, 5, "failed"), (True, 1001, "p99")])
def test_failures_and_slow_answers_end_the_test(conditions: StopConditions, ok: bool, latency: float, words: str) -> None:
    """Either is enough, once there are enough answers to tell."""
    for k in range(19):
        conditions.add(at=k / 20, latency_ms=latency, ok=ok)
    assert conditions.reached(now=1, open_since=[]) is None
    conditions.add(at=1, latency_ms=latency, ok=ok)
    assert words in (conditions.reached(now=1, open_since=[]) or "")


def test_what_is_longer_ago_than_the_span_is_forgotten(conditions: StopConditions) -> None:
    """A burst that is over does not end a test that has recovered."""
    for k in range(100):
        conditions.add(at=k / 100, latency_ms=5, ok=False)
    for k in range(100):
        conditions.add(at=5 + k / 20, latency_ms=5, ok=True)
    assert conditions.reached(now=10, open_since=[]) is None


def test_requests_that_nobody_answers_count_as_failed(conditions: StopConditions) -> None:
    """Those that have waited for the whole span, not those that just started."""
    assert conditions.reached(now=6, open_since=[0.5] * 30) is not None
    assert conditions.reached(now=6, open_since=[5.5] * 30) is None


def test_a_slow_test_needs_fewer_answers() -> None:
    """At 1 request/s there are never 20 within 5 s."""
    conditions = StopConditions(ABORT, lowest_rate=1)
    for k in range(5):
        conditions.add(at=k, latency_ms=5, ok=False)
    assert conditions.reached(now=5, open_since=[]) is not None
