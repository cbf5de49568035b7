"""What a load test sends, to the last number: the document that the generator runs and the evidence keeps."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from perfproof.config import Abort, Endpoint, Environment, Load, LoadProfile, Service, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.curve import Point, expected_requests, highest, problem_of, scaled
from perfproof.load.requests import is_allowed_method, placeholders, request_problem
from perfproof.load.targets import check_target
from perfproof.strict import build
from perfproof.telemetry import document_bytes, sha256_hex

SCHEMA_VERSION = 1
TIMEOUT_SECONDS = 10.0
MAX_IN_FLIGHT = 1000
MAX_REQUESTS = 2_000_000


class Scenario(StrEnum):
    """Why load is sent. `replay` follows a recorded rate curve, `measurement` is one block of the comparison in phase 3, and
    `journeys` have a plan of their own (`perfproof.load.journeys`).
    """

    PEAK = "peak"
    STRESS = "stress"
    FAILURE = "failure"
    REPLAY = "replay"
    JOURNEYS = "journeys"
    MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True)
class Stage:
    """`rate` requests/s for `seconds`; with a `curve` (see `perfproof.load.curve`) `rate` is its highest."""

    rate: float
    seconds: float
    curve: tuple[Point, ...] = ()

    @classmethod
    def along(cls, curve: tuple[Point, ...]) -> Stage:
        """The stage that follows `curve` from its first to its last point."""
        return cls(highest(curve), curve[-1][0], curve)

    @property
    def requests(self) -> int:
        """How many requests the stage plans."""
        return max(1, round(expected_requests(self.curve) if self.curve else self.rate * self.seconds))

    @property
    def first_rate(self) -> float:
        """The rate that it begins with."""
        return self.curve[0][1] if self.curve else self.rate


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load test. The warm-up runs before the stages at the rate that they begin with, and is never counted; in its first
    `ramp_seconds` the rate rises to that from 0.

    `max_in_flight` is the bound of open requests: one more is recorded as dropped, not sent. `timeout_seconds` is per
    request. `seed` fixes every arrival, its transaction and its parameters.
    """

    schema_version: int
    scenario: Scenario
    host: str
    port: int
    build_path: str
    environment: str
    stages: tuple[Stage, ...]
    warmup_seconds: float
    transactions: tuple[Transaction, ...]
    seed: int
    max_in_flight: int
    timeout_seconds: float
    abort: Abort
    allow: tuple[Target, ...]
    ramp_seconds: float = 0.0

    @property
    def measured_seconds(self) -> float:
        """Length of the stages, without the warm-up."""
        return math.fsum(s.seconds for s in self.stages)

    @property
    def duration(self) -> float:
        """Seconds during which requests are started, warm-up included."""
        return self.warmup_seconds + self.measured_seconds

    @property
    def deadline(self) -> float:
        """Seconds after its first request at which the test is over, whatever happens."""
        return self.duration + self.timeout_seconds + 2.0

    @property
    def highest_rate(self) -> float:
        """The highest rate of any stage, in requests/s."""
        return max(s.rate for s in self.stages)

    @property
    def warmup_stages(self) -> tuple[Stage, ...]:
        """The ramp and the rest of the warm-up; none where the load begins at rate 0, which needs no warm-up."""
        rate, ramp = self.stages[0].first_rate, self.ramp_seconds
        if rate <= 0 or self.warmup_seconds <= 0:
            return ()
        rising = (Stage.along(((0.0, 0.0), (ramp, rate))),) if ramp > 0 else ()
        return (*rising, Stage(rate, self.warmup_seconds - ramp)) if ramp < self.warmup_seconds else rising

    @property
    def warmup_requests(self) -> int:
        """How many requests the warm-up plans."""
        return sum(s.requests for s in self.warmup_stages)

    @property
    def measured_requests(self) -> int:
        """How many requests the stages plan."""
        return sum(s.requests for s in self.stages)

    @property
    def total_requests(self) -> int:
        """How many requests the test plans, warm-up included."""
        return self.warmup_requests + self.measured_requests

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's document."""
        return sha256_hex(document_bytes(self.document()))

    def document(self) -> dict[str, Any]:
        """The plan as JSON. `from_document` reads it back."""
        document = asdict(self)
        document["scenario"] = self.scenario.value
        for key in ("stages", "transactions", "allow"):
            document[key] = list(document[key])
        for stage in document["stages"]:
            stage["curve"] = [list(point) for point in stage["curve"]]
        return document

    @staticmethod
    def from_document(document: Any, *, where: str = "load plan") -> LoadPlan:
        """The plan in `document`, checked. Raises LoadError for unknown keys, wrong types and plans without bounds."""
        plan = build(LoadPlan, document, where=where, error=LoadError)
        check_plan(plan, where=where)
        return plan


def plan_for(
    scenario: Scenario,
    *,
    service: Service,
    endpoint: Endpoint,
    environment: Environment,
    profile: LoadProfile,
    load: Load,
    seed: int,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> LoadPlan:
    """The plan of `scenario` against `endpoint`, within the bounds of `load`.

    Stress, failure and replay warm up as the peak does. The bound of open requests is what the highest rate can pile up
    within the timeout (1,000 at most), so that an overloaded service is measured and not spared.
    Raises LoadError 105 for production, 106 for a replay without a curve, 112 and 113 above the rate and duration bounds, and
    what `check_plan` raises.
    """
    if environment.production:
        raise LoadError(
            105,
            where=f"environment {environment.name}",
            what="a production environment is not load-tested",
            fix="name the test environment that mirrors production",
        )
    warmup, ramp = profile.peak.warmup_seconds, profile.peak.ramp_seconds
    where = f"load plan {scenario} of {service.name}"
    match scenario:
        case Scenario.PEAK:
            stages: tuple[Stage, ...] = (Stage(profile.peak.rate, profile.peak.seconds),)
        case Scenario.STRESS:
            stages = tuple(Stage(rate, profile.stress.seconds_each) for rate in profile.stress.rates)
        case Scenario.FAILURE:
            stages = (Stage(profile.failure.rate, profile.failure.seconds),)
        case Scenario.MEASUREMENT:
            stages = (Stage(profile.measurement.rate, profile.measurement.block_seconds),)
            warmup, ramp = profile.measurement.warmup_seconds, 0.0
        case Scenario.REPLAY:
            if profile.replay is None:
                raise _refuse(106, where, "the profile has no curve to replay", got=None)
            stages = (Stage.along(scaled(profile.replay.curve, profile.replay.factor)),)
        case Scenario.JOURNEYS:
            raise _refuse(832, where, "journeys have no stages", got=scenario.value, expected="a plan of perfproof.load.journeys")
    highest = max((s.rate for s in stages), default=0.0)
    plan = LoadPlan(
        schema_version=SCHEMA_VERSION,
        scenario=scenario,
        host=endpoint.host,
        port=endpoint.port,
        build_path=endpoint.build_path,
        environment=environment.name,
        stages=stages,
        warmup_seconds=warmup,
        transactions=service.transactions,
        seed=seed,
        max_in_flight=min(MAX_IN_FLIGHT, max(64, math.ceil(highest * timeout_seconds))),
        timeout_seconds=timeout_seconds,
        abort=load.abort,
        allow=load.allow,
        ramp_seconds=ramp,
    )
    check_plan(plan, where=where)
    if plan.highest_rate > load.max_rate:
        raise _refuse(112, where, "rate is above load.max_rate", got=plan.highest_rate, expected=load.max_rate)
    if plan.duration > load.max_duration_seconds:
        raise _refuse(113, where, "longer than load.max_duration_seconds", got=plan.duration, expected=load.max_duration_seconds)
    return plan


def check_plan(plan: LoadPlan, *, where: str) -> None:
    """Returns if the plan is bounded in place, rate, time and open requests. Raises LoadError 101-103, 111, 114-119."""
    if plan.schema_version != SCHEMA_VERSION:
        raise _refuse(119, where, "unknown version", got=plan.schema_version, expected=SCHEMA_VERSION)
    if not plan.stages or any(not _positive(s.rate) or not _positive(s.seconds) for s in plan.stages):
        raise _refuse(111, where, "a stage without a positive rate and duration", got=[(s.rate, s.seconds) for s in plan.stages])
    for stage in plan.stages:
        _check_curve(stage, where)
    if not 0 <= plan.ramp_seconds <= plan.warmup_seconds:
        raise _refuse(114, where, "the ramp is not part of the warm-up", got=plan.ramp_seconds, expected=f"0 to {plan.warmup_seconds:g}")
    if not math.isfinite(plan.warmup_seconds) or plan.warmup_seconds < 0 or not 0 <= plan.seed < 2**63:
        raise _refuse(114, where, "warm-up or seed out of range", got=(plan.warmup_seconds, plan.seed))
    if plan.total_requests > MAX_REQUESTS:
        raise _refuse(115, where, "too many requests", got=plan.total_requests, expected=f"at most {MAX_REQUESTS}")
    if not 1 <= plan.max_in_flight <= MAX_IN_FLIGHT or not 0 < plan.timeout_seconds <= 120:
        raise _refuse(116, where, "no bound of open requests or of waiting", got=(plan.max_in_flight, plan.timeout_seconds))
    abort = plan.abort
    if not 0 < abort.error_rate_percent <= 100 or not _positive(abort.p99_ms) or not 0 < abort.over_seconds <= 60:
        raise _refuse(117, where, "no stop condition", got=asdict(abort), expected="error rate, p99 and a span of at most 60 s")
    if not plan.environment or not _path(plan.build_path):
        raise _refuse(118, where, "nothing to ask the target for its consent", got=(plan.environment, plan.build_path))
    _check_transactions(plan, where)
    check_target(plan.host, plan.port, allow=plan.allow, where=where)


def _check_transactions(plan: LoadPlan, where: str) -> None:
    if not any(t.weight > 0 for t in plan.transactions):
        raise _refuse(118, where, "no transaction with a weight", got=[t.name for t in plan.transactions])
    for transaction in plan.transactions:
        place = f"{where}.transactions[{transaction.name}]"
        named, in_body = placeholders(transaction)
        if not is_allowed_method(transaction) or not _path(transaction.path) or transaction.weight < 0:
            raise _refuse(118, place, "only GET, HEAD and POST with a body, a path from /, and a weight of 0 or more", got=transaction.path)
        problem = request_problem(transaction)
        if problem is not None:
            raise _refuse(118, f"{place}.{problem.key}", problem.what, got=problem.got, expected=problem.expected)
        if named | in_body != set(transaction.parameters) or any(s.first > s.last for s in transaction.parameters.values()):
            raise _refuse(118, place, "path and parameters do not fit", got=sorted(named), expected=sorted(transaction.parameters))


def _check_curve(stage: Stage, where: str) -> None:
    if not stage.curve:
        return
    problem = problem_of(stage.curve)
    if problem is None and (stage.curve[-1][0] != stage.seconds or highest(stage.curve) != stage.rate):
        problem = "its last second and highest rate are not those of the stage"
    if problem is not None:
        raise _refuse(111, where, f"not a curve: {problem}", got=[list(point) for point in stage.curve[:5]])


def _path(text: str) -> bool:
    """A path on the target itself: `//elsewhere` would name another host."""
    return text.startswith("/") and not text.startswith("//") and text.isascii() and text.isprintable() and not set(text) & set(" \\#")


def _positive(value: float) -> bool:
    # Beyond it no rate or time is meant, and their product would be infinite.
    return math.isfinite(value) and 0 < value <= 1e12


def _refuse(number: int, where: str, what: str, *, got: Any, expected: Any = None) -> LoadError:
    return LoadError(number, where=where, what=what, got=got, expected=expected, fix="correct the load profile")
