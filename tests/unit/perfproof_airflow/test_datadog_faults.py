"""The Datadog client against a socket server that is slow, wrong, hostile or gone.

No Datadog is asked here: the answers are typed after the documented form of GET /api/v1/query (and the shape of recorded public
ones), so these tests say what the client does with such answers and not that Datadog gives them.
"""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fault_server import fault_server

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.datadog import CHUNK_POINTS, DatadogHook
from perfproof_airflow.hooks.datadog_connection import DatadogConnection
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
END = int(NOW.timestamp())
STEP = 60
START = END - 4 * STEP  # five samples: the first covers the minute before it
BUCKETS = [END - n * STEP for n in (5, 4, 3, 2, 1)]
API_KEY, APP_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210fedcba98"
MILLISECOND = {"family": "time", "scale_factor": 0.001, "name": "millisecond", "short_name": "ms", "plural": "milliseconds", "id": 9}
SPEC = MetricSpec(
    "api_latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "datadog",
    "p95:trace.http.request{service:$service,host:$instance}.rollup(avg, $step)",
)  # fmt: skip
HEADERS = {"Content-Type": "application/json"}


def points(*values: float | None, begins: list[int] | None = None) -> list[list[float | None]]:
    return [[begin * 1000.0, value] for begin, value in zip(begins or BUCKETS, values, strict=False)]


def answer(*series: dict[str, Any], **changes: Any) -> bytes:
    document = {
        "status": "ok", "resp_version": 1, "res_type": "time_series", "series": list(series), "query": "q", "message": "",
        "from_date": (START - STEP) * 1000, "to_date": END * 1000, "group_by": [], "times": [], "values": [],
    }  # fmt: skip
    return json.dumps(document | changes).encode()


def one(pointlist: list[list[float | None]], **changes: Any) -> dict[str, Any]:
    found = {
        "metric": "trace.http.request", "expression": "q", "scope": "service:api", "interval": STEP, "length": len(pointlist),
        "pointlist": pointlist, "unit": [MILLISECOND, None], "tag_set": [], "aggr": "avg", "query_index": 0,
    }  # fmt: skip
    return found | changes


GOOD = answer(one(points(1, 2, 3, 4, 5)))


def hook_on(address: str, *, total: float = 1.0, pauses: list[float] | None = None) -> DatadogHook:
    return DatadogHook(
        connection=DatadogConnection(address, API_KEY, APP_KEY),
        limits=Limits(total_seconds=total),
        sleep=lambda seconds: None if pauses is None else pauses.append(seconds),
    )


def ask(hook: DatadogHook, spec: MetricSpec = SPEC, *, start: float = START, end: float = END, step: float = STEP) -> tuple[Series, bytes]:
    return hook.query_range_raw(
        spec, service="api", instance="10.0.0.1:80", start=start, end=end, step=step, rate_window=300, fetched_at=NOW
    )


def asked(mode: str, body: bytes = GOOD, spec: MetricSpec = SPEC, **more: Any) -> Series:
    with fault_server(mode, (200, HEADERS, body)) as address:
        return ask(hook_on(address), spec, **more)[0]


def test_a_sample_is_stamped_with_the_end_of_its_bucket() -> None:
    """Datadog stamps the beginning; a sample at t here covers what lies before t. Keys travel in headers, the query is filled."""
    seen: list[bytes] = []
    with fault_server("good", (200, HEADERS, GOOD), seen=seen) as address:
        series, raw = ask(hook_on(address))
    assert series.times == tuple(float(begin + STEP) for begin in BUCKETS) == tuple(float(START + n * STEP) for n in range(5))
    assert series.values == (1, 2, 3, 4, 5)
    assert (raw, series.raw_sha256) == (GOOD, sha256_hex(GOOD))
    head = seen[0].decode()
    target = urlsplit(head.split(" ")[1])
    query = "p95:trace.http.request{service:api,host:10.0.0.1:80}.rollup(avg, 60)"
    assert (target.path, parse_qs(target.query)) == ("/api/v1/query", {"from": [str(BUCKETS[0])], "to": [str(END)], "query": [query]})
    assert f"dd-api-key: {API_KEY}" in head.lower() and f"dd-application-key: {APP_KEY}" in head.lower()
    assert series.query == query


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        ("down", Unreachable, "TEL-270 "),
        ("http_429", Unreachable, "HTTP 429"),
        ("http_500", Unreachable, "HTTP 500"),
        ("truncated", Unreachable, "TEL-270 "),
        ("slow", Unreachable, "TEL-270 "),
        ("redirect", TelemetryError, "TEL-272 .*redirects"),
        ("html_200", TelemetryError, "TEL-274 .*not JSON"),
    ],
)
def test_a_server_in_trouble_gives_one_line_and_no_series(mode: str, error: type[TelemetryError], words: str) -> None:
    """Each with its own line; what cannot be mended by asking again is no Unreachable, and no line holds a key."""
    with pytest.raises(error, match=words) as caught:
        asked(mode)
    assert isinstance(caught.value, Unreachable) == (error is Unreachable)
    assert "\n" not in str(caught.value) and API_KEY not in str(caught.value) and APP_KEY not in str(caught.value)


def test_a_redirect_is_not_followed_with_the_keys() -> None:
    """The second request would carry them to whoever the first names."""
    seen: list[bytes] = []
    with fault_server("redirect", (200, HEADERS, GOOD), seen=seen) as address, pytest.raises(TelemetryError):
        ask(hook_on(address))
    assert len(seen) == 1


@pytest.mark.parametrize("mode", ["endless", "gzip_bomb"])
def test_two_gigabytes_are_not_read(mode: str) -> None:
    """The reading ends at the limit, with far less than 300 MiB in use."""
    tracemalloc.start()
    try:
        with pytest.raises(TelemetryError, match="TEL-271"), fault_server(mode, (200, HEADERS, GOOD)) as address:
            ask(hook_on(address, total=20))
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("mode", "body", "code"),
    [
        ("nan", GOOD.replace(b"3]", b"NaN]"), "TEL-751"),
        ("out_of_order", answer(one(points(1, 2, 3, begins=[BUCKETS[0], BUCKETS[2], BUCKETS[1]]))), "TEL-755"),
        ("unit_change", answer(one(points(1, 2), unit=[MILLISECOND | {"name": "second", "scale_factor": 1.0}, None])), "TEL-756"),
        ("unit_change", answer(one(points(1, 2), unit=[MILLISECOND | {"scale_factor": 1.0}, None])), "TEL-756"),
        ("good", answer(one(points(1)), one(points(2))), "TEL-754"),
        ("good", answer(one(points(1, 2), interval=300)), r"TEL-753 .*got 300, expected 60.*add \.rollup\(avg, 60\)"),
        ("good", answer(one(points(1, 2), interval=None)), "TEL-753"),
        ("good", answer(one(points(1, begins=[BUCKETS[0] - STEP]))), "TEL-755"),
        ("good", answer(one(points(1, begins=[END + STEP]))), "TEL-755"),
        ("good", answer(one(points(1, begins=[BUCKETS[0] + 1]))), "TEL-755"),
        ("good", answer(one([[BUCKETS[0], 1]])), "TEL-755"),  # seconds where milliseconds belong
        ("good", answer(one([["1", 1]])), "TEL-751"),
        ("good", answer(one([[BUCKETS[0] * 1000, "1"]])), "TEL-751"),
        ("good", answer(one([[BUCKETS[0] * 1000, True]])), "TEL-751"),
        ("good", answer(status="error", error="Rate limit of this query"), "TEL-752 .*Rate limit of this query"),
        ("good", answer(one(points(1)), error="partial"), "TEL-752"),
        ("good", b"[]", "TEL-751"),
        ("good", b'{"status":"ok","status":"ok","series":[]}', "TEL-751 .*duplicate"),
        ("good", answer(one(points(1)), res_type="scalar"), "TEL-751"),
    ],
)
def test_an_answer_that_is_no_measurement_refuses_the_query(mode: str, body: bytes, code: str) -> None:
    """In one line with the number; other queries of the source may still work."""
    with pytest.raises(QueryRefused, match=code):
        asked(mode, body)


def test_gaps_stay_gaps_and_duplicates_are_handed_on() -> None:
    """A bucket without value is no sample and no zero; which of two values counts is the cell's question."""
    gaps = asked("gaps", answer(one(points(1, None, None, 4))))
    assert (gaps.times, gaps.values) == ((START, START + 3 * STEP), (1, 4))
    twice = asked("duplicates", answer(one(points(1, 2, begins=[BUCKETS[0]] * 2))))
    assert (twice.times, twice.values) == ((START, START), (1, 2))


@pytest.mark.parametrize("body", [answer(), answer(one([])), answer(one(points(None, None)))])
def test_no_point_is_an_empty_series(body: bytes) -> None:
    """Which the cell then calls NODATA."""
    assert asked("good", body).values == ()


def test_the_bucket_that_begins_at_the_end_is_of_the_next_window() -> None:
    """It is still being filled when a window ends now."""
    assert asked("good", answer(one(points(1, 9, begins=[BUCKETS[-1], END])))).values == (1,)


def test_long_ranges_are_asked_in_chunks_of_whole_buckets() -> None:
    """No chunk is long enough for Datadog to choose a larger interval, and no bucket is lost or doubled between two."""
    bounds: list[tuple[int, int]] = []

    def handler(request: bytes) -> tuple[int, dict[str, str], bytes]:
        query = parse_qs(urlsplit(request.decode().split(" ")[1]).query)
        first, last = int(query["from"][0]), int(query["to"][0])
        bounds.append((first, last))
        # Like Datadog, with the bucket that begins at the end.
        return 200, HEADERS, answer(one([[begin * 1000.0, begin] for begin in range(first, last + 1, STEP)]))

    start = END - (2 * CHUNK_POINTS + 99) * STEP
    with fault_server("good", handler) as address:
        series, raw = ask(hook_on(address, total=20), start=start)
    assert series.times == tuple(float(moment) for moment in range(start, END + 1, STEP))
    assert series.values == tuple(float(moment - STEP) for moment in range(start, END + 1, STEP))
    assert bounds == [(start - STEP + n * CHUNK_POINTS * STEP, min(start - STEP + (n + 1) * CHUNK_POINTS * STEP, END)) for n in range(3)]
    assert raw.count(b"\n") == 2 and series.raw_sha256 == sha256_hex(raw)


def test_a_window_beside_the_grid_keeps_only_whole_buckets() -> None:
    """Datadog's buckets begin at multiples of the step: one that reaches out of the window is of another one too."""
    seen: list[bytes] = []
    with fault_server("good", (200, HEADERS, answer(one(points(1, begins=[BUCKETS[1]])))), seen=seen) as address:
        series, _ = ask(hook_on(address), start=START + 7, end=END - 13)
    query = parse_qs(urlsplit(seen[0].decode().split(" ")[1]).query)
    assert (query["from"], query["to"]) == ([str(BUCKETS[1])], [str(END - STEP)])
    assert series.times == (float(BUCKETS[2]),)


@pytest.mark.parametrize("step", [0.5, 2.5, 0, -60, float("nan")])
def test_a_step_that_is_no_whole_number_of_seconds_is_refused(step: float) -> None:
    """Before anything is asked."""
    with pytest.raises(QueryRefused, match="TEL-757"):
        ask(hook_on("http://127.0.0.1:1"), step=step)


REQUEST, SECOND = {"family": "network", "name": "request"}, {"family": "time", "name": "second", "scale_factor": 1.0}
PERCENT, MEBIBYTE = {"family": "percentage", "name": "percent"}, {"family": "bytes", "name": "mebibyte", "scale_factor": 1048576.0}
GIBIBYTE, FRACTION = {"family": "bytes", "name": "gibibyte"}, {"family": "percentage", "name": "fraction"}


@pytest.mark.parametrize(
    ("unit", "query", "found", "fits"),
    [
        (Unit.PER_SECOND, "q", [REQUEST, SECOND], True),
        (Unit.PER_SECOND, "q.as_rate()", [REQUEST, None], True),
        (Unit.PER_SECOND, "q", [REQUEST, None], False),
        (Unit.COUNT, "q", [REQUEST, None], True),
        (Unit.COUNT, "q.as_rate()", [REQUEST, None], False),
        (Unit.COUNT, "q", [REQUEST, SECOND], False),
        (Unit.COUNT, "q", [SECOND, None], False),
        (Unit.PERCENT, "q", [PERCENT, None], True),
        (Unit.PERCENT, "q", [FRACTION, None], False),
        (Unit.MEBIBYTES, "q", [MEBIBYTE, None], True),
        (Unit.MEBIBYTES, "q", [GIBIBYTE, None], False),
        (Unit.SECONDS, "q", [SECOND], True),
        (Unit.SECONDS, "q", [MILLISECOND, None], False),
        (Unit.CPU_PER_REQUEST, "q", [MILLISECOND, REQUEST], True),
        (Unit.CPU_PER_REQUEST, "q", [MILLISECOND, None], False),
        (Unit.MILLISECONDS, "q", None, True),  # no unit in Datadog: nothing to compare with
        (Unit.MILLISECONDS, "q", [None, None], True),
    ],
)
def test_the_unit_of_the_answer_must_be_the_metrics_own(unit: Unit, query: str, found: Any, fits: bool) -> None:
    """Nothing is converted in silence: not seconds, not fractions, not counts into rates."""
    spec = MetricSpec("m", MetricKind.UTILIZATION, unit, Direction.LOWER, "datadog", query)
    body = answer(one(points(1), unit=found))
    if fits:
        assert asked("good", body, spec).values == (1,)
    else:
        with pytest.raises(QueryRefused, match="TEL-756"):
            asked("good", body, spec)


def test_the_reset_header_is_waited_for_like_retry_after() -> None:
    """Datadog tells the seconds until the limit is lifted in a header of its own."""
    left = [(429, {**HEADERS, "X-RateLimit-Reset": "3"}, b"{}")]
    pauses: list[float] = []
    with fault_server("good", lambda request: left.pop() if left else (200, HEADERS, GOOD)) as address:
        series, _ = ask(hook_on(address, total=30, pauses=pauses))
    assert (series.values, pauses) == ((1, 2, 3, 4, 5), [3.0])


def test_a_refusal_with_a_4xx_is_told_without_the_keys() -> None:
    """A server may repeat the request in its complaint."""
    body = json.dumps({"errors": [f"cannot parse; key {API_KEY} and {APP_KEY}"]}).encode()
    with fault_server("good", (400, HEADERS, body)) as address, pytest.raises(QueryRefused, match=r"TEL-752 .*cannot parse") as caught:
        ask(hook_on(address))
    assert API_KEY not in str(caught.value) and APP_KEY not in str(caught.value) and API_KEY not in repr(caught.value.got)


def test_refused_credentials_are_no_retry() -> None:
    """403 is Datadog's answer to a wrong key; the line names the Connection."""
    answered = fault_server("good", (403, HEADERS, b'{"errors":["Forbidden"]}'))
    with answered as address, pytest.raises(TelemetryError, match=r"TEL-273 datadog \(perfproof_datadog\)") as caught:
        ask(hook_on(address))
    assert not isinstance(caught.value, QueryRefused)


@pytest.mark.parametrize("value", ["api} by {host", "a,b:c", "a b", 'a"', "", "x" * 201])
def test_a_service_that_could_end_the_filter_is_refused(value: str) -> None:
    """Tags are not quoted in Datadog's queries, so nothing can be escaped."""
    with pytest.raises(QueryRefused, match="TEL-757"):
        hook_on("http://127.0.0.1:1").query_range_raw(
            SPEC, service=value, instance="i", start=START, end=END, step=STEP, rate_window=60, fetched_at=NOW
        )


def test_the_probe_counts_series_that_have_a_value() -> None:
    """None is no access to telemetry, however many empty series there are."""
    body = answer(one(points(1, None)), one(points(None)), one(points(2)))
    with fault_server("good", (200, HEADERS, body)) as address:
        assert hook_on(address).probe("avg:system.cpu.user{*}", at=END) == 2
    for empty in (answer(), answer(one(points(None)))):
        with fault_server("good", (200, HEADERS, empty)) as address, pytest.raises(QueryRefused, match="TEL-764"):
            hook_on(address).probe("avg:system.cpu.user{*}", at=END)


def connection(host: str | None = "datadoghq.eu", **changes: Any) -> SimpleNamespace:
    values = {"conn_id": "dd", "host": host, "port": None, "login": API_KEY, "password": APP_KEY, "extra_dejson": {}}
    return SimpleNamespace(**(values | changes))


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("datadoghq.eu", None, "https://api.datadoghq.eu"),
        ("US5.datadoghq.com", None, "https://api.us5.datadoghq.com"),
        ("api.datadoghq.com", None, "https://api.datadoghq.com"),
        ("app.datadoghq.eu", None, "https://api.datadoghq.eu"),
        ("https://datadog.proxy.test/", 8443, "https://datadog.proxy.test:8443"),
        ("http://127.0.0.1", 8080, "http://127.0.0.1:8080"),
    ],
)
def test_the_host_names_the_site(host: str, port: int | None, url: str) -> None:
    """The site as people know it, or a whole address."""
    assert DatadogConnection.of(connection(host, port=port)).url == url


@pytest.mark.parametrize("host", [None, "", "http://datadoghq.eu", "ftp://datadoghq.eu", "https://key@datadoghq.eu", "a/b", "a b"])
def test_an_address_that_would_show_the_keys_is_refused(host: str | None) -> None:
    """In the clear, or with something in it that is no host."""
    with pytest.raises(TelemetryError, match="TEL-750 Connection dd: no usable address"):
        DatadogConnection.of(connection(host))


def test_keys_come_from_login_and_password_or_from_the_extra_and_are_never_shown() -> None:
    """Also not in the error about a bad one, and not in a repr."""
    assert DatadogConnection.of(connection()).api_key == API_KEY
    found = DatadogConnection.of(connection(login=None, password=None, extra_dejson={"api_key": APP_KEY, "app_key": API_KEY}))
    assert (found.api_key, found.application_key) == (APP_KEY, API_KEY)
    assert API_KEY not in repr(found) and APP_KEY not in repr(found)
    for bad in (None, "", "short", f"{API_KEY}\r\nX: y", f"{API_KEY} x", "ключ-ключ-ключ"):
        with pytest.raises(TelemetryError, match=r"TEL-750 .*no usable API key") as caught:
            DatadogConnection.of(connection(login=bad))
        assert API_KEY not in str(caught.value)


def test_both_keys_are_masked_in_logs_and_known_to_the_secret_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow masks the password by itself, the login not: evidence that repeats it must be refused too."""
    from perfproof_airflow import settings

    with fault_server("good", (200, HEADERS, GOOD)) as address:
        host, port = urlsplit(address).hostname, urlsplit(address).port
        value = {"conn_type": "http", "host": f"http://{host}", "port": port, "login": API_KEY, "password": APP_KEY}
        monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_DATADOG", json.dumps(value))
        assert ask(DatadogHook())[0].values == (1, 2, 3, 4, 5)
    assert {API_KEY, APP_KEY} <= set(settings.known_secrets())


def test_a_connection_that_is_not_defined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to create."""
    with pytest.raises(TelemetryError, match="TEL-750 Connection nowhere_datadog: not defined"):
        ask(DatadogHook("nowhere_datadog"))
