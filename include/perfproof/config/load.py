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


class JourneyEngine(StrEnum):
    """What drives user journeys."""

    LOCUST = "locust"


@dataclass(frozen=True, slots=True)
class Journeys:
    """`users` who go through the journeys of a Locust file for `seconds`, `spawn_rate` more of them each second until all are there.

    They wait for each answer, so the rate is what it turns out to be, and `max_rate` (requests/s) bounds it. `sha256` is the digest of
    the file, which is a path in the workspace. `processes` share the users on this machine, `remote_workers` on others.
    """

    file: str
    sha256: str
    users: int
    spawn_rate: float
    seconds: float
    max_rate: float
    engine: JourneyEngine = JourneyEngine.LOCUST
    processes: int = 1
    remote_workers: int = 0
    master_port: int = 5557

    @property
    def spawn_seconds(self) -> float:
        """How long it takes until all users are there; what they do until then is not counted."""
        return self.users / self.spawn_rate


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """Everything one cycle sends, chosen by name in the trigger form."""

    peak: Peak
    stress: Stress
    failure: Failure
    targets: LoadTargets
    measurement: Measurement
    replay: Replay | None = None
    journeys: Journeys | None = None

    def most_tests(self, *, services: int) -> int:
        """Tests of one round at most: the peak on both sides, stress, failure, replay and journeys if any, two for each pair of blocks,
        and two for each of the `services`, which are profiled under the peak before and after the change.
        """
        scenarios = 4 + (self.replay is not None) + (self.journeys is not None)
        return scenarios + 2 * services + 2 * self.measurement.most_blocks

    def most_seconds(self, *, services: int) -> float:
        """Seconds of load of one round at most, warm-ups included, with `services` that are profiled before and after."""
        warmup, block = self.peak.warmup_seconds, self.measurement
        peaks = 2 + 2 * services
        stress = warmup + self.stress.seconds_each * len(self.stress.rates)
        replay = 0.0 if self.replay is None else warmup + self.replay.seconds
        journeys = 0.0 if self.journeys is None else self.journeys.spawn_seconds + self.journeys.seconds
        scenarios = peaks * (warmup + self.peak.seconds) + stress + warmup + self.failure.seconds + replay + journeys
        return scenarios + 2 * block.most_blocks * (block.warmup_seconds + block.block_seconds)


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
