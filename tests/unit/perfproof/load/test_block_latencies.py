"""One latency per block of rows: failed, dropped and few requests never make it smaller."""

from __future__ import annotations

import math

import pytest

from perfproof.errors import LoadError
from perfproof.load.block_latencies import block_latencies
from perfproof.load.rows import NoAnswer, Rows, make_rows


def rows(latencies: list[float | None], *, every: float = 1.0) -> Rows:
    """One request every second; None is one that was not sent."""
    start = [i * every for i in range(len(latencies))]
    return make_rows(
        intended_start=start,
        start=[math.nan if v is None else s for s, v in zip(start, latencies, strict=True)],
        end=[math.nan if v is None else s + v for s, v in zip(start, latencies, strict=True)],
        status=[int(NoAnswer.DROPPED) if v is None else 200 for v in latencies],
        transaction=["t"] * len(latencies),
    )


def test_each_block_has_its_own_percentile() -> None:
    """Twenty requests of 100 ms, then twenty of 200 ms; a rest is left out."""
    made = rows([0.1] * 20 + [0.2] * 20 + [0.9] * 7)
    assert block_latencies(made, name="p50", seconds=20, where="x") == pytest.approx([100, 200])
    assert block_latencies(made, name="p95", seconds=None, where="x") == pytest.approx([900])


def test_what_was_not_sent_is_slower_than_all_others() -> None:
    """One of twenty leaves p95; two take it away."""
    assert block_latencies(rows([0.1] * 19 + [None]), name="p95", seconds=None, where="x") == pytest.approx([100])
    assert math.isnan(block_latencies(rows([0.1] * 18 + [None, None]), name="p95", seconds=None, where="x")[0])


def test_too_few_requests_have_no_percentile() -> None:
    """p95 of 19 would be their largest."""
    assert math.isnan(block_latencies(rows([0.1] * 19), name="p95", seconds=None, where="x")[0])


def test_another_name_a_short_test_and_no_rows_are_refused() -> None:
    """Before anything is compared."""
    for made, name, seconds in ((rows([0.1] * 30), "p75", 10.0), (rows([0.1] * 30), "p95", 60.0), (rows([]), "p95", None)):
        with pytest.raises(LoadError):
            block_latencies(made, name=name, seconds=seconds, where="x")
