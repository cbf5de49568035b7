"""Blocks of time, the units of a comparison: requests of one moment share a queue, so a single request is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfproof.errors import LoadError, ParameterError
from perfproof.load_files.figures import SHARES
from perfproof.load_files.form import Requests
from perfproof.statistics.percentiles import samples_beyond_maximum

MOST_BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the test. `begin` in seconds since the first request of the file.

    `latency_ms` is by p50, p95, p99: None where the block has too few requests for it to be more than the largest value, or
    where it is a failed request. `throughput` is good answers per second.
    """

    begin: float
    requests: int
    errors: int
    throughput: float
    latency_ms: dict[str, float | None]


def blocks_of(
    requests: Requests, *, seconds: float, skip_seconds: float = 0.0, name: str | None = None, where: str = "file"
) -> list[Block]:
    """All full blocks of `seconds` after the first `skip_seconds`, of all requests or those of one `name`, empty ones among them.

    A request belongs to the block in which it started; one that failed counts as slower than every other. The blocks lie on
    the time of the whole file, so that those of all names are the same. Raises LoadError 431 for a file without a full block,
    ParameterError 343 for more than 1,000 blocks, 344 for a name that no request has.
    """
    first, last = float(requests.start.min()) + skip_seconds, float(requests.start.max())
    # The last request is sent a little before the test ends.
    count = math.floor(min((last - first) / seconds + 0.05, 1e9))
    if count < 1:
        raise LoadError(431, where=where, what=f"shorter than one block of {seconds:g} s after the warm-up", fix="choose shorter blocks")
    if count > MOST_BLOCKS:
        raise ParameterError(
            343, where=where, what="too many blocks", got=count, expected=f"at most {MOST_BLOCKS}", fix="choose longer blocks"
        )
    if name is not None:
        if name not in requests.names:
            known = ", ".join(sorted(requests.names)[:20])
            raise ParameterError(344, where=where, what="no request of that name", got=name, expected=known, fix="choose one of these")
        requests = requests.named(name)
    place = np.floor((requests.start - first) / seconds).astype(np.int64)
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(count + 1))
    slowness = np.where(requests.ok, requests.latency_ms, np.inf)
    blocks = []
    for i in range(count):
        own = order[edges[i] : edges[i + 1]]
        good = int(requests.ok[own].sum())
        ordered = np.sort(slowness[own])
        latency = {label: _latency(ordered, share) for label, share in SHARES.items()}
        blocks.append(Block(skip_seconds + i * seconds, len(own), len(own) - good, good / seconds, latency))
    return blocks


def _latency(ordered: NDArray[np.float64], share: float) -> float | None:
    if len(ordered) < samples_beyond_maximum(share):
        return None
    value = float(ordered[math.ceil(round(share * len(ordered), 9)) - 1])
    return None if math.isinf(value) else value
