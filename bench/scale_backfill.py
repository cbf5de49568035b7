"""Samples for a real Prometheus: an hour and a half of every series that the capture part asks for, as a block of its store."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

SCRAPE_SECONDS = 15
BUCKETS = ("0.05", "0.1", "0.25", "0.5", "1.0", "+Inf")
RATE = 30.0


def open_metrics(*, instance: str, start: datetime, end: datetime, metrics: int) -> Iterator[str]:
    """OpenMetrics lines with times: counters of the demo shop at a constant rate, its gauges, and a queue for each further metric."""
    times = [start.timestamp() + SCRAPE_SECONDS * n for n in range(int((end - start).total_seconds() / SCRAPE_SECONDS) + 1)]

    def counter(name: str, labels: str, rate: float) -> Iterator[str]:
        for number, moment in enumerate(times):
            yield f'{name}{{instance="{instance}"{labels}}} {rate * SCRAPE_SECONDS * number:.3f} {moment:.0f}'

    def gauge(name: str, labels: str, value: float) -> Iterator[str]:
        for number, moment in enumerate(times):
            yield f'{name}{{instance="{instance}"{labels}}} {value + number % 5:.3f} {moment:.0f}'

    yield "# TYPE shop_request_seconds histogram"
    for route in ("orders", "quote"):
        for place, bound in enumerate(BUCKETS):
            yield from counter("shop_request_seconds_bucket", f',route="{route}",le="{bound}"', RATE * (place + 1) / len(BUCKETS))
        yield from counter("shop_request_seconds_count", f',route="{route}"', RATE)
        yield from counter("shop_request_seconds_sum", f',route="{route}"', RATE / 10)
    yield "# TYPE shop_requests counter"
    for outcome, share in (("ok", 0.99), ("error", 0.01)):
        yield from counter("shop_requests_total", f',outcome="{outcome}"', RATE * share)
    yield "# TYPE process_cpu_seconds counter"
    yield from counter("process_cpu_seconds_total", "", 0.3)
    yield "# TYPE process_resident_memory_bytes gauge"
    yield from gauge("process_resident_memory_bytes", "", 100e6)
    yield "# TYPE shop_queue_seconds gauge"
    for place in range(metrics):
        yield from gauge("shop_queue_seconds", f',queue="q{place:02}"', 0.05)
    yield "# EOF"


def backfill(promtool: str, directory: Path, *, instance: str, start: datetime, end: datetime, metrics: int) -> None:
    """Writes the block into `directory`, the data directory of a Prometheus that is not running."""
    directory.mkdir(parents=True, exist_ok=True)
    text = directory.parent / "samples.txt"
    lines = open_metrics(instance=instance, start=start - timedelta(minutes=30), end=end, metrics=metrics)
    text.write_text("".join(f"{line}\n" for line in lines))
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(directory)]
    subprocess.run(command, check=True, capture_output=True)
