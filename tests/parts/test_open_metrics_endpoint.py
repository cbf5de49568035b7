"""Scraping a real endpoint: prometheus_client's own server and exposition, with real time between the scrapes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.open_metrics import OpenMetricsHook
from perfproof_airflow.hooks.refused import QueryRefused

client = pytest.importorskip("prometheus_client", reason="prometheus_client (extra demo) is not installed")
STEP = 0.5
LATENCIES = (0.02, 0.03, 0.04, 0.3)


class Service:
    """A counter, a histogram and a gauge that a thread moves, and the address that shows them."""

    def __init__(self) -> None:
        self.registry = client.CollectorRegistry()
        self.requests = client.Counter("requests", "Requests.", ["route"], registry=self.registry)
        self.latency = client.Histogram("latency_seconds", "Latency.", ["route"], registry=self.registry)
        self.memory = client.Gauge("memory_bytes", "Memory.", registry=self.registry)
        self.memory.set(64 << 20)
        self.stopped = threading.Event()
        self.counted = 0
        self.server, self.thread = client.start_http_server(0, addr="127.0.0.1", registry=self.registry)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.worker = threading.Thread(target=self._work, daemon=True)
        self.worker.start()

    def _work(self) -> None:
        while not self.stopped.wait(0.01):
            for latency in LATENCIES:
                self.requests.labels("/a").inc()
                self.requests.labels("/b").inc()
                self.latency.labels("/a").observe(latency)
                self.counted += 1

    def close(self) -> None:
        self.stopped.set()
        self.worker.join(5)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def ask(hook: OpenMetricsHook, query: str, unit: Unit, *, start: float, end: float) -> Series:
    spec = MetricSpec("metric", MetricKind.THROUGHPUT, unit, Direction.LOWER, "openmetrics", query)
    more: dict[str, Any] = {"step": STEP, "rate_window": 10.0, "fetched_at": datetime.now(UTC)}
    return hook.query_range_raw(spec, service="api", instance="i", start=start, end=end, **more)[0]


def test_rates_quantiles_and_levels_of_a_live_endpoint(service: Service) -> None:
    """Compared with what the service itself counted, and with the latencies that it observed."""
    hook = OpenMetricsHook(connection=ConnectionValues(service.address))
    now = time.time()
    start, end = now + 2 * STEP, now + 5 * STEP
    counted, begun = service.counted, time.time()
    rates = ask(hook, 'rate(requests_total{route="/a"})', Unit.PER_SECOND, start=start, end=end)
    expected = (service.counted - counted) / (time.time() - begun)
    assert rates.times == tuple(start + n * STEP for n in range(4))
    assert sum(rates.values) / 4 == pytest.approx(expected, rel=0.3)
    both = ask(hook, "sum(rate(requests_total))", Unit.PER_SECOND, start=start, end=end)
    assert both.values == pytest.approx([2 * value for value in rates.values], rel=0.2)
    p95 = ask(hook, 'histogram_quantile(0.95, latency_seconds_bucket{route="/a"}) * 1000', Unit.MILLISECONDS, start=start, end=end)
    # A quarter took 300 ms, which lies in the bucket from 250 to 500 ms.
    assert all(250 <= value <= 500 for value in p95.values) and len(p95.values) == 4
    assert ask(hook, "memory_bytes / 1048576", Unit.MEBIBYTES, start=start, end=end).values == (64.0,) * 4
    mean = ask(hook, "1000 * rate(latency_seconds_sum) / rate(latency_seconds_count)", Unit.MILLISECONDS, start=start, end=end)
    assert mean.values == pytest.approx([1000 * sum(LATENCIES) / 4] * 4, rel=0.2)


def test_the_probe_and_what_a_live_endpoint_refuses(service: Service) -> None:
    """Samples are counted; seconds are not taken for milliseconds, two routes not for one, the past not for the present."""
    hook = OpenMetricsHook(connection=ConnectionValues(service.address))
    while not service.counted:
        assert service.worker.is_alive()
    assert hook.probe("requests_total", at=time.time()) == 2
    now = time.time()
    with pytest.raises(QueryRefused, match="TEL-758"):
        ask(hook, "memory_bytes / 1048576", Unit.MEBIBYTES, start=now - 10, end=now - 5)
    with pytest.raises(QueryRefused, match="TEL-761"):
        ask(hook, "requests_total", Unit.COUNT, start=now + STEP, end=now + STEP)
    with pytest.raises(QueryRefused, match="TEL-762"):
        ask(hook, 'histogram_quantile(0.5, latency_seconds_bucket{route="/a"})', Unit.MILLISECONDS, start=now + STEP, end=now + STEP)
