"""The demo's Prometheus API over prombed."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest
from prombed import LabelMatcher, Prombed, PromQLEngine

from perfproof_demo.metrics_server import MetricsServer, WindowedStorage, create_app, parse_seconds

QUERIES = (
    "sum(rate(shop_requests_total[10s]))",
    'histogram_quantile(0.95, sum by (le) (rate(shop_request_seconds_bucket{route="orders"}[10s])))',
    "100 * process_resident_memory_bytes / 536870912",
)


class Api:
    """The API of a server whose only target does not answer; nothing is scraped, for the lifespan is not entered."""

    def __init__(self) -> None:
        self._app = create_app(MetricsServer(["127.0.0.1:9"]))

    def request(self, method: str, path: str, **given: dict[str, str]) -> httpx.Response:
        """The answer to one request."""

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://demo") as client:
                return await client.request(method, f"/api/v1/{path}", **given)

        return asyncio.run(ask())


@pytest.fixture
def api() -> Api:
    """The API without a target."""
    return Api()


def history(seconds: int) -> Prombed:
    """An hour of counters, one sample a second."""
    prombed = Prombed(retention_ms=3600_000)
    draw = random.Random(7)
    total, low = 0, 0
    for second in range(seconds):
        total += draw.randint(0, 9)
        low += draw.randint(0, 4)
        text = (
            f"shop_requests_total {total}\nprocess_resident_memory_bytes {1e6 + second}\n"
            f'shop_request_seconds_bucket{{route="orders",le="0.1"}} {low}\n'
            f'shop_request_seconds_bucket{{route="orders",le="+Inf"}} {low + total}\n'
        )
        prombed.ingest(text, timestamp_ms=second * 1000)
    return prombed


@pytest.mark.parametrize("query", QUERIES)
def test_the_window_does_not_change_an_answer(query: str) -> None:
    """The cut storage gives what prombed gives from everything it holds, to the last digit."""
    prombed = history(1200)
    window = WindowedStorage(prombed.storage)
    window.start_ms, window.end_ms = 940_000, 1_000_000
    cut = PromQLEngine(window, lookback_delta_ms=10_000)
    whole = PromQLEngine(prombed.storage, lookback_delta_ms=10_000)
    answer = cut.query_range(query, 960_000, 1_000_000, 2000)
    assert answer == whole.query_range(query, 960_000, 1_000_000, 2000)
    assert len(answer["data"]["result"][0]["values"]) == 21


def test_the_window_holds_only_what_a_query_can_see() -> None:
    """Both ends are inclusive, and series without a sample in it stay, empty."""
    prombed = history(100)
    window = WindowedStorage(prombed.storage)
    window.start_ms, window.end_ms = 10_000, 20_000
    (series,) = window.select([LabelMatcher("__name__", "=", "shop_requests_total")])
    assert [sample.timestamp for sample in series.samples] == list(range(10_000, 20_001, 1000))


@pytest.mark.parametrize(("text", "seconds"), [("2", 2), ("0.5", 0.5), ("500ms", 0.5), ("1m30s", 90), ("1h", 3600)])
def test_a_step_is_seconds_or_a_duration(text: str, seconds: float) -> None:
    """Prometheus takes both."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "NaN", "Inf", "5x", "s"])
def test_another_step_is_an_error(text: str) -> None:
    """NaN and infinity are numbers to float(), and no step."""
    with pytest.raises(ValueError, match=r"number|convert"):
        parse_seconds(text)


def test_get_and_post_give_the_same_answer(api: Api) -> None:
    """A long query is posted as a form; the answer has Prometheus' shape."""
    given = {"query": "2 * 21", "time": "1700000000"}
    got = api.request("GET", "query", params=given).json()
    assert got == {"status": "success", "data": {"resultType": "scalar", "result": [1700000000.0, "42"]}}
    assert api.request("POST", "query", data=given).json() == got


def test_a_range_may_be_given_as_rfc_3339(api: Api) -> None:
    """Both spellings of a moment give the same points."""
    texts = {"query": "1", "start": "2025-02-16T10:00:00Z", "end": "2025-02-16T10:00:04Z", "step": "2s"}
    numbers = {"query": "1", "start": "1739700000", "end": "1739700004", "step": "2"}
    answer = api.request("GET", "query_range", params=texts).json()
    assert answer == api.request("GET", "query_range", params=numbers).json()
    assert answer["data"]["result"][0]["values"] == [[1739700000.0, "1"], [1739700002.0, "1"], [1739700004.0, "1"]]


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("query", {}),
        ("query", {"query": "sum("}),
        ("query", {"query": "up", "time": "yesterday"}),
        ("query", {"query": "up", "time": "2025-02-16T10:00:00"}),
        ("query_range", {"query": "up", "start": "0", "end": "10"}),
        ("query_range", {"query": "up", "start": "10", "end": "0", "step": "1"}),
        ("query_range", {"query": "up", "start": "0", "end": "20000", "step": "1"}),
        ("query_range", {"query": "up", "start": "NaN", "end": "20000", "step": "1"}),
    ],
)
def test_a_bad_question_is_answered_like_prometheus_does(api: Api, path: str, given: dict[str, str]) -> None:
    """400 with status error, an error type and a text; never a 500."""
    answer = api.request("GET", path, params=given)
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert answer.json()["errorType"] == "bad_data"
    assert answer.json()["error"]
