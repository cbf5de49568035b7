"""What user journeys may send: the document that the Locust engine runs and the evidence keeps.

Users wait for each answer before they go on. There is no schedule then, only bounds: users, rate, time.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from perfproof.config import Abort, Endpoint, Environment, JourneyEngine, Load, LoadProfile, Service, Target
from perfproof.errors import LoadError
from perfproof.journey_checks import DIGEST, MAX_REQUESTS, MAX_USERS, MAX_WORKERS
from perfproof.load.plan import SCHEMA_VERSION, TIMEOUT_SECONDS, Scenario
from perfproof.load.targets import check_target
from perfproof.strict import build
from perfproof.telemetry import document_bytes, sha256_hex


@dataclass(frozen=True, slots=True)
class JourneyPlan:
    """One test with journeys. Nothing is counted before all users are there; `seconds` are counted from then on.

    `max_rate` bounds the requests/s of all workers together, `timeout_seconds` each request. `file_sha256` is the digest of the
    Locust file.
    """

    schema_version: int
    scenario: Scenario
    engine: JourneyEngine
    host: str
    port: int
    build_path: str
    environment: str
    file: str
    file_sha256: str
    users: int
    spawn_rate: float
    seconds: float
    max_rate: float
    processes: int
    remote_workers: int
    master_port: int
    timeout_seconds: float
    abort: Abort
    allow: tuple[Target, ...]

    @property
    def warmup_seconds(self) -> float:
        """How long it takes until all users are there."""
        return self.users / self.spawn_rate

    @property
    def measured_seconds(self) -> float:
        """Length of what is counted."""
        return self.seconds

    @property
    def duration(self) -> float:
        """Seconds during which requests are started."""
        return self.warmup_seconds + self.seconds

    @property
    def deadline(self) -> float:
        """Seconds after its begin at which the test is over, whatever happens."""
        return self.duration + self.timeout_seconds + 2.0

    @property
    def highest_rate(self) -> float:
        """The bound of the rate, which an authorization must cover."""
        return self.max_rate

    @property
    def max_in_flight(self) -> int:
        """Each user has one request open at most."""
        return self.users

    @property
    def workers(self) -> int:
        """Processes that send, here and elsewhere."""
        return self.processes + self.remote_workers

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's document."""
        return sha256_hex(document_bytes(self.document()))

    def document(self) -> dict[str, Any]:
        """The plan as JSON. `from_document` reads it back."""
        return {**asdict(self), "scenario": self.scenario.value, "engine": self.engine.value, "allow": [asdict(t) for t in self.allow]}

    @staticmethod
    def from_document(document: Any, *, where: str = "journey plan") -> JourneyPlan:
        """The plan in `document`, checked. Raises LoadError for unknown keys, wrong types and plans without bounds."""
        plan = build(JourneyPlan, document, where=where, error=LoadError)
        check_journey_plan(plan, where=where)
        return plan


def journey_plan_for(
    *,
    service: Service,
    endpoint: Endpoint,
    environment: Environment,
    profile: LoadProfile,
    load: Load,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> JourneyPlan:
    """The plan of the profile's journeys against `endpoint`. The same protocol file gives the same plan, on any machine.

    Raises LoadError 105 for production, 832 for a profile without journeys, and what `check_journey_plan` raises.
    """
    where = f"journey plan of {service.name}"
    journeys = profile.journeys
    if environment.production:
        raise LoadError(
            105, where=f"environment {environment.name}", what="a production environment is not load-tested",
            fix="name the test environment that mirrors production",
        )  # fmt: skip
    if journeys is None:
        raise _refuse(832, where, "the profile has no journeys", got=None)
    plan = JourneyPlan(
        schema_version=SCHEMA_VERSION,
        scenario=Scenario.JOURNEYS,
        engine=journeys.engine,
        host=endpoint.host,
        port=endpoint.port,
        build_path=endpoint.build_path,
        environment=environment.name,
        file=journeys.file,
        file_sha256=journeys.sha256,
        users=journeys.users,
        spawn_rate=journeys.spawn_rate,
        seconds=journeys.seconds,
        max_rate=journeys.max_rate,
        processes=journeys.processes,
        remote_workers=journeys.remote_workers,
        master_port=journeys.master_port,
        timeout_seconds=timeout_seconds,
        abort=load.abort,
        allow=load.allow,
    )
    check_journey_plan(plan, where=where)
    if plan.max_rate > load.max_rate:
        raise _refuse(112, where, "rate is above load.max_rate", got=plan.max_rate, expected=load.max_rate)
    if plan.duration > load.max_duration_seconds:
        raise _refuse(113, where, "longer than load.max_duration_seconds", got=plan.duration, expected=load.max_duration_seconds)
    return plan


def check_journey_plan(plan: JourneyPlan, *, where: str) -> None:
    """Returns if the plan is bounded in place, rate, time and users. Raises LoadError 101-103 for the target, 836 for the rest."""
    numbers = {
        "users": (plan.users, MAX_USERS),
        "spawn_rate": (plan.spawn_rate, MAX_USERS),
        "seconds": (plan.seconds, 1e12),
        "max_rate": (plan.max_rate, 1e12),
        "timeout_seconds": (plan.timeout_seconds, 120),
        "workers": (plan.workers, min(MAX_WORKERS, plan.users)),
        "abort.error_rate_percent": (plan.abort.error_rate_percent, 100),
        "abort.p99_ms": (plan.abort.p99_ms, 1e12),
        "abort.over_seconds": (plan.abort.over_seconds, 60),
        "requests": (plan.max_rate * plan.duration if plan.spawn_rate else math.inf, MAX_REQUESTS),
    }
    for name, (value, most) in numbers.items():
        if not (math.isfinite(value) and 0 < value <= most):
            raise _refuse(836, f"{where}.{name}", "out of range", got=value, expected=f"above 0, at most {most:g}")
    if plan.schema_version != SCHEMA_VERSION or plan.scenario is not Scenario.JOURNEYS:
        raise _refuse(836, where, "not a plan of journeys", got=(plan.schema_version, plan.scenario.value))
    if plan.processes < 0 or plan.remote_workers < 0 or not 1024 <= plan.master_port < 65536:
        raise _refuse(836, where, "no such workers", got=(plan.processes, plan.remote_workers, plan.master_port))
    if not DIGEST.fullmatch(plan.file_sha256) or not plan.environment or not plan.build_path.startswith("/") or plan.build_path[1:2] == "/":
        raise _refuse(836, where, "no file, or nothing to ask the target for its consent", got=(plan.file_sha256, plan.build_path))
    check_target(plan.host, plan.port, allow=plan.allow, where=where)


def _refuse(number: int, where: str, what: str, *, got: Any, expected: Any = None) -> LoadError:
    return LoadError(number, where=where, what=what, got=got, expected=expected, fix="correct the load profile")
