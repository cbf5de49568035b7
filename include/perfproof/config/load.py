"""What load may be sent, and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port that may be load-tested at all."""

    host: str
    port: int


class Fault(StrEnum):
    """What a failure scenario does to the system while load runs."""

    TERMINATE_DATABASE_CONNECTIONS = "terminate_database_connections"


@dataclass(frozen=True, slots=True)
class Peak:
    """Expected peak: `rate` requests/s for `seconds`, after `warmup_seconds` that are not counted."""

    rate: float
    seconds: float
    warmup_seconds: float


@dataclass(frozen=True, slots=True)
class Stress:
    """Rising steps beyond the peak: each of `rates` (requests/s) for `seconds_each`."""

    rates: tuple[float, ...]
    seconds_each: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Load at `rate` for `seconds` with `fault` injected at `fault_at_second`; errors must end within `recover_within_seconds`."""

    rate: float
    seconds: float
    fault: Fault
    fault_at_second: float
    recover_within_seconds: float


@dataclass(frozen=True, slots=True)
class LoadTargets:
    """What a load test must reach. `throughput_tolerance` is a share: 950 of 1000 is met at 0.05."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    error_rate_percent: float
    throughput_tolerance: float = 0.05


@dataclass(frozen=True, slots=True)
class Measurement:
    """Interleaved blocks that judge the change: `blocks` a side, each `block_seconds` at `rate` requests/s."""

    blocks: int
    block_seconds: float
    rate: float
    warmup_seconds: float


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Everything one cycle sends, chosen by name in the trigger form."""

    peak: Peak
    stress: Stress
    failure: Failure
    targets: LoadTargets
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Abort:
    """When a running test ends itself: share of errors, p99 in milliseconds, both over the last `over_seconds`."""

    error_rate_percent: float
    p99_ms: float
    over_seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Bounds of every load test. `window_hours` is how long an authorization holds, `max_tests` how many tests it covers."""

    allow: tuple[Target, ...]
    max_rate: float
    max_duration_seconds: float
    max_tests: int
    window_hours: float
    abort: Abort
    profiles: dict[str, LoadProfile]
