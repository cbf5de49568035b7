"""Figures and blocks of requests, against the slow and obvious way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.errors import LoadError, ParameterError
from perfproof.load_files import Requests
from perfproof.load_files.figures import after_warmup, figures_by_name, figures_of, span_of
from perfproof.load_files.time_blocks import blocks_of
from perfproof.statistics.counts import wilson
from perfproof.statistics.percentiles import percentile_interval


def made(start: Sequence[float], latency: Sequence[float], *, failed: Sequence[int] = (), names: Sequence[str] | None = None) -> Requests:
    known = sorted(set(names)) if names else ["a"]
    place = [known.index(name) for name in names] if names else [0] * len(start)
    ok = np.array([i not in failed for i in range(len(start))])
    return Requests(np.array(start, dtype=float), np.array(latency, dtype=float), ok, np.array(place, dtype=np.int32), tuple(known))


def spread(count: int, *, seed: int = 1, seconds: float = 60.0, latency: float = 20.0) -> Requests:
    generator = np.random.default_rng(seed)
    return made(sorted(generator.uniform(0, seconds, count)), (latency * generator.lognormal(0, 0.3, count)).tolist())


@pytest.mark.parametrize(("label", "share", "needed"), [("p50", 0.5, 6), ("p95", 0.95, 72), ("p99", 0.99, 368)])
def test_a_percentile_needs_as_many_rows_as_bound_it(label: str, share: float, needed: int) -> None:
    """One row fewer, and it is not estimable, with the number in words; as many, and it is that of the slow way."""
    few = figures_of(spread(needed - 1), seconds=60).latency[label]
    assert (few.value, few.reason) == (None, f"not estimable: needs {needed} rows, there are {needed - 1}")
    requests = spread(needed)
    enough, slow = figures_of(requests, seconds=60).latency[label], percentile_interval(requests.latency_ms.tolist(), share)
    assert (enough.value, enough.low, enough.high, enough.reason) == (slow.value, slow.low, slow.high, None)


def test_a_failed_request_counts_as_slower_than_all_others() -> None:
    """A service that refuses at once is not fast: with a tenth of failures p95 is one, and p50 moves up."""
    requests = made(range(1000), range(1, 1001), failed=range(100))
    figures = figures_of(requests, seconds=1000)
    assert figures.latency["p50"].value == 600
    assert figures.latency["p95"].value is None and "failed request" in str(figures.latency["p95"].reason)
    assert (figures.errors, figures.error_rate, figures.throughput) == (100, wilson(100, 1000, confidence=0.95), 0.9)


def test_by_name_is_each_name_alone() -> None:
    """The one with the most requests first."""
    names = ["b"] * 30 + ["a"] * 100 + ["c"] * 30
    requests = made(range(160), range(160), failed=[3, 140], names=names)
    found = figures_by_name(requests, seconds=160)
    assert [(f.name, f.requests, f.errors) for f in found] == [("a", 100, 0), ("b", 30, 1), ("c", 30, 1)]
    assert found[0].latency["p50"].value == 79


def test_the_warm_up_is_counted_from_the_first_request() -> None:
    """Not from 1970, and not from the first row: tools write rows when they end."""
    requests = made([105.0, 100.0, 110.0, 109.9], [1, 1, 1, 1])
    assert after_warmup(requests, skip_seconds=9.9).start.tolist() == [110.0, 109.9]
    assert span_of(requests) == pytest.approx(10.001)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.floats(0.5, 20), st.floats(0, 30), st.integers(0, 99))
def test_blocks_are_those_of_a_plain_loop(count: int, seconds: float, skip: float, seed: int) -> None:
    """Each request in the block of its start, in any order of rows; p95 by nearest rank, None with fewer than 20."""
    generator = np.random.default_rng(seed)
    start, latency = generator.uniform(1.7e9, 1.7e9 + 60, count), generator.exponential(20, count)
    failed = set(np.flatnonzero(generator.random(count) < 0.03).tolist())
    requests, first = made(start.tolist(), latency.tolist(), failed=sorted(failed)), start.min() + skip
    expected = math.floor((start.max() - first) / seconds + 0.05)
    if expected < 1:
        with pytest.raises(LoadError, match="LOD-431"):
            blocks_of(requests, seconds=seconds, skip_seconds=skip)
        return
    blocks = blocks_of(requests, seconds=seconds, skip_seconds=skip)
    assert len(blocks) == expected
    for number, block in enumerate(blocks):
        own = [i for i in range(count) if math.floor((start[i] - first) / seconds) == number]
        slowness = sorted(math.inf if i in failed else latency[i] for i in own)
        p95 = slowness[math.ceil(round(0.95 * len(own), 9)) - 1] if len(own) >= 20 else None
        assert (block.requests, block.errors) == (len(own), sum(i in failed for i in own))
        assert block.latency_ms["p95"] == (None if p95 is None or math.isinf(p95) else p95)
        assert block.throughput == pytest.approx((block.requests - block.errors) / seconds)


def test_a_moment_without_requests_is_a_block_too() -> None:
    """A generator that stood still did not measure a quick service."""
    blocks = blocks_of(made([*np.arange(0, 10, 0.125), *np.arange(30, 40.125, 0.125)], [1.0] * 161), seconds=10)
    assert [block.requests for block in blocks] == [80, 0, 0, 80]
    assert blocks[1].latency_ms == {"p50": None, "p95": None, "p99": None}


def test_blocks_of_a_name_lie_on_the_time_of_the_whole_file() -> None:
    """So that those of two names can be laid side by side."""
    requests = made(np.arange(0, 40, 0.1).tolist(), [1.0] * 400, names=["a"] * 200 + ["b"] * 200)
    assert [block.requests for block in blocks_of(requests, seconds=10, name="b")] == [0, 0, 100, 100]
    with pytest.raises(ParameterError, match=r"PAR-344 .*got c"):
        blocks_of(requests, seconds=10, name="c")


def test_too_many_blocks_are_refused() -> None:
    """The judge compares all pairs."""
    with pytest.raises(ParameterError, match="PAR-343"):
        blocks_of(spread(100), seconds=0.001)
