"""What the SRE lead authorizes of load tests, and whether a plan is within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from perfproof.config import Abort, Journeys, Load, LoadProfile, Measurement, Protocol, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.journeys import JourneyPlan
from perfproof.load.plan import LoadPlan
from perfproof.load.targets import canonical_host
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import build


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when tests may run, as timestamps."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """The bounds of every test of a run: where, how fast, how long, how often, when.

    `planned` names what the profile sends, for the reader; the bounds alone are checked.
    """

    targets: tuple[Target, ...]
    max_rate: float
    max_duration_seconds: float
    max_tests: int
    window: Window
    abort: Abort
    planned: dict[str, str]


def authorization_document(
    load: Load,
    *,
    profile: LoadProfile,
    now: datetime,
    targets: Sequence[Target] | None = None,
    transactions: Sequence[Transaction] = (),
    services: int = 1,
) -> dict[str, Any]:
    """What the SRE lead is asked to sign: no more than `profile` needs, on `targets` (by default all that are listed).

    The window opens `now` and lasts `load.window_hours`. Those of `transactions` that may change data are named. `services` are
    profiled, each twice.
    """
    warmup = profile.peak.warmup_seconds
    stress_seconds = profile.stress.seconds_each * len(profile.stress.rates)
    block = profile.measurement
    durations = [
        warmup + profile.peak.seconds,
        warmup + stress_seconds,
        warmup + profile.failure.seconds,
        block.warmup_seconds + block.block_seconds,
    ]
    rates = [profile.peak.rate, *profile.stress.rates, profile.failure.rate, block.rate]
    failure, replay = profile.failure, profile.replay
    if replay is not None:
        durations.append(warmup + replay.seconds)
        rates.append(replay.highest_rate)
    journeys = profile.journeys
    if journeys is not None:
        durations.append(journeys.spawn_seconds + journeys.seconds)
        rates.append(journeys.max_rate)
    changing = [f"{t.name} ({t.method} {t.path})" for t in transactions if t.method not in ("GET", "HEAD")]
    return {
        "targets": [asdict(t) for t in (load.allow if targets is None else targets)],
        "max_rate": max(rates),
        "max_duration_seconds": max(durations),
        "max_tests": load.max_tests,
        "window": {"start": stamp(now), "end": stamp(now + timedelta(hours=load.window_hours))},
        "abort": asdict(load.abort),
        "planned": {
            "peak": f"{profile.peak.rate:g} requests/s for {profile.peak.seconds:g} s",
            "stress": f"{', '.join(f'{r:g}' for r in profile.stress.rates)} requests/s for {profile.stress.seconds_each:g} s each",
            "failure": (
                f"{failure.rate:g} requests/s for {failure.seconds:g} s, {failure.fault.value} at second {failure.fault_at_second:g}"
                + (f" for {failure.fault_seconds:g} s, by the proxy at {failure.proxy.host}:{failure.proxy.port}" if failure.proxy else "")
            ),
            **({"replay": f"up to {replay.highest_rate:g} requests/s for {replay.seconds:g} s"} if replay else {}),
            **({"journeys": _journeys_in_words(journeys)} if journeys else {}),
            **({"may change data": ", ".join(changing)} if changing else {}),
            "measurement": _measurement_in_words(block),
            "profiling": f"{_each(services)} under the peak, before and after the change",
            "tests": (
                f"at most {profile.most_tests(services=services)} in one round of the cycle, {2 * block.most_blocks} of them blocks"
                f" and {2 * services} of them profiled"
            ),
        },
    }


def authorization_of(protocol: Protocol, *, services: Sequence[str], load_profile: str, now: datetime) -> dict[str, Any]:
    """`authorization_document` for a cycle about `services`: their deployments, their transactions, and nothing else."""
    chosen = [protocol.service(name) for name in services]
    used = [e for s in chosen for e in (s.endpoints.baseline, s.endpoints.candidate) if e is not None]
    return authorization_document(
        protocol.load,
        profile=protocol.load.profiles[load_profile],
        now=now,
        targets=[Target(host=e.host, port=e.port) for e in used],
        transactions=[t for s in chosen for t in s.transactions],
        services=len(chosen),
    )


def _each(services: int) -> str:
    return "the service" if services == 1 else f"each of {services} services"


def _journeys_in_words(journeys: Journeys) -> str:
    elsewhere = f", {journeys.remote_workers} workers on other machines" if journeys.remote_workers else ""
    return (
        f"{journeys.users} users of {journeys.file} (SHA-256 {journeys.sha256}) for {journeys.seconds:g} s, at most"
        f" {journeys.max_rate:g} requests/s of any method{elsewhere}"
    )


def _measurement_in_words(block: Measurement) -> str:
    each = f"each {block.rate:g} requests/s for {block.block_seconds:g} s"
    if block.most_blocks == block.blocks:
        return f"{block.blocks} blocks a side, {each}"
    return (
        f"{block.blocks} blocks a side, and while the verdict is open {block.step} more at a time, at most {block.most_blocks} a side in"
        f" all, those that confirm a regression included, {each}"
    )


def read_authorization(document: Any, *, where: str = "load-test authorization") -> Authorization:
    """The authorization in `document`. Raises LoadError for unknown keys and wrong types."""
    return build(Authorization, document, where=where, error=LoadError)


def check_authorized(plan: LoadPlan | JourneyPlan, *, authorization: Authorization, tests_so_far: int, now: datetime) -> None:
    """Returns if `plan` may run `now` as test number `tests_so_far` + 1.

    Raises LoadError 201 host, 202 port, 203 rate, 204 duration, 205 window not open yet, 206 window closed (or closing
    before the test ends), 207 number of tests used up, 208 other stop conditions than those signed.
    """
    where = f"load plan {plan.scenario}"
    host = canonical_host(plan.host, where=where)
    listed = ", ".join(f"{t.host}:{t.port}" for t in authorization.targets)
    ports = [t.port for t in authorization.targets if canonical_host(t.host, where=where) == host]
    if not ports:
        raise _refuse(201, where, "host is not authorized", got=plan.host, expected=listed)
    if plan.port not in ports:
        raise _refuse(202, where, "port is not authorized", got=f"{plan.host}:{plan.port}", expected=listed)
    if plan.highest_rate > authorization.max_rate:
        raise _refuse(203, where, "rate is above the authorized one", got=plan.highest_rate, expected=authorization.max_rate)
    if plan.duration > authorization.max_duration_seconds:
        raise _refuse(204, where, "longer than authorized", got=plan.duration, expected=authorization.max_duration_seconds)
    start = parse_stamp(authorization.window.start, where=f"{where}: window")
    end = parse_stamp(authorization.window.end, where=f"{where}: window")
    if now < start:
        raise _refuse(205, where, "the authorized window is not open yet", got=stamp(now), expected=f"from {stamp(start)}")
    if now + timedelta(seconds=plan.duration) > end:
        raise _refuse(206, where, "the authorized window is closed before the test ends", got=stamp(now), expected=f"until {stamp(end)}")
    if tests_so_far >= authorization.max_tests:
        raise _refuse(207, where, "the authorized number of tests is used up", got=tests_so_far, expected=authorization.max_tests)
    if plan.abort != authorization.abort:
        raise _refuse(208, where, "other stop conditions than authorized", got=asdict(plan.abort), expected=asdict(authorization.abort))


def why_no_room(
    plan: LoadPlan, *, authorization: Authorization, tests: int, pause_seconds: float, tests_so_far: int, now: datetime
) -> str | None:
    """Why `tests` more tests like `plan`, one after the other with `pause_seconds` between, do not fit the authorization; None if they do.

    For whoever can do without them: each test is checked again before it is sent.
    """
    left = authorization.max_tests - tests_so_far
    if left < tests:
        return f"{tests} more tests are needed and {max(0, left)} of {authorization.max_tests} authorized ones are left"
    end = parse_stamp(authorization.window.end, where="load-test authorization: window")
    if now + timedelta(seconds=tests * (plan.duration + pause_seconds)) > end:
        return f"{tests} more tests would not end within the authorized window, which closes at {stamp(end)}"
    return None


def _refuse(number: int, where: str, what: str, *, got: object, expected: object) -> LoadError:
    return LoadError(number, where=where, what=what, got=got, expected=expected, fix="ask the SRE lead for a new authorization")
