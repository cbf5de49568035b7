"""The Prometheus client against servers that are slow, wrong, hostile or gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.http_answers import ATTEMPTS, BoundedGet, Limits, Unreachable
from perfproof_airflow.hooks.prometheus import ConnectionValues, PrometheusHook, filled
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
START = NOW.timestamp() - 60
SPEC = MetricSpec(
    "api_latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "prometheus", 'q{instance="$instance"}[$window]'
)
Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


def hook_on(handler: Handler, *, clock: Clock | None = None, limits: Limits | None = None, **values: Any) -> PrometheusHook:
    clock = clock or Clock()
    return PrometheusHook(
        connection=ConnectionValues("http://prometheus.test:9090", **values),
        transport=httpx.MockTransport(handler),
        limits=limits,
        sleep=clock.sleep,
        clock=clock,
    )


def asked(hook: PrometheusHook, *, end: float = START + 60, step: float = 2) -> Series:
    return hook.query_range(SPEC, service="api", instance="10.0.0.1:80", start=START, end=end, step=step, rate_window=10, fetched_at=NOW)


def matrix(*values: list[Any], **changes: Any) -> dict[str, Any]:
    result = [{"metric": {}, "values": list(values)}] if values else []
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **changes}


def answering(document: Any, **response: Any) -> Handler:
    return lambda request: httpx.Response(200, json=document, **response)


def test_samples_arrive_with_range_query_and_digest() -> None:
    """A good answer: times, values, the filled query and the digest of the answer's bytes."""
    body = json.dumps(matrix([START, "1.5"], [START + 2, "2"])).encode()
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=body, headers={"content-type": "application/json; charset=utf-8"})

    series = asked(hook_on(handler))
    assert (series.times, series.values) == ((START, START + 2), (1.5, 2.0))
    assert series.query == 'q{instance="10.0.0.1:80"}[10s]'
    assert series.raw_sha256 == sha256_hex(body)
    assert dict(seen[0].url.params) == {"query": series.query, "start": f"{START:.3f}", "end": f"{START + 60:.3f}", "step": "2"}
    assert seen[0].url.path == "/api/v1/query_range"


def test_an_empty_answer_is_an_empty_series() -> None:
    """No series is no data, which the cell then says; it is no error and no zero."""
    assert asked(hook_on(answering(matrix()))).values == ()


def test_nan_infinity_and_duplicates_are_handed_on_as_received() -> None:
    """What is no measurement is judged by the cell, so the hook neither drops nor repairs it."""
    series = asked(hook_on(answering(matrix([START, "NaN"], [START + 2, "+Inf"], [START + 4, "1"], [START + 4, "2"]))))
    assert [repr(value) for value in series.values] == ["nan", "inf", "1.0", "2.0"]
    assert series.times[-2:] == (START + 4, START + 4)


def test_a_server_that_is_down_is_unreachable_after_growing_pauses() -> None:
    """Connection refused: four attempts with doubled pauses, then one line that says what to check."""
    clock = Clock()
    attempts: list[int] = []

    def refused(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(Unreachable, match=r"TEL-270 .*connection refused.* Fix: "):
        asked(hook_on(refused, clock=clock))
    assert (len(attempts), clock.pauses) == (ATTEMPTS, [0.5, 1.0, 2.0])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_trouble_is_retried(status: int) -> None:
    """Two refusals and then an answer give the answer."""
    left = [status, status]

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(left.pop()) if left else httpx.Response(200, json=matrix([START, "1"]))

    assert asked(hook_on(handler)).values == (1.0,)


def test_retry_after_is_heeded_up_to_the_cap() -> None:
    """A server may ask for a pause, but not for a day."""
    clock = Clock()
    answers = [httpx.Response(429, headers={"retry-after": "3"}), httpx.Response(429, headers={"retry-after": "86400"})]

    def handler(request: httpx.Request) -> httpx.Response:
        return answers.pop(0) if answers else httpx.Response(200, json=matrix())

    asked(hook_on(handler, clock=clock))
    assert clock.pauses == [3.0, 5.0]


def test_endless_trouble_ends_within_the_total_time() -> None:
    """The limit holds for all attempts together."""
    clock = Clock()
    with pytest.raises(Unreachable, match=r"HTTP 503"):
        asked(hook_on(lambda r: httpx.Response(503), clock=clock, limits=Limits(total_seconds=1.2)))
    assert clock.time <= 1.2


def test_a_trickling_answer_ends_within_the_total_time() -> None:
    """A byte now and then resets read timeouts, not the total."""
    clock = Clock()

    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.time += 5
                yield b" "

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Trickle(), headers={"content-type": "application/json"})

    with pytest.raises(Unreachable, match="total time"):
        asked(hook_on(handler, clock=clock, limits=Limits(total_seconds=60)))
    assert clock.time <= 70


def test_an_answer_that_is_too_large_is_cut_off() -> None:
    """Reading stops at the limit, whatever the server still has."""
    sent: list[int] = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                sent.append(1000)
                yield b"x" * 1000

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless(), headers={"content-type": "application/json"})

    with pytest.raises(TelemetryError, match=r"TEL-271 .*too large"):
        asked(hook_on(handler, limits=Limits(answer_bytes=10_000)))
    assert sum(sent) <= 12_000


def test_a_redirect_is_not_followed() -> None:
    """Queries and credentials go only where the Connection says."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url.host))
        return httpx.Response(302, headers={"location": "http://elsewhere.test/"})

    with pytest.raises(TelemetryError, match=r"TEL-272 .*HTTP 302"):
        asked(hook_on(handler, login="reader", password="secret"))
    assert seen == ["prometheus.test"]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_fail_at_once_without_showing_them(status: int) -> None:
    """One attempt, and no password in the message."""
    attempts: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        return httpx.Response(status, text="no")

    with pytest.raises(TelemetryError, match="TEL-273") as caught:
        asked(hook_on(handler, login="reader", password="hunter2"))
    assert len(attempts) == 1
    assert "hunter2" not in str(caught.value)


def test_a_login_page_with_200_is_no_answer() -> None:
    """HTML is not taken for telemetry."""
    with pytest.raises(TelemetryError, match=r"TEL-274 .*text/html"):
        asked(hook_on(lambda r: httpx.Response(200, html="<h1>Sign in</h1>")))


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1739',
        b"",
        b'{"status":"success","status":"success"}',
        b'{"status":"success","data":NaN}',
        b'{"status":"success","data":1e999}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_truncated_or_broken_body_is_an_error(body: bytes) -> None:
    """Half an answer is no answer: no sample of it is used."""
    with pytest.raises(QueryRefused, match=r"TEL-276 .*invalid JSON"):
        asked(hook_on(lambda r: httpx.Response(200, content=body, headers={"content-type": "application/json"})))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"status": "error", "error": "parse error at char 3"}, "parse error at char 3"),
        (["success"], "refuses the query"),
        ({"status": "success"}, "without data"),
        (matrix(data={"resultType": "vector", "result": []}), "unexpected type of result"),
        (matrix(data={"resultType": "matrix", "result": [{"values": []}, {"values": []}]}), "several series"),
        (matrix(data={"resultType": "matrix", "result": [{"values": "x"}]}), "without values"),
        (matrix([START + 2, "1"], [START, "1"]), "out of order"),
        (matrix([START * 1000, "1"]), "outside the asked range"),
        (matrix([START - 3600, "1"]), "outside the asked range"),
        (matrix([START, 1.5]), "not a sample value"),
        (matrix([START, "1_000"]), "not a sample value"),
        (matrix([START, "0x10"]), "not a sample value"),
        (matrix(["2025-02-16", "1"]), "not a sample"),
        (matrix([True, "1"]), "not a sample"),
        (matrix([START]), "not a sample"),
        (matrix([START, "1"], warnings=["partial response"]), "warns about its answer"),
    ],
)
def test_an_answer_that_is_no_measurement_is_refused(document: Any, words: str) -> None:
    """One line that names what is wrong; nothing of the answer is used."""
    with pytest.raises(QueryRefused) as caught:
        asked(hook_on(answering(document)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_query_is_refused_with_the_servers_words() -> None:
    """HTTP 400 explains itself in JSON; it is not retried."""
    attempts: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        return httpx.Response(400, json={"status": "error", "errorType": "bad_data", "error": "unexpected \x1b[31m\n<b>"})

    with pytest.raises(QueryRefused, match=r"TEL-277 .*HTTP 400 unexpected") as caught:
        asked(hook_on(handler))
    assert len(attempts) == 1
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_range_is_asked_in_parts_without_overlap() -> None:
    """24 hours at 5 s are 17,281 points: two questions below the server's limit of 11,000, no moment twice or left out."""
    asked_points: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        start, end, step = (float(request.url.params[key]) for key in ("start", "end", "step"))
        moments = [start + n * step for n in range(round((end - start) / step) + 1)]
        asked_points.append(len(moments))
        return httpx.Response(200, json=matrix(*[[moment, "1"] for moment in moments]))

    series = asked(hook_on(handler), end=START + 86_400, step=5)
    assert asked_points == [10_000, 7_281]
    assert list(series.times) == [START + 5 * n for n in range(17_281)]


def test_the_digest_of_parts_covers_all_of_them() -> None:
    """The raw bytes of all answers, one a line, have the series' digest."""
    hook = hook_on(answering(matrix()))
    series, raw = hook.query_range_raw(
        SPEC, service="api", instance="i", start=START, end=START + 86_400, step=5, rate_window=25, fetched_at=NOW
    )
    assert raw.count(b"\n") == 1
    assert sha256_hex(raw) == series.raw_sha256


@pytest.mark.parametrize(
    ("end", "step"), [(START - 1, 2.0), (START + 60, 0.0), (START + 60, -1.0), (float("nan"), 2.0), (START + 9e9, 1.0)]
)
def test_a_range_that_is_none_is_refused_unasked(end: float, step: float) -> None:
    """Nothing is sent for a window that cannot be measured."""
    with pytest.raises(QueryRefused, match="TEL-276"):
        asked(hook_on(lambda r: pytest.fail("asked")), end=end, step=step)


def test_credentials_are_sent_as_the_connection_says() -> None:
    """Login and password as Basic, a token as Bearer; the environment's proxies and .netrc play no part."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json=matrix())

    asked(hook_on(handler, login="reader", password="pw"))
    asked(hook_on(handler, login="reader", password="pw", bearer_token="t0ken"))
    assert seen == ["Basic cmVhZGVyOnB3", "Bearer t0ken"]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable does not decide who sees queries: the client opens with trust_env off."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:1")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:1")
    hook = PrometheusHook(connection=ConnectionValues("http://127.0.0.1:9"))
    with hook._http.asking(BoundedGet)._client() as client:
        assert client.trust_env is False
        assert client._mounts == {}


def test_secrets_are_not_in_the_repr() -> None:
    """A ConnectionValues in a log line shows neither password nor token."""
    shown = repr(ConnectionValues("http://x", login="reader", password="hunter2", bearer_token="t0ken"))
    assert "hunter2" not in shown
    assert "t0ken" not in shown


def connection(**values: Any) -> Any:
    defaults = {"conn_id": "p", "host": "prometheus", "port": None, "schema": None, "login": None, "password": None, "extra_dejson": {}}
    return SimpleNamespace(**{**defaults, **values})


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://prometheus"),
        ({"port": 9090}, "http://prometheus:9090"),
        ({"host": "https://prometheus/"}, "https://prometheus"),
        ({"host": "http://prometheus:9090/base/"}, "http://prometheus:9090/base"),
        ({"schema": "https", "port": 443}, "https://prometheus:443"),
        ({"extra_dejson": {"path": "/mimir/prometheus"}}, "http://prometheus/mimir/prometheus"),
        ({"host": "[::1]", "port": 9090}, "http://[::1]:9090"),
    ],
)
def test_the_address_comes_from_the_connection(values: dict[str, Any], url: str) -> None:
    """Host with or without scheme, port and path."""
    assert ConnectionValues.of(connection(**values)).url == url


@pytest.mark.parametrize("values", [{"host": None}, {"host": "ftp://x"}, {"host": "file:///etc/passwd"}])
def test_an_address_that_is_no_http_server_is_refused(values: dict[str, Any]) -> None:
    """No host, or another scheme, is an error of the Connection."""
    with pytest.raises(TelemetryError, match="TEL-275"):
        ConnectionValues.of(connection(**values))


def test_placeholders_are_filled_and_unknown_ones_refused() -> None:
    """$instance, $service and $window; a misspelt one is not sent to the server as it is."""
    query = filled('x{i="$instance",s="$service"}[$window]', instance='a"b\\c', service="api", rate_window=9.2)
    assert query == 'x{i="a\\"b\\\\c",s="api"}[10s]'
    with pytest.raises(TelemetryError, match=r"TEL-281 .*\$endpoint"):
        filled("x{$endpoint}", instance="a", service="b", rate_window=1)


def test_a_regular_expressions_dollar_stays() -> None:
    """An anchor at the end of a matcher is no placeholder."""
    assert filled('x{a=~"foo$"}', instance="a", service="b", rate_window=1) == 'x{a=~"foo$"}'


def test_a_probe_counts_and_an_empty_one_is_no_access() -> None:
    """The probe of a source must return a sample."""
    vector = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [START, "1"]}]}}
    assert hook_on(answering(vector)).probe("up", at=START) == 1
    vector["data"]["result"] = []  # type: ignore[index]
    with pytest.raises(QueryRefused, match="probe returns no sample"):
        hook_on(answering(vector)).probe("up", at=START)


def test_an_instant_query_gives_one_value_per_series() -> None:
    """Vectors and scalars alike; none is an empty list."""
    result = [{"metric": {}, "value": [START, "4"]}, {"metric": {}, "value": [START, "5"]}]
    assert hook_on(answering({"status": "success", "data": {"resultType": "vector", "result": result}})).instant("x", at=START) == [
        4.0,
        5.0,
    ]
    assert hook_on(answering({"status": "success", "data": {"resultType": "scalar", "result": [START, "7"]}})).instant("7", at=START) == [
        7.0
    ]
    assert hook_on(answering({"status": "success", "data": {"resultType": "vector", "result": []}})).instant("x", at=START) == []


def test_nothing_is_opened_before_the_first_question() -> None:
    """Building a hook asks neither Airflow for the Connection nor the network."""
    PrometheusHook("no_such_connection")
