"""The protocol file: what a cycle measures, where, with whose approval, and from which thresholds on it passes.

One YAML file per service group. These dataclasses are its schema: every key is a field, every field is documented, and
an unknown key is an error. `load_protocol` reads and checks one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from perfproof.config_checks import check_protocol
from perfproof.strict import build, read_yaml
from perfproof.telemetry import Direction, MetricSpec, Unit, sha256_hex

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may answer. `id` is the user name in Airflow; a role is not a person."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Role:
    """People who hold one role; `label` is what records and reports show."""

    label: str
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """What the neighbouring protocols are called here. Labels only, never identifiers."""

    monitoring: str = "Protocol 19"
    incidents: str = "Protocol 20"
    deployments: str = "Protocol 15"
    implementation: str = "Protocol 21"
    next_protocol: str = "Protocol 22"


class Validator(StrEnum):
    """How a supplied file is checked."""

    MONITORING_PACKAGE = "monitoring_package"
    INCIDENT_REPORT = "incident_report"
    DEPLOYMENT_REPORT = "deployment_report"
    INTAKE_BACKLOG = "intake_backlog"
    BASELINE_METRICS = "baseline_metrics"


@dataclass(frozen=True, slots=True)
class PrerequisiteArtifact:
    """A file that must be there (or is used if available) before the cycle starts. `path` is relative to the workspace."""

    name: str
    path: str
    required: bool
    max_age_days: float
    validator: Validator


class SourceKind(StrEnum):
    """The kinds of telemetry source that this version reads."""

    PROMETHEUS = "prometheus"
    JSON_LINES = "json_lines"
    ARTIFACT = "artifact"


class Provides(StrEnum):
    """What a source is for."""

    METRICS = "metrics"
    LOGS = "logs"
    TRACES = "traces"
    ALERTS = "alerts"
    INCIDENTS = "incidents"
    DEPLOYMENTS = "deployments"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Source:
    """A telemetry source. A missing critical one halts the cycle; a missing optional one is UNKNOWN in the report.

    `prometheus` needs `connection` and `probe` (an instant query that must return a sample); `json_lines` needs `path`
    (relative to the workspace); `artifact` names one of the prerequisites' artifacts.
    """

    name: str
    kind: SourceKind
    provides: Provides
    critical: bool
    connection: str | None = None
    probe: str | None = None
    path: str | None = None
    artifact: str | None = None


class MirrorKind(StrEnum):
    """Where a fact of the test environment is read."""

    METRIC = "metric"
    SQL = "sql"


@dataclass(frozen=True, slots=True)
class MirrorCheck:
    """One fact in which the test environment must mirror production: `production` within `tolerance` (a share)."""

    name: str
    kind: MirrorKind
    query: str
    production: float
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment that is load-tested. The target must name it itself before any load is sent."""

    name: str
    production: bool
    mirrors_production: tuple[MirrorCheck, ...]


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
    """One deployment of a service. `build_path` answers `{"build": …, "environment": …}`; `metrics_path` is OpenMetrics text."""

    host: str
    port: int
    build_path: str
    metrics_path: str
    pid_file: str | None = None
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
    """A request that users make. `path` may hold `{name}` for each entry of `parameters`; `weight` is its share of the traffic."""

    name: str
    method: str
    path: str
    weight: float
    profiled: bool = True
    parameters: dict[str, Span] = field(default_factory=dict)


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


class Mode(StrEnum):
    """`point`: the estimate must reach the target (the spec's letter). `proved`: the interval's lower end must."""

    POINT = "point"
    PROVED = "proved"


@dataclass(frozen=True, slots=True)
class Judge:
    """How baseline and candidate are compared."""

    mode: Mode = Mode.PROVED
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Pass thresholds of the four gates, in percent. They may be raised; lowering one below the protocol's needs a waiver."""

    baseline_completeness: float = 95.0
    diagnostic_coverage: float = 90.0
    improvement: float = 15.0
    documentation_completeness: float = 95.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """How phase 1 measures: the last `window_seconds` at a sample every `step_seconds`, at least `min_coverage` of them valid."""

    window_seconds: float
    step_seconds: float
    min_coverage: float
    min_samples: int
    max_staleness_seconds: float
    regression_limit_percent: float


class Cause(StrEnum):
    """The spec's kinds of root cause (phase 1, step 3)."""

    CODE_HOT_PATH = "code_hot_path"
    DATABASE_CONTENTION = "database_contention"
    INFRASTRUCTURE_LIMIT = "infrastructure_limit"


class Risk(StrEnum):
    """Risk of an optimization, as its owner assesses it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something an optimization needs first. An unresolved one blocks the plan's approval."""

    name: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class Optimization:
    """An optimization that the team can make; the plan takes those that the findings support or the trigger form names."""

    id: str
    title: str
    service: str
    cause: Cause
    owner: str
    risk: Risk
    risk_notes: str
    expected_gain_percent: float
    confirms: str
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Price table for the cost per 1,000 requests."""

    currency: str
    core_hour: float
    gib_hour: float


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where the report or the notes go: a file drop (a directory relative to the workspace)."""

    name: str
    directory: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """Who receives the report and the improvement notes (the next protocol and monitoring)."""

    report: tuple[Recipient, ...]
    next_protocol: Recipient
    monitoring: Recipient


@dataclass(frozen=True, slots=True)
class Approvals:
    """Which roles answer each step, and for how many days a request may be answered (30 at most).

    `task_owner` stands for the person who owns the optimization.
    """

    steps: dict[str, tuple[str, ...]]
    expires_after_days: float = 7.0
    poll_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol file. `digest` is the SHA-256 of its bytes: it stands in the log before anything is measured."""

    schema_version: int
    name: str
    target_metric: str
    objective: str
    context_directory: str
    instrumentation_directory: str
    roles: dict[str, Role]
    approvals: Approvals
    prerequisites: tuple[PrerequisiteArtifact, ...]
    environment: Environment
    sources: tuple[Source, ...]
    baseline: Baseline
    services: tuple[Service, ...]
    load: Load
    optimizations: tuple[Optimization, ...]
    cost: Cost
    distribution: Distribution
    thresholds: Thresholds = field(default_factory=Thresholds)
    judge: Judge = field(default_factory=Judge)
    labels: Labels = field(default_factory=Labels)
    digest: str = field(default="", init=False)

    def service(self, name: str) -> Service:
        """The service of that name. KeyError if the file has none."""
        return next(s for s in self.services if s.name == name)

    def person(self, person_id: str) -> Person | None:
        """The person with that id, in any role, or None."""
        return next((p for role in self.roles.values() for p in role.people if p.id == person_id), None)


def load_protocol(data: bytes, *, where: str) -> Protocol:
    """The protocol in `data` (YAML), checked. Raises ConfigError; `where` is the file's name in its messages."""
    protocol = build(Protocol, read_yaml(data, where=where), where=where)
    check_protocol(protocol, where=where)
    object.__setattr__(protocol, "digest", sha256_hex(data))
    return protocol
