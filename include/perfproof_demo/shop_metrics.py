"""What the shop exports on /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

ROUTES = ("orders", "quote")
OUTCOMES = ("ok", "error")
# Steps of about a fifth, so that a percentile read from the buckets is off by a tenth at most.
BUCKETS = (
    0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.0075, 0.009, 0.011, 0.0135, 0.016, 0.02, 0.024, 0.029, 0.035, 0.042, 0.05,
    0.06, 0.075, 0.09, 0.11, 0.135, 0.16, 0.2, 0.24, 0.29, 0.35, 0.42, 0.5, 0.6, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0,
)  # fmt: skip


class ShopMetrics:
    """The shop's counters in a registry of their own, with every series present from the start.

    A counter that appears with its first error would make an error ratio absent instead of 0.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.seconds = Histogram("shop_request_seconds", "Seconds of a request", ["route"], buckets=BUCKETS, registry=self.registry)
        self.requests = Counter("shop_requests_total", "Requests", ["route", "outcome"], registry=self.registry)
        self.queries = Counter("shop_database_queries_total", "Statements run by requests", registry=self.registry)
        self.pool_size = Gauge("shop_database_pool_size", "Connections the pool may hold", registry=self.registry)
        self.total = 0
        for route in ROUTES:
            self.seconds.labels(route)
            for outcome in OUTCOMES:
                self.requests.labels(route, outcome)

    def observe(self, *, route: str, seconds: float, status: int, queries: int) -> None:
        """Counts one answered request. Server errors are errors; a client's mistakes are not."""
        self.total += 1
        self.seconds.labels(route).observe(seconds)
        self.requests.labels(route, "error" if status >= 500 else "ok").inc()
        self.queries.inc(queries)

    def exposition(self) -> bytes:
        """All series in the Prometheus text format."""
        return generate_latest(self.registry)
