"""What the hooks that ask a service itself (its build, its metrics, its profile) do when it is in trouble."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from fault_server import Answer, fault_server

from perfproof.config.load import Target
from perfproof.config.services import Endpoint
from perfproof.errors import LoadError, PerfproofError
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.hooks.pprof import PprofHook

TEXT = {"Content-Type": "text/plain"}
BUILD: Answer = (200, {"Content-Type": "application/json"}, b'{"build": "1.4.2", "environment": "staging"}')
METRICS: Answer = (200, TEXT, b"requests_total 5\n")
MOST_BYTES = 300 << 20


def endpoint_at(address: str) -> Endpoint:
    """An endpoint with every path."""
    host, _, port = address.removeprefix("http://").partition(":")
    return Endpoint(host, int(port), build_path="/build", metrics_path="/metrics", pprof_path="/debug/pprof/profile")


def build(address: str) -> Any:
    """The build that answers within a second."""
    return EndpointHook(endpoint_at(address), environment="staging", timeout_seconds=1).build()


def metrics(address: str) -> Any:
    """The service's own metrics."""
    return EndpointHook(endpoint_at(address), environment="staging", timeout_seconds=1).scrape()


def heap(address: str) -> Any:
    """A heap profile."""
    endpoint = endpoint_at(address)
    return PprofHook(endpoint, allow=(Target(endpoint.host, endpoint.port),)).snapshot("/debug/pprof/heap", within=1)


ASKED: list[tuple[Callable[[str], Any], Answer]] = [(build, BUILD), (metrics, METRICS), (heap, (200, {}, b"\x0a\x00"))]


@pytest.mark.parametrize(("ask", "good"), ASKED, ids=["build", "metrics", "heap"])
@pytest.mark.parametrize("mode", ["down", "slow", "http_429", "http_500", "redirect", "html_200", "truncated", "endless", "gzip_bomb"])
def test_trouble_is_one_line_and_never_a_value(mode: str, ask: Callable[[str], Any], good: Answer) -> None:
    """Nothing is followed, nothing is kept beyond its bound, and every mode ends by itself."""
    seen: list[bytes] = []
    tracemalloc.start()
    try:
        with fault_server(mode, good, seen=seen) as address, pytest.raises(PerfproofError) as caught:
            ask(address)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and caught.value.fix
    assert not any(b"/followed" in request for request in seen)
    assert peak < MOST_BYTES


def test_the_good_answers_are_read() -> None:
    """So that the errors above come from the trouble."""
    with fault_server("good", BUILD) as address:
        assert build(address).build == "1.4.2"
    with fault_server("good", METRICS) as address:
        assert metrics(address) == {"requests_total": 5.0}


@pytest.mark.parametrize(
    "text", [b"requests_total 1\nrequests_total 2\n", b'a{b="c"} 1\na{b="c"} 1\n', b"requests_total\n", b"\xff\xfe", b""], ids=repr
)
def test_metrics_that_are_no_numbers_are_refused(text: bytes) -> None:
    """A sample that stands twice, a name without a value, bytes that are no text, nothing."""
    with fault_server("good", (200, TEXT, text)) as address, pytest.raises(LoadError, match="LOD-321"):
        metrics(address)


def test_a_series_with_a_value_that_is_no_number_is_left_out() -> None:
    """What is missing is then said by the guard that needs it."""
    with fault_server("good", (200, TEXT, b'a{b="c"} NaN\na{b="d"} 1\nx 2\n')) as address:
        assert metrics(address) == {"x": 2.0}
