"""The shapes that pass between phases: what a metric is, and what was measured of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower_is_better"
    HIGHER = "higher_is_better"

    @property
    def sign(self) -> int:
        """+1 if higher is better, -1 if lower is better."""
        return 1 if self is Direction.HIGHER else -1


class Unit(StrEnum):
    """The units a metric may have. A value in another unit is an error, never converted in silence."""

    MILLISECONDS = "ms"
    SECONDS = "s"
    PER_SECOND = "req/s"
    PERCENT = "percent"
    MEBIBYTES = "MiB"
    COUNT = "count"
    CPU_PER_REQUEST = "ms/request"
    QUERIES_PER_REQUEST = "queries/request"
    ROWS_PER_REQUEST = "rows/request"
    CORES = "cores"


class MetricKind(StrEnum):
    """What the spec asks a baseline to hold (phase 1, step 2)."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    ERROR_RATE = "error_rate"
    UTILIZATION = "utilization"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One required metric of a service.

    `query` is in the language of `source`; `$instance`, `$service` and `$window` in it are replaced by the hook.
    """

    name: str
    kind: MetricKind
    unit: Unit
    direction: Direction
    source: str
    query: str
    critical: bool = True


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one metric of one service over a closed range, as they were received.

    `times` are seconds since the epoch (UTC), one per value. `raw_sha256` is the digest of the answer's bytes.
    """

    metric: str
    service: str
    unit: Unit
    source: str
    query: str
    start: float
    end: float
    step: float
    times: tuple[float, ...]
    values: tuple[float, ...]
    fetched_at: datetime
    raw_sha256: str
    error: str | None = None


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def document_bytes(document: Any) -> bytes:
    """A JSON artifact as people read it: two spaces, keys in the order given, a newline at the end. NaN is refused."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
