"""Scraping an endpoint that is slow, wrong, hostile or gone, on a clock that only sleeping moves."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from fault_server import fault_server

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.open_metrics import LONGEST_WAIT_SECONDS, OpenMetricsHook
from perfproof_airflow.hooks.refused import QueryRefused

NOW = 1_739_700_000.0
STEP = 2.0
START, END = NOW + STEP, NOW + 4 * STEP  # scrapes at NOW, +2, +4, +6 and +8: four samples
TEXT = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
OPENMETRICS = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
Answer = tuple[int, dict[str, str], bytes]


class Clock:
    """Seconds since the epoch; moves when somebody sleeps, by what is in `late` longer than asked."""

    def __init__(self, time: float = NOW, *, late: tuple[float, ...] = ()) -> None:
        self.time, self.late = time, list(late)

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds + (self.late.pop(0) if self.late else 0.0)


def spec(query: str, unit: Unit = Unit.PER_SECOND) -> MetricSpec:
    return MetricSpec("metric", MetricKind.THROUGHPUT, unit, Direction.HIGHER, "openmetrics", query)


def hook_on(address: str, clock: Clock | None = None, **more: Any) -> OpenMetricsHook:
    clock = clock or Clock()
    return OpenMetricsHook(connection=ConnectionValues(address, **more), limits=Limits(total_seconds=1), sleep=clock.sleep, clock=clock)


def ask(
    hook: OpenMetricsHook, query: str, unit: Unit = Unit.PER_SECOND, *, start: float = START, end: float = END, step: float = STEP
) -> tuple[Series, bytes]:
    return hook.query_range_raw(
        spec(query, unit), service="api", instance="10.0.0.1:80", start=start, end=end, step=step, rate_window=10,
        fetched_at=datetime.fromtimestamp(NOW, UTC),
    )  # fmt: skip


def scripted(*bodies: str, headers: dict[str, str] = TEXT) -> Callable[[bytes], Answer]:
    """One body a scrape, the last one again and again; a body that begins with a number is an error of that status."""
    left = list(bodies)

    def answer(request: bytes) -> Answer:
        body = left.pop(0) if len(left) > 1 else left[0]
        status = int(body[:3]) if body[:3].isdigit() else 200
        return status, headers, body.encode()

    return answer


def asked(query: str, *bodies: str, unit: Unit = Unit.PER_SECOND, clock: Clock | None = None, headers: dict[str, str] = TEXT) -> Series:
    with fault_server("good", scripted(*bodies, headers=headers)) as address:
        return ask(hook_on(address, clock), query, unit)[0]


def test_a_rate_is_that_between_two_scrapes_and_the_bytes_are_the_lines_it_reads() -> None:
    """One scrape before the window, one for each sample; other lines are not kept."""
    bodies = [f'# HELP n_total x\nn_total{{service="api"}} {count}\nother 1\n' for count in (10, 12, 16, 16, 26)]
    seen: list[bytes] = []
    with fault_server("good", scripted(*bodies), seen=seen) as address:
        series, raw = ask(hook_on(address), 'rate(n_total{service="$service"})')
    assert series.times == tuple(NOW + n * STEP for n in (1, 2, 3, 4))
    assert series.values == (1, 2, 0, 5)
    assert series.query == 'rate(n_total{service="api"})'
    assert raw.decode().splitlines()[:2] == [f"# scraped {NOW:.3f}", 'n_total{service="api"} 10']
    assert raw.count(b"\n") == 10 and series.raw_sha256 == sha256_hex(raw)
    assert len(seen) == 5 and seen[0].startswith(b"GET /metrics HTTP/1.1") and b"openmetrics-text" in seen[0]


def test_all_metrics_of_a_window_are_read_from_the_same_scrapes() -> None:
    """The second question is answered at once, also though its window has ended by then."""
    seen: list[bytes] = []
    bodies = [f"a_total {n}\nb {n * n}\n" for n in range(5)]
    with fault_server("good", scripted(*bodies), seen=seen) as address:
        hook = hook_on(address)
        assert ask(hook, "rate(a_total)")[0].values == (0.5,) * 4
        assert ask(hook, "b", Unit.COUNT)[0].values == (1, 4, 9, 16)
    assert len(seen) == 5


def test_a_window_that_has_ended_is_refused_in_one_clear_line() -> None:
    """An endpoint does not remember; nothing is asked."""
    with pytest.raises(QueryRefused, match=r"TEL-758 .*a scrape cannot see the past.*got 1\.0 s ago.*needs a store") as caught:
        ask(hook_on("http://127.0.0.1:1", Clock(END + 1)), "a")
    assert "\n" not in str(caught.value)


def test_a_window_that_has_begun_gives_what_is_left_of_it() -> None:
    """The moments that are over are gaps, and the first rate needs a scrape before it."""
    bodies = ["n_total 10\n", "n_total 12\n"]
    assert asked("rate(n_total)", *bodies, clock=Clock(NOW + 2.5 * STEP)).times == (END,)
    assert asked("n_total", *bodies, unit=Unit.COUNT, clock=Clock(NOW + 2.5 * STEP)).times == (END - STEP, END)


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [(START, END, 0.1), (START, END, 0), (END, START, 2), (START, float("nan"), 2), (START, NOW + LONGEST_WAIT_SECONDS + 9, 2)],
)
def test_a_range_that_cannot_be_scraped_is_refused(start: float, end: float, step: float) -> None:
    """Too fine, upside down, or longer than a task should wait."""
    with pytest.raises(QueryRefused, match="TEL-758"):
        ask(hook_on("http://127.0.0.1:1"), "a", start=start, end=end, step=step)


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        ("down", Unreachable, "TEL-270 "),
        ("http_429", Unreachable, "HTTP 429"),
        ("http_500", Unreachable, "HTTP 500"),
        ("truncated", Unreachable, "TEL-270 "),
        ("slow", Unreachable, "TEL-270 "),
        ("redirect", TelemetryError, "TEL-272 .*redirects"),
        ("html_200", TelemetryError, "TEL-759 .*no exposition"),
    ],
)
def test_an_endpoint_in_trouble_gives_one_line_and_no_series(mode: str, error: type[TelemetryError], words: str) -> None:
    """What asking later may help is Unreachable once the window is over; what it cannot help is said at the first scrape."""
    seen: list[bytes] = []
    served = fault_server(mode, (200, TEXT, b"a_total 1\n" + b"b 1\n" * 20), seen=seen)
    with served as address, pytest.raises(error, match=words) as caught:
        ask(hook_on(address), "a_total", Unit.COUNT, start=NOW + 0.4, end=NOW + 0.4, step=0.4)
    assert isinstance(caught.value, Unreachable) == (error is Unreachable)
    assert "\n" not in str(caught.value)
    assert not any(b"/followed" in request for request in seen)


@pytest.mark.parametrize("mode", ["endless", "gzip_bomb"])
def test_two_gigabytes_are_not_read(mode: str) -> None:
    """The reading ends at the limit, with far less than 300 MiB in use."""
    tracemalloc.start()
    try:
        with fault_server(mode, (200, TEXT, b"a 1\n")) as address, pytest.raises(TelemetryError, match="TEL-271"):
            clock = Clock()
            hook = OpenMetricsHook(connection=ConnectionValues(address), sleep=clock.sleep, clock=clock)
            ask(hook, "a", Unit.COUNT, start=NOW + 20, end=NOW + 20, step=20)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_a_scrape_that_failed_is_a_gap_and_costs_the_rates_beside_it() -> None:
    """The rate over a gap would be that of two steps; it is none."""
    bodies = ["n_total 10\n", "n_total 12\n", "404\n", "n_total 20\n", "n_total 24\n"]
    good = scripted(*bodies)

    def answer(request: bytes) -> Answer:
        status, headers, body = good(request)
        return (200, TEXT, b"not metrics\n") if status == 404 else (status, headers, body)

    with fault_server("gaps", answer) as address:
        hook = hook_on(address)
        assert ask(hook, "rate(n_total)")[0].times == (NOW + STEP, NOW + 4 * STEP)
        assert ask(hook, "n_total", Unit.COUNT)[0].times == (NOW + STEP, NOW + 3 * STEP, NOW + 4 * STEP)


def test_a_series_that_is_not_there_is_no_zero() -> None:
    """Missing in one scrape: a gap; missing in all: an empty series, which the cell calls NODATA."""
    assert asked("a", "a 1\n", "a 1\n", "b 1\n", "a 3\n", unit=Unit.COUNT).times == (NOW + STEP, NOW + 3 * STEP, NOW + 4 * STEP)
    assert asked("a", "b 1\n", unit=Unit.COUNT).values == ()


def test_scrapes_that_come_too_late_are_left_out() -> None:
    """A sample of another moment would stand under a wrong time; a little late is as good as in time."""
    late = asked("a", "a 1\n", unit=Unit.COUNT, clock=Clock(late=(0.4, 0.6, STEP)))
    assert late.times == (NOW + STEP, NOW + 4 * STEP)
    rates = asked("rate(n_total)", "n_total 10\n", "n_total 22\n", clock=Clock(late=(0.4,)))
    assert rates.values[0] == pytest.approx(12 / 2.4)


def test_nan_is_handed_on() -> None:
    """The cell says NAN."""
    assert [repr(value) for value in asked("a", "a NaN\n", unit=Unit.COUNT).values] == ["nan"] * 4


def test_a_counter_that_restarts_in_the_window_counts_from_zero() -> None:
    """The restart itself is no negative rate and no gap."""
    assert asked("rate(n_total)", *(f"n_total {n}\n" for n in (100, 110, 4, 8, 12))).values == (5, 2, 2, 2)


def test_a_sample_whose_own_moment_is_older_than_a_step_is_stale() -> None:
    """Out of order or kept from long ago: a gap and no measurement. The format's unit of time counts."""
    times = [NOW, NOW + STEP, NOW + STEP - 100, NOW + 3 * STEP, NOW + 4 * STEP]
    kept = (NOW + STEP, NOW + 3 * STEP, NOW + 4 * STEP)
    assert asked("a", *(f"a 1 {at * 1000:.0f}\n" for at in times), unit=Unit.COUNT).times == kept
    assert asked("a", *(f"a 1 {at:.3f}\n# EOF\n" for at in times), unit=Unit.COUNT, headers=OPENMETRICS).times == kept


@pytest.mark.parametrize(
    ("query", "unit", "body", "code"),
    [
        ("a", Unit.COUNT, 'a{x="1"} 1\na{x="2"} 2\n', "TEL-761 .*several series"),
        ("a", Unit.COUNT, "a 1\na 1\n", "TEL-759 .*a series twice"),
        ("a", Unit.COUNT, "{}\n", "TEL-759"),
        ("a", Unit.COUNT, "# nothing\n", "TEL-759 .*no sample"),
        ("a[5m]", Unit.COUNT, "a 1\n", "TEL-760"),
        ("latency_seconds", Unit.MILLISECONDS, "latency_seconds 1\n", "TEL-762 .*another unit.*expected ms"),
        ("latency_seconds * 100", Unit.MILLISECONDS, "latency_seconds 1\n", "TEL-762"),
        ("rate(cpu_seconds_total)", Unit.PERCENT, "cpu_seconds_total 1\n", "TEL-762 .*cores"),
        ("latency", Unit.MILLISECONDS, "# UNIT latency seconds\nlatency 1\n# EOF\n", "TEL-762"),
    ],
)
def test_what_cannot_be_measured_refuses_the_query(query: str, unit: Unit, body: str, code: str) -> None:
    """In one line; other queries of the source may still work."""
    with pytest.raises(QueryRefused, match=code):
        asked(query, body, unit=unit)


def test_an_openmetrics_text_that_ends_early_is_none() -> None:
    """Its last line says that it is whole."""
    with pytest.raises(QueryRefused, match=r"TEL-759 .*before # EOF"):
        asked("a", "a 1\n", unit=Unit.COUNT, headers=OPENMETRICS)


def test_a_scrape_of_another_kind_or_status_is_said_at_once() -> None:
    """A JSON answer and a 404 are no exposition, whatever is in them."""
    for answer in ((200, {"Content-Type": "application/json"}, b"a 1\n"), (404, TEXT, b"a 1\n"), (200, {}, b"a 1\n")):
        with fault_server("good", answer) as address, pytest.raises(TelemetryError, match=r"TEL-759 .*answered no exposition"):
            ask(hook_on(address), "a", Unit.COUNT)


def test_credentials_and_path_come_from_the_connection_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the extra in the header, and in no line."""
    seen: list[bytes] = []
    with fault_server("good", (403, TEXT, b"no"), seen=seen) as address:
        extra = {"bearer_token": "sesame-sesame", "path": "/actuator/prometheus"}
        value = {"conn_type": "http", "host": address, "extra": json.dumps(extra)}
        monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_OPENMETRICS", json.dumps(value))
        clock = Clock()
        with pytest.raises(TelemetryError, match="TEL-273") as caught:
            ask(OpenMetricsHook(sleep=clock.sleep, clock=clock), "a", Unit.COUNT)
    assert seen[0].startswith(b"GET /actuator/prometheus HTTP/1.1") and b"bearer sesame-sesame" in seen[0].lower()
    assert "sesame" not in str(caught.value) and urlsplit(address).port


def test_a_connection_that_is_not_defined_is_named() -> None:
    """With what to create."""
    clock = Clock()
    with pytest.raises(TelemetryError, match="TEL-763 Connection nowhere_metrics: not defined"):
        ask(OpenMetricsHook("nowhere_metrics", sleep=clock.sleep, clock=clock), "a", Unit.COUNT)


def test_the_probe_counts_samples() -> None:
    """By name and labels; none is no access to telemetry."""
    with fault_server("good", (200, TEXT, b'a{x="1"} 1\na{x="2"} 2\nb 3\n')) as address:
        assert hook_on(address).probe("a", at=NOW) == 2
        assert hook_on(address).probe('sum(rate(a{x="2"}))', at=NOW) == 1
        with pytest.raises(QueryRefused, match="TEL-764"):
            hook_on(address).probe("c", at=NOW)
