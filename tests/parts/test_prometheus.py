"""The Prometheus hook against a real Prometheus with a day of back-filled history, and against VictoriaMetrics where it is there."""

from __future__ import annotations

import http.server
import math
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.prometheus import PrometheusHook
from perfproof_airflow.hooks.refused import QueryRefused

PROGRAM = os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus")
PROMTOOL = PROGRAM and (shutil.which("promtool", path=str(Path(PROGRAM).parent)) or shutil.which("promtool"))
VICTORIA = os.environ.get("VICTORIA_METRICS_BIN") or shutil.which("victoria-metrics")
needs_prometheus = pytest.mark.skipif(
    not (PROGRAM and PROMTOOL), reason="no prometheus with promtool: install Debian's package, or name the program in PROMETHEUS_BIN"
)
needs_victoria = pytest.mark.skipif(
    VICTORIA is None, reason="no VictoriaMetrics: install victoria-metrics, or name its program in VICTORIA_METRICS_BIN"
)
START_SECONDS = 30.0
STEP = 5
POINTS = 17_280  # A day; the server answers 11,000 points at once.
# Ended hours ago: what is newer would have to be in the head, not in a block.
END = math.floor((time.time() - 4 * 3600) / 3600) * 3600
START = END - STEP * (POINTS - 1)
GAP = range(9_000, 9_240)  # 20 minutes
NOW = datetime.now(UTC)


def history() -> Iterator[str]:
    """Two gauges that count the samples, with a gap in one; a counter of 6 a second; a histogram with its 95th percentile at 0.3."""
    for name, missing in (("whole", ()), ("broken", GAP)):
        yield f"# TYPE {name} gauge"
        yield from (f'{name}{{instance="a"}} {k} {START + STEP * k}' for k in range(POINTS) if k not in missing)
    yield "# TYPE requests counter"
    yield from (f'requests_total{{instance="a"}} {30 * k} {START + STEP * k}' for k in range(POINTS) if k not in GAP)
    yield "# TYPE latency_seconds histogram"
    for k in range(0, POINTS, 12):
        counts = {"0.1": 50 * k, "0.2": 90 * k, "0.4": 100 * k, "+Inf": 100 * k}
        yield from (f'latency_seconds_bucket{{le="{le}"}} {count} {START + STEP * k}' for le, count in counts.items())
        yield f"latency_seconds_count {100 * k} {START + STEP * k}"
        yield f"latency_seconds_sum {15 * k} {START + STEP * k}"
    yield "# EOF"


class Exporter(http.server.BaseHTTPRequestHandler):
    """A target whose series `alive` may go away."""

    alive = True

    def do_GET(self) -> None:
        body = b"other 1\n" + (b"alive 1\n" if type(self).alive else b"")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def exporter() -> Iterator[int]:
    """The port of the target."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, exporter: int) -> Iterator[str]:
    """The address of a Prometheus below /prom that has the history and scrapes the target every second."""
    home = tmp_path_factory.mktemp("prometheus")
    (home / "history").write_text("\n".join(history()) + "\n")
    fill = [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", str(home / "history"), str(home / "data")]
    subprocess.run(fill, check=True, capture_output=True, timeout=120)
    (home / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: target, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]\n"
    )
    port = _free_port()
    command = [
        str(PROGRAM), f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'data'}",
        "--storage.tsdb.retention.time=30d", f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url=http://127.0.0.1:{port}/prom",
    ]  # fmt: skip
    with _running(command, home=home, ready=f"http://127.0.0.1:{port}/prom/-/ready"):
        yield f"http://127.0.0.1:{port}/prom"


@contextmanager
def _running(command: list[str], *, home: Path, ready: str) -> Iterator[None]:
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=home) as process:
        try:
            _until(lambda: process.poll() is not None or _answers(ready), (home / "log").read_text)
            assert process.poll() is None, (home / "log").read_text()[-1000:]
            yield
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _until(true: Callable[[], bool], told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert time.monotonic() < deadline, told()[-1000:]
        time.sleep(0.1)


def hook_at(address: str, **values: object) -> PrometheusHook:
    return PrometheusHook(connection=ConnectionValues(address, **values))  # type: ignore[arg-type]


def asked(hook: PrometheusHook, query: str, *, start: float = START, end: float = END, step: float = STEP) -> Series:
    spec = MetricSpec("m", MetricKind.THROUGHPUT, Unit.COUNT, Direction.HIGHER, "prometheus", query)
    return hook.query_range(spec, service="s", instance="a", start=start, end=end, step=step, rate_window=60, fetched_at=NOW)


@needs_prometheus
def test_a_day_is_the_sum_of_its_parts(prometheus: str) -> None:
    """17,280 points: refused at once, asked in two parts, and equal to what smaller parts and the history itself say."""
    span = {"query": 'whole{instance="a"}', "start": START, "end": END, "step": STEP}
    at_once = httpx.get(f"{prometheus}/api/v1/query_range", params=span, trust_env=False)
    assert (at_once.status_code, "exceeded maximum resolution" in at_once.text) == (400, True)
    series = asked(hook_at(prometheus), 'whole{instance="$instance"}')
    assert series.times == tuple(float(START + STEP * k) for k in range(POINTS))
    assert series.values == tuple(float(k) for k in range(POINTS))
    parts: list[float] = []
    for first in range(0, POINTS, 4_000):
        last = min(first + 4_000, POINTS) - 1
        parts += asked(hook_at(prometheus), "whole", start=START + STEP * first, end=START + STEP * last).values
    assert tuple(parts) == series.values


@needs_prometheus
def test_a_table_holds_all_series_of_a_day(prometheus: str) -> None:
    """One column each, the gap as NaN in one of them, and the same numbers as one series at a time."""
    table = hook_at(prometheus).range_frame('{__name__=~"whole|broken"}', start=START, end=END, step=STEP)
    whole, broken = table.frame['whole{instance="a"}'].to_numpy(), table.frame['broken{instance="a"}'].to_numpy()
    assert np.array_equal(whole, np.arange(POINTS))
    assert np.isnan(broken[GAP.stop - 1])
    kept = [k for k in range(POINTS) if k not in GAP]
    assert np.array_equal(broken[kept], kept)
    assert table.samples == int((~table.frame.isna()).to_numpy().sum())


@needs_prometheus
def test_gaps_stay_gaps(prometheus: str) -> None:
    """A rate over a minute has no value where the minute has no two samples; nothing is filled in, and a gap is no 0."""
    series = asked(hook_at(prometheus), 'rate(requests_total{instance="$instance"}[$window])')
    missing = {START + STEP * k for k in range(POINTS)} - set(series.times)
    silent = {float(START + STEP * k) for k in range(GAP.start + 12, GAP.stop)}
    assert silent <= missing
    assert len(missing) <= len(silent) + 3
    away = [
        v for t, v in zip(series.times, series.values, strict=True) if not START + STEP * GAP.start <= t <= START + STEP * GAP.stop + 60
    ]
    assert max(abs(value - 6.0) for value in away[12:]) < 1e-9


@needs_prometheus
def test_a_quantile_of_a_classic_histogram(prometheus: str) -> None:
    """Five of the ten in the bucket from 0.2 to 0.4 are below the 95th percentile: 0.3, by the server's interpolation."""
    series = asked(
        hook_at(prometheus), "histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket[5m])))", start=START + 600, step=60
    )
    assert len(series.values) > 1_400
    assert max(abs(value - 0.3) for value in series.values) < 1e-9


@needs_prometheus
def test_a_stale_series_is_gone_at_once(prometheus: str) -> None:
    """A series that its target no longer has ends with the next scrape, not with the five minutes that values are looked back for."""
    hook = hook_at(prometheus)
    _until(lambda: hook.instant("alive", at=time.time()) == [1.0])
    Exporter.alive = False
    try:
        _until(lambda: hook.instant("alive", at=time.time()) == [])
        assert hook.instant("other", at=time.time()) == [1.0]
        with pytest.raises(QueryRefused, match="no sample"):
            hook.probe("alive", at=time.time())
    finally:
        Exporter.alive = True


@needs_prometheus
def test_what_a_real_server_refuses_is_told_in_its_words(prometheus: str) -> None:
    """A query with an error, several series, and no series at all: two errors and no data."""
    hook = hook_at(prometheus)
    with pytest.raises(QueryRefused, match=r"TEL-277 .*parse error"):
        asked(hook, "rate(whole")
    with pytest.raises(QueryRefused, match="several series"):
        asked(hook, '{__name__=~"whole|broken"}')
    assert asked(hook, "no_such_series").values == ()
    assert hook.instant("vector(1) / 0", at=END) == [math.inf]
    assert repr(hook.instant("vector(0) / 0", at=END)) == "[nan]"


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a VictoriaMetrics with some minutes of one gauge."""
    home = tmp_path_factory.mktemp("victoria")
    port = _free_port()
    command = [str(VICTORIA), f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={home / 'data'}"]
    address = f"http://127.0.0.1:{port}"
    with _running(command, home=home, ready=f"{address}/health"):
        lines = "\n".join(f'whole{{instance="a"}} {k} {1000 * (START + STEP * k)}' for k in range(720))
        httpx.post(f"{address}/api/v1/import/prometheus", content=lines, trust_env=False).raise_for_status()
        _until(lambda: bool(hook_at(address).instant("whole", at=START + 3_000)))
        yield address


@needs_victoria
def test_victoria_metrics_answers_for_the_asked_moments_when_told(victoria: str) -> None:
    """With nocache=1 of the Connection; without it, it moves a range that does not begin at a multiple of the step, which is refused."""
    start, end, step = START + 7, START + 7 + 60 * 55, 60
    series = asked(hook_at(victoria, parameters={"nocache": "1"}), "whole", start=start, end=end, step=step)
    assert series.times == tuple(float(start + step * k) for k in range(56))
    assert series.values == tuple(float((7 + step * k) // STEP) for k in range(56))
    with pytest.raises(QueryRefused, match=r"TEL-707 .*nocache"):
        hook_at(victoria).range_frame("whole", start=start, end=end, step=step)
