"""The shop's access log and traces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from perfproof_demo.shop_log import BoundedLines, ShopLog

NOW = datetime(2025, 2, 16, 10, 0, 0, 123_000, UTC)


def record(log: ShopLog, *, seconds: float) -> None:
    """One request of `seconds`."""
    log.record(route="orders", seconds=seconds, status=200, queries=81, database_seconds=0.04, render_seconds=0.001, now=NOW)


def test_only_slow_requests_leave_a_trace(tmp_path: Path) -> None:
    """Every request is in the access log; those above 50 ms are in the traces with their spans."""
    log = ShopLog(access=tmp_path / "access.jsonl", traces=tmp_path / "traces.jsonl")
    record(log, seconds=0.050)
    record(log, seconds=0.051)
    log.close()
    access = [json.loads(line) for line in (tmp_path / "access.jsonl").read_text().splitlines()]
    traces = [json.loads(line) for line in (tmp_path / "traces.jsonl").read_text().splitlines()]
    assert [line["ms"] for line in access] == [50.0, 51.0]
    assert access[0]["time"] == "2025-02-16T10:00:00.123Z"
    assert traces == [{**access[1], "database_ms": 40.0, "render_ms": 1.0, "queries": 81}]


def test_a_log_never_grows_beyond_twice_its_limit(tmp_path: Path) -> None:
    """A full file is moved aside once; the lines that stay are whole and the newest."""
    lines = BoundedLines(tmp_path / "log", limit=1000)
    for number in range(500):
        lines.write({"number": number})
    lines.close()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 1000
    kept = [json.loads(line)["number"] for name in ("log.1", "log") for line in (tmp_path / name).read_text().splitlines()]
    assert kept == list(range(kept[0], 500))


def test_a_restarted_shop_goes_on_with_its_log(tmp_path: Path) -> None:
    """What was written before a restart counts towards the limit and is kept."""
    for number in (1, 2):
        lines = BoundedLines(tmp_path / "log", limit=1000)
        lines.write({"number": number})
        lines.close()
    assert (tmp_path / "log").read_text() == '{"number":1}\n{"number":2}\n'
