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
    SLOW_DEPENDENCY = "slow_dependency"
    LOST_CONNECTIONS = "lost_connections"
    LOW_BANDWIDTH = "low_bandwidth"


@dataclass(frozen=True, slots=True)
class Peak:
    """Expected peak: `rate` requests/s for `seconds`, after `warmup_seconds` that are not counted.

    In the first `ramp_seconds` of the warm-up the rate rises from 0.
    """

    rate: float
    seconds: float
    warmup_seconds: float
    ramp_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Replay:
    """A recorded rate over time: points [second, requests/s] joined by straight lines, each rate times `factor`."""

    curve: tuple[tuple[float, ...], ...]
    factor: float = 1.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.curve[-1][0]

    @property
    def highest_rate(self) -> float:
        """The highest rate that is sent."""
        return self.factor * max(point[1] for point in self.curve)


@dataclass(frozen=True, slots=True)
class Stress:
    """Rising steps beyond the peak: each of `rates` (requests/s) for `seconds_each`."""

    rates: tuple[float, ...]
    seconds_each: float


@dataclass(frozen=True, slots=True)
class Proxy:
    """The control port of a fault proxy between service and dependency, and what it does for `seconds`."""

    host: str
    port: int
    seconds: float
    latency_ms: float | None = None
    bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Load at `rate` for `seconds` with `fault` injected at `fault_at_second`; errors must end within `recover_within_seconds`.

    Every fault but `terminate_database_connections` is done by a `proxy`.
    """

    rate: float
    seconds: float
    fault: Fault
    fault_at_second: float
    recover_within_seconds: float
    proxy: Proxy | None = None

    @property
    def fault_seconds(self) -> float:
        """How long the fault lasts; 0 for one that is done in a moment."""
        return self.proxy.seconds if self.proxy is not None else 0.0


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
    """Interleaved blocks that judge the change: `blocks` a side, each `block_seconds` at `rate` requests/s.

    While the verdict is open, `step_blocks` more a side are measured, up to `max_blocks` at all; both are `blocks` if not given.
    """

    blocks: int
    block_seconds: float
    rate: float
    warmup_seconds: float
    max_blocks: int | None = None
    step_blocks: int | None = None

    @property
    def most_blocks(self) -> int:
        """Blocks a side that may be measured at all, those that confirm a regression included."""
        return self.blocks if self.max_blocks is None else self.max_blocks

    @property
    def step(self) -> int:
        """Blocks a side that are added before the next look."""
        return self.blocks if self.step_blocks is None else self.step_blocks


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Everything one cycle sends, chosen by name in the trigger form."""

    peak: Peak
    stress: Stress
    failure: Failure
    targets: LoadTargets
    measurement: Measurement
    replay: Replay | None = None

    @property
    def most_tests(self) -> int:
        """Tests of one round at most: the peak on both sides, stress, failure, the replay if any, and two for each pair of blocks."""
        return 4 + (self.replay is not None) + 2 * self.measurement.most_blocks

    @property
    def most_seconds(self) -> float:
        """Seconds of load of one round at most, warm-ups included."""
        warmup, block = self.peak.warmup_seconds, self.measurement
        scenarios = 2 * self.peak.seconds + self.stress.seconds_each * len(self.stress.rates) + self.failure.seconds
        replay = 0.0 if self.replay is None else warmup + self.replay.seconds
        return 4 * warmup + scenarios + replay + 2 * block.most_blocks * (block.warmup_seconds + block.block_seconds)


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
