"""The series that the shop exports."""

from __future__ import annotations

from prombed import parse_exposition

from perfproof_demo.shop_metrics import ShopMetrics


def values(metrics: ShopMetrics) -> dict[tuple[str, ...], float]:
    """The exposition by name and label values."""
    samples = parse_exposition(metrics.exposition().decode()).samples
    return {(sample.name, *(sample.labels[name] for name in sorted(sample.labels, reverse=True))): sample.value for sample in samples}


def test_a_shop_without_requests_exports_zeros() -> None:
    """An error ratio of a quiet shop must be 0 or NaN, never absent, so both outcomes exist from the start."""
    seen = values(ShopMetrics())
    for route in ("orders", "quote"):
        for outcome in ("ok", "error"):
            assert seen["shop_requests_total", route, outcome] == 0
        assert seen["shop_request_seconds_bucket", route, "+Inf"] == 0
    assert seen["shop_database_queries_total",] == 0
    assert seen["process_resident_memory_bytes",] > 1 << 20
    assert ("process_cpu_seconds_total",) in seen


def test_only_server_errors_are_errors() -> None:
    """A client's mistake is an answer; 500 and 503 are failures. Statements add up."""
    metrics = ShopMetrics()
    for status in (200, 404, 422, 500, 503):
        metrics.observe(route="orders", seconds=0.01, status=status, queries=3)
    seen = values(metrics)
    assert seen["shop_requests_total", "orders", "ok"] == 3
    assert seen["shop_requests_total", "orders", "error"] == 2
    assert seen["shop_database_queries_total",] == 15
    assert metrics.total == 5
