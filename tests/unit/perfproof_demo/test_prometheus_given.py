"""The Prometheus of PROMETHEUS_URL: what it has to answer before the demo relies on it, and the one line for each thing missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from perfproof_demo.errors import DemoError
from perfproof_demo.prometheus_given import FEWEST_SCRAPES, require_scraped
from perfproof_demo.settings import DemoSettings

BASELINE, CANDIDATE = "127.0.0.1:18101", "127.0.0.1:18102"
Answer = Callable[[str, bool], list[float]]


def settings(tmp_path: Path) -> DemoSettings:
    """A demo with a Prometheus of somebody."""
    return DemoSettings(home=tmp_path, prometheus_url="http://prometheus.test:9090/path")


def server(answer: Answer) -> httpx.MockTransport:
    """A Prometheus: `answer(instance, counted)` gives the values of `up`, or of how often it was recorded."""

    def respond(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/path/api/v1/query"
        query = request.url.params["query"]
        found = re.search(r'up\{instance="([^"]+)"\}', query)
        assert found
        values = answer(found[1], query.startswith("count_over_time("))
        result = [{"metric": {"job": str(k)}, "value": [1, f"{value:g}"]} for k, value in enumerate(values)]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})

    return httpx.MockTransport(respond)


def check(tmp_path: Path, transport: httpx.BaseTransport, *, seconds: float = 5) -> int:
    """Asks until it is right or the time is over; how often it waited."""
    now, waits = [0.0], count()

    def sleep(duration: float) -> None:
        now[0] += duration
        next(waits)

    require_scraped(settings(tmp_path), seconds=seconds, transport=transport, sleep=sleep, clock=lambda: now[0])
    return next(waits)


def test_a_server_that_scrapes_both_shops_is_taken_at_once(tmp_path: Path) -> None:
    """Nothing is waited for."""
    assert check(tmp_path, server(lambda _, counted: [10.0] if counted else [1.0])) == 0


def test_a_server_that_was_just_started_is_waited_for(tmp_path: Path) -> None:
    """First it knows nothing, then it has scraped too little, then enough."""
    asked: Iterator[int] = count()

    def answer(_: str, counted: bool) -> list[float]:
        n = next(asked)
        return [] if n < 2 else [float(n)] if counted else [1.0]

    assert 0 < check(tmp_path, server(answer)) <= 2 * FEWEST_SCRAPES


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda i, c: [10.0 if c else 1.0] if i == BASELINE else [], rf"DEM-854 .*does not scrape {CANDIDATE}.*scrape-config"),
        (lambda i, c: [10.0 if c else 1.0] * 2, rf"DEM-855 .*scrapes {BASELINE} 2 times"),
        (lambda i, c: [10.0 if c else float(i != CANDIDATE)], rf"DEM-856 .*cannot scrape {CANDIDATE}.*is 0"),
        (lambda i, c: [1.0], rf"DEM-857 .*scrapes {BASELINE} too rarely.*1 times in 10 s.*{FEWEST_SCRAPES} or more"),
        (lambda i, c: [] if c else [1.0], r"DEM-857 .*0 times"),
        (lambda i, c: [10.0 if c else float("nan")], r"DEM-856 .*is nan"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, answer: Answer, text: str) -> None:
    """Each has a number of its own, and names the shop and the server."""
    with pytest.raises(DemoError, match=text) as raised:
        check(tmp_path, server(answer))
    assert "\n" not in str(raised.value)
    assert "PROMETHEUS_URL" in str(raised.value)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>log in</html>", headers={"content-type": "text/html"}),
        httpx.Response(200, json=["something"]),
        httpx.Response(200, json={"status": "success", "data": {"result": [{"value": []}]}}),
        httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
        httpx.Response(401),
        httpx.Response(503, text="starting"),
    ],
)
def test_another_answer_is_an_error_at_once(tmp_path: Path, response: httpx.Response) -> None:
    """A page, a redirect or a login is no Prometheus, and does not become one in a quarter of a minute."""
    with pytest.raises(DemoError, match=rf"DEM-853 .*{response.status_code}"):
        check(tmp_path, httpx.MockTransport(lambda _: response))


def test_a_server_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    """With what the system said."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with pytest.raises(DemoError, match=r"DEM-853 PROMETHEUS_URL: http://prometheus.test:9090/path .*Connection refused"):
        check(tmp_path, httpx.MockTransport(refuse))
