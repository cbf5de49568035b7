"""The demo's telemetry from a real Prometheus: started by the demo as `prometheus` on PATH is, and as the server of PROMETHEUS_URL."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from perfproof.telemetry import Direction, MetricKind, MetricSpec, Unit
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.prometheus import PrometheusHook
from perfproof_demo.errors import DemoError
from perfproof_demo.monitoring import start_metrics, stop_metrics
from perfproof_demo.processes import running_pid, states, wait_until
from perfproof_demo.prometheus_given import require_scraped
from perfproof_demo.settings import DemoSettings, Side

PROGRAM = os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no prometheus: name it in PROMETHEUS_BIN, or put it on PATH")
OFFSETS = (1, 2, 90)


class Shop(http.server.BaseHTTPRequestHandler):
    """Counts ten requests each time it is scraped."""

    served = 0

    def do_GET(self) -> None:
        type(self).served += 10
        body = f"shop_requests_total {self.served}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def free_base() -> int:
    """A port base whose ports nobody has; below those that the system gives out by itself."""
    for base in range(21_000, 32_000, 100):
        if all(_is_free(base + offset) for offset in OFFSETS):
            return base
    raise AssertionError("no free block of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def shop(settings: DemoSettings, side: Side) -> http.server.ThreadingHTTPServer:
    """A stand-in for one shop, which serves its metrics."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", settings.port(f"shop-{side}")), type(f"Shop{side}", (Shop,), {}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def close(server: http.server.ThreadingHTTPServer) -> None:
    """Frees the port."""
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoSettings]:
    """A demo's home, and two shops that can be scraped."""
    home = Path(tempfile.mkdtemp(prefix="perfproof-demo-"))
    settings = DemoSettings(home=home, port_base=free_base(), prometheus_bin=PROGRAM)
    shops = [shop(settings, side) for side in Side]
    try:
        yield settings
    finally:
        stop_metrics(settings)
        for server in shops:
            close(server)
        shutil.rmtree(home)


def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    try:
        wait_until(condition, seconds=seconds)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s")


def ask(settings: DemoSettings, query: str, **more: str) -> dict[str, str]:
    """The answer to an instant query by instance."""
    given = {"query": query, **more}
    answer = httpx.get(f"{settings.metrics_url}/api/v1/query", params=given, timeout=5, trust_env=False).json()
    return {row["metric"]["instance"]: row["value"][1] for row in answer["data"]["result"]}


def test_the_demo_starts_the_program_and_says_so(demo: DemoSettings) -> None:
    """It is Prometheus itself that answers, on loopback only, of the version that the demo tells."""
    source = start_metrics(demo)
    found = re.fullmatch(rf"Prometheus (\S+) \({re.escape(str(PROGRAM))}\)", source.words)
    assert found, source.words
    built = httpx.get(f"{source.url}/api/v1/status/buildinfo", timeout=5, trust_env=False).json()
    assert built["data"]["version"] == found[1]
    eventually(lambda: ask(demo, "up") == {demo.shop_instance(side): "1" for side in Side})
    assert start_metrics(demo).words == f"{source.words}, which already ran"
    assert [state.name for state in states(demo) if state.alive] == ["metrics"]


def test_the_hook_measures_over_it(demo: DemoSettings) -> None:
    """Ten requests a scrape are ten a second, with a sample at each moment of the window."""
    start_metrics(demo)
    counted = f'count_over_time(shop_requests_total{{instance="{demo.shop_instance(Side.BASELINE)}"}}[12s])'
    eventually(lambda: [value for value in ask(demo, counted).values() if float(value) >= 11] != [])
    hook = PrometheusHook(connection=ConnectionValues(demo.metrics_url))
    spec = MetricSpec(
        "throughput", MetricKind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER, "prometheus",
        'sum(rate(shop_requests_total{instance="$instance"}[$window]))',
    )  # fmt: skip
    end = float(int(time.time()))
    series = hook.query_range(
        spec, service="shop", instance=demo.shop_instance(Side.BASELINE), start=end - 4, end=end, step=1, rate_window=5,
        fetched_at=datetime.now(UTC),
    )  # fmt: skip
    assert len(series.values) == 5
    assert all(value == pytest.approx(10, rel=0.2) for value in series.values)


def test_history_survives_a_killed_server(demo: DemoSettings) -> None:
    """Unlike the embedded one's, which is in memory."""
    start_metrics(demo)
    eventually(lambda: len(ask(demo, "up")) == 2)
    before = time.time() - 1
    os.kill(running_pid(demo, "metrics") or -1, signal.SIGKILL)
    eventually(lambda: running_pid(demo, "metrics") is None)
    start_metrics(demo)
    assert len(ask(demo, "up", time=f"{before}")) == 2


def test_a_given_server_is_checked_for_both_shops(demo: DemoSettings) -> None:
    """The same server as PROMETHEUS_URL: right for this demo's ports, wrong for others, and for a shop that is gone."""
    given = replace(demo, prometheus_url=start_metrics(demo).url)
    require_scraped(given)
    with pytest.raises(DemoError, match=rf"DEM-854 .*127\.0\.0\.1:{demo.port_base + 101}"):
        require_scraped(replace(given, port_base=demo.port_base + 100), seconds=0)
    extra = DemoSettings(home=demo.home, port_base=demo.port_base, prometheus_url="http://127.0.0.1:9")
    with pytest.raises(DemoError, match="DEM-853"):
        require_scraped(extra)


def test_a_shop_that_is_gone_is_told(demo: DemoSettings, tmp_path: Path) -> None:
    """A server of its own, whose second shop ends."""
    settings = DemoSettings(home=tmp_path, port_base=free_base(), prometheus_bin=PROGRAM)
    first, second = (shop(settings, side) for side in Side)
    try:
        given = replace(settings, prometheus_url=start_metrics(settings).url)
        require_scraped(given)
        close(second)
        eventually(lambda: ask(settings, "up")[settings.shop_instance(Side.CANDIDATE)] == "0")
        with pytest.raises(DemoError, match=rf"DEM-856 .*{settings.shop_instance(Side.CANDIDATE)}"):
            require_scraped(given, seconds=0)
    finally:
        stop_metrics(settings)
        close(first)
