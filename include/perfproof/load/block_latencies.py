"""One latency per block of a load test's rows: requests of one run share a queue, so a request is no unit to compare."""

from __future__ import annotations

import math

import numpy as np

from perfproof.errors import LoadError
from perfproof.load.figures import SHARES
from perfproof.load.rows import Rows, percentile
from perfproof.statistics.percentiles import samples_beyond_maximum


def block_latencies(rows: Rows, *, name: str, seconds: float | None, where: str) -> list[float]:
    """`name` (p50, p95 or p99) in ms of each full block of `seconds`, by when requests were due; of all rows if None.

    A request that failed or was not even sent counts as slower than every other, so that errors never make a side faster. A
    block is NaN if its percentile is such a request, or if it has too few requests for it to be more than the largest value.
    Raises LoadError 423 for another name, or rows shorter than a block.
    """
    if name not in SHARES:
        raise LoadError(423, where=where, what="not a latency", got=name, expected=", ".join(SHARES), fix="name one of them")
    if not len(rows):
        raise LoadError(423, where=where, what="no rows", fix="name the rows of a test that sent requests")
    if seconds is None:
        return [_latency(rows, name)]
    begin = float(rows.intended_start.min())
    # The last request is due a little before the test ends.
    count = math.floor((float(rows.intended_start.max()) - begin) / seconds + 0.05)
    if count < 1:
        raise LoadError(423, where=where, what=f"shorter than a block of {seconds:g} s", fix="choose shorter blocks")
    return [_latency(rows.between(begin + i * seconds, begin + (i + 1) * seconds), name) for i in range(count)]


def _latency(rows: Rows, name: str) -> float:
    values = np.where(rows.ok, rows.latency_ms, np.inf)
    found = percentile(values, 100 * SHARES[name]) if len(values) >= samples_beyond_maximum(SHARES[name]) else None
    return math.nan if found is None or math.isinf(found) else found
