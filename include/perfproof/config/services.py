"""The services: their objectives, deployments, transactions, metrics and guards."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from perfproof.telemetry import Direction, MetricSpec, Unit


@dataclass(frozen=True, slots=True)
class Slo:
    """A service level objective in force: `metric` must stay at or below `target` (at or above, if higher is better)."""

    name: str
    metric: str
    target: float
    unit: Unit
    objective_percent: float
    sla: float | None
    escalation_policy: str
    alert_threshold: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment of a service. `build_path` answers `{"build": …, "environment": …}`; `metrics_path` is OpenMetrics text.

    It is profiled with py-spy where it has a `pid_file`, and by asking for `pprof_path` where it has that.
    """

    host: str
    port: int
    build_path: str
    metrics_path: str
    pid_file: str | None = None
    pprof_path: str | None = None
    database_connection: str | None = None

    @property
    def url(self) -> str:
        """Base URL without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def instance(self) -> str:
        """`host:port`, the instance label that Prometheus gives a scraped target."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Baseline and candidate side by side. Without a candidate the cycle measures one after the other, and says so."""

    baseline: Endpoint
    candidate: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Whole numbers from `first` to `last`, drawn evenly for a path parameter."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request that users make. `weight` is its share of the traffic.

    `path` and `body` may hold `{name}` for each entry of `parameters`; in a request it has one value in both.
    """

    name: str
    method: str
    path: str
    weight: float
    profiled: bool = True
    parameters: dict[str, Span] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


class GuardKind(StrEnum):
    """How a guard metric is taken from a measured block."""

    COUNTER_PER_REQUEST = "counter_per_request"
    GAUGE = "gauge"
    ERROR_RATE = "error_rate"


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that must not get worse by more than `margin` (a share of the baseline) nor `floor` (in `unit`), whichever is larger.

    `series` is a name in the endpoint's own metrics; `factor` turns its value into `unit`.
    """

    name: str
    kind: GuardKind
    unit: Unit
    direction: Direction
    margin: float
    floor: float
    series: str | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance of the service may use."""

    cpu_cores: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Service:
    """A prioritized service. `owner` is a person's id; `sample_parameters` are values by SQL type for explaining statements."""

    name: str
    owner: str
    business_impact: str
    critical: bool
    scaling_policy: str
    limits: Limits
    endpoints: Endpoints
    slos: tuple[Slo, ...]
    transactions: tuple[Transaction, ...]
    metrics: tuple[MetricSpec, ...]
    guards: tuple[Guard, ...]
    sample_parameters: dict[str, str] = field(default_factory=dict)

    def metric(self, name: str) -> MetricSpec | None:
        """The metric of that name, or None."""
        return next((m for m in self.metrics if m.name == name), None)
