"""What a protocol file may not say about load: where it may go, how much of it, and for how long."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import TYPE_CHECKING

from perfproof.config_ranges import MAX_DAYS, MAX_SECONDS, check_not_negative, check_positive
from perfproof.config_refusals import check_identifier, refusal
from perfproof.errors import LoadError
from perfproof.journey_checks import check_journeys
from perfproof.load.curve import expected_requests, problem_of
from perfproof.load.targets import canonical_host
from perfproof.service_checks import is_request_path

if TYPE_CHECKING:
    from perfproof.config import Abort, Endpoint, Failure, Load, LoadProfile, Protocol, Target

HOST = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
# An environment that is called so lies on the machine or in the network of whoever runs it.
LOCAL = frozenset(("local", "localhost", "loopback"))
MAX_RATE = 1e6
MAX_TESTS = 100_000
MAX_STEPS = 100
MAX_REQUESTS = 2_000_000
MAX_ABORT_SECONDS = 60.0


def check_load(load: Load, where: str, *, services: int) -> None:
    """Raises ConfigError for targets, bounds and profiles that no load test of so many services may have."""
    if not load.allow:
        raise refusal(160, f"{where}.allow", "the allow-list is empty", "name host and port of each target")
    for index, target in enumerate(load.allow):
        _check_target(target, f"{where}.allow[{index}]")
    for index, target in enumerate(load.allow):
        _check_address_listed(load, target, f"{where}.allow[{index}]")
    check_positive(load.max_rate, f"{where}.max_rate", most=MAX_RATE, number=163)
    check_positive(load.max_duration_seconds, f"{where}.max_duration_seconds", most=MAX_SECONDS, number=163)
    check_positive(load.max_tests, f"{where}.max_tests", most=MAX_TESTS, number=163)
    check_positive(load.window_hours, f"{where}.window_hours", most=24 * MAX_DAYS, number=163)
    _check_abort(load.abort, f"{where}.abort")
    if not load.profiles:
        raise refusal(164, f"{where}.profiles", "no load profile", "describe at least one")
    for name, profile in load.profiles.items():
        check_identifier(name, f"{where}.profiles.{name}")
        _check_profile(load, profile, f"{where}.profiles.{name}", services=services)


def check_endpoints(protocol: Protocol, where: str) -> None:
    """Raises ConfigError for an endpoint that is not on the allow-list, and for a public target of a local environment."""
    allow = protocol.load.allow
    for service in protocol.services:
        baseline, candidate = service.endpoints.baseline, service.endpoints.candidate
        for side, endpoint in (("baseline", baseline), ("candidate", candidate)):
            if endpoint is not None:
                _check_endpoint(endpoint, allow, f"{where}.services[{service.name}].endpoints.{side}")
    if not LOCAL & set(re.split(r"[^a-z]+", protocol.environment.name.casefold())):
        return
    for index, target in enumerate(allow):
        address = _address(target.host)
        if address is not None and address.is_global:
            raise refusal(
                194, f"{where}.load.allow[{index}]", "a public address in an environment that is called local",
                "list private addresses only, or call the environment what it is", got=target.host,
                expected=f"an address inside of {protocol.environment.name}",
            )  # fmt: skip


def _check_target(target: Target, where: str) -> None:
    try:
        canonical = canonical_host(target.host) if HOST.fullmatch(target.host) else None
    except LoadError:
        canonical = None
    if canonical != target.host or not 0 < target.port < 65536:
        raise refusal(
            161, where, "not a host and port", "plain host names or addresses, no URL, * or network", got=f"{target.host}:{target.port}",
            expected="a name in small letters or an IPv4 address, and a port of 1 to 65535",
        )  # fmt: skip
    address = _address(target.host)
    if address is not None and (address.is_unspecified or address.is_multicast or address.is_link_local):
        raise refusal(162, where, "this address may never be a target", "remove it", got=target.host)


def _check_address_listed(load: Load, target: Target, where: str) -> None:
    if (
        _address(target.host) is None
        and target.host != "localhost"
        and not any(_address(t.host) and t.port == target.port for t in load.allow)
    ):
        raise refusal(
            195, where, "a name without its address", "list the address of the test environment beside it, with the same port",
            got=f"{target.host}:{target.port}",
        )  # fmt: skip


def _check_endpoint(endpoint: Endpoint, allow: tuple[Target, ...], where: str) -> None:
    if (endpoint.host, endpoint.port) not in {(t.host, t.port) for t in allow}:
        raise refusal(
            193, where, "not on the allow-list", "correct host and port, or list them in load.allow", got=endpoint.instance,
            expected=", ".join(f"{t.host}:{t.port}" for t in allow),
        )  # fmt: skip
    for name, path in (("build_path", endpoint.build_path), ("metrics_path", endpoint.metrics_path)):
        if not is_request_path(path):
            raise refusal(152, f"{where}.{name}", "not a path from /", "correct it", got=path)
    if endpoint.pprof_path is not None and (not is_request_path(endpoint.pprof_path) or "?" in endpoint.pprof_path):
        raise refusal(152, f"{where}.pprof_path", "not a path from / without a query", "correct it", got=endpoint.pprof_path)
    if endpoint.pprof_path is not None and endpoint.pid_file is not None:
        raise refusal(197, where, "two ways to profile one deployment", "keep pid_file for Python, pprof_path for Go")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check_abort(abort: Abort, where: str) -> None:
    check_positive(abort.error_rate_percent, f"{where}.error_rate_percent", most=100, number=163)
    check_positive(abort.p99_ms, f"{where}.p99_ms", number=163)
    check_positive(abort.over_seconds, f"{where}.over_seconds", most=MAX_ABORT_SECONDS, number=163)


def _check_profile(load: Load, profile: LoadProfile, where: str, *, services: int) -> None:
    peak, stress, failure, block = profile.peak, profile.stress, profile.failure, profile.measurement
    if not 0 < len(stress.rates) <= MAX_STEPS:
        raise refusal(
            165, f"{where}.stress.rates", "out of range", "name the steps", got=len(stress.rates), expected=f"1 to {MAX_STEPS} rates"
        )
    _check_replay(profile, where)
    rates = [("peak.rate", peak.rate), ("failure.rate", failure.rate), ("measurement.rate", block.rate)]
    rates += [("replay", profile.replay.highest_rate)] if profile.replay is not None else []
    for name, rate in [*rates, *((f"stress.rates[{i}]", rate) for i, rate in enumerate(stress.rates))]:
        if not 0 < rate <= load.max_rate:
            raise refusal(
                165, f"{where}.{name}", "a rate is not positive or above max_rate", "lower it", got=rate,
                expected=f"above 0, at most {load.max_rate:g}",
            )  # fmt: skip
    for name, warmup in (("peak", peak.warmup_seconds), ("measurement", block.warmup_seconds)):
        check_not_negative(warmup, f"{where}.{name}.warmup_seconds", most=load.max_duration_seconds, number=166)
    check_not_negative(peak.ramp_seconds, f"{where}.peak.ramp_seconds", most=peak.warmup_seconds, number=166)
    _check_lengths(load, profile, where)
    check_not_negative(failure.fault_at_second, f"{where}.failure.fault_at_second", most=failure.seconds)
    check_positive(failure.recover_within_seconds, f"{where}.failure.recover_within_seconds", most=failure.seconds)
    _check_proxy(failure, f"{where}.failure")
    if profile.journeys is not None:
        check_journeys(profile.journeys, load, f"{where}.journeys")
    targets = profile.targets
    for name, limit in (("p50_ms", targets.p50_ms), ("p95_ms", targets.p95_ms), ("p99_ms", targets.p99_ms)):
        check_positive(limit, f"{where}.targets.{name}")
    check_not_negative(targets.error_rate_percent, f"{where}.targets.error_rate_percent", most=100)
    check_not_negative(targets.throughput_tolerance, f"{where}.targets.throughput_tolerance", most=0.5)
    if block.blocks < 4:
        raise refusal(167, f"{where}.measurement.blocks", "too few to decide anything", "4 blocks a side at least", got=block.blocks)
    _check_measurement(load, profile, where, services=services)


def _check_lengths(load: Load, profile: LoadProfile, where: str) -> None:
    """That each test fits `max_duration_seconds` with its warm-up, and sends no more requests than any test may."""
    peak, stress, failure, block = profile.peak, profile.stress, profile.failure, profile.measurement
    tests = (
        ("peak", "seconds", peak.seconds, 1, peak.rate, peak.warmup_seconds),
        ("stress", "seconds_each", stress.seconds_each, len(stress.rates), max(stress.rates), peak.warmup_seconds),
        ("failure", "seconds", failure.seconds, 1, failure.rate, peak.warmup_seconds),
        ("measurement", "block_seconds", block.block_seconds, 1, block.rate, block.warmup_seconds),
        *((("replay", "curve", profile.replay.seconds, 1, profile.replay.highest_rate, peak.warmup_seconds),) if profile.replay else ()),
    )
    for name, key, seconds, steps, rate, warmup in tests:
        length = warmup + seconds * steps
        if not seconds > 0 or length > load.max_duration_seconds:
            raise refusal(
                166, f"{where}.{name}.{key}", "a duration is not positive or above max_duration_seconds", "shorten it",
                got=f"{seconds:g} s, {length:g} s with all steps and the warm-up",
                expected=f"above 0, at most {load.max_duration_seconds:g}",
            )  # fmt: skip
        if math.ceil(rate * length) > MAX_REQUESTS:
            raise refusal(
                166, f"{where}.{name}", "too many requests", "shorten it, or lower the rate", got=f"{rate * length:.0f}",
                expected=f"at most {MAX_REQUESTS}",
            )  # fmt: skip


def _check_replay(profile: LoadProfile, where: str) -> None:
    if profile.replay is None:
        return
    check_positive(profile.replay.factor, f"{where}.replay.factor", most=1000, number=272)
    problem = problem_of(profile.replay.curve)
    if problem is None and expected_requests(profile.replay.curve) * profile.replay.factor < 1:
        problem = "less than one request in all"
    if problem is not None:
        raise refusal(272, f"{where}.replay.curve", f"not a rate curve: {problem}", "correct the points")


def _check_proxy(failure: Failure, where: str) -> None:
    """That each fault has the proxy and the figure that it needs, and that it ends while load runs."""
    needed = {"slow_dependency": "latency_ms", "low_bandwidth": "bytes_per_second"}
    proxy = failure.proxy
    if (proxy is None) != (failure.fault == "terminate_database_connections"):
        raise refusal(
            273, f"{where}.proxy", "fault and proxy do not fit", "name the proxy of a fault on the network, and none for another fault",
            got=failure.fault.value, expected="a proxy" if proxy is None else "no proxy",
        )  # fmt: skip
    if proxy is None:
        return
    address = _address(proxy.host)
    if address is None or not address.is_loopback or not 0 < proxy.port < 65536:
        raise refusal(
            274, f"{where}.proxy", "not the control port of a fault proxy", "the proxy listens on loopback only",
            got=f"{proxy.host}:{proxy.port}", expected="127.0.0.1 and a port",
        )  # fmt: skip
    for name, value in (("latency_ms", proxy.latency_ms), ("bytes_per_second", proxy.bytes_per_second)):
        if (needed.get(failure.fault) == name) != (value is not None):
            raise refusal(
                275, f"{where}.proxy.{name}", "does not fit the fault", f"{name} is for one fault, which needs it",
                got=failure.fault.value, expected=next(fault for fault, key in needed.items() if key == name),
            )  # fmt: skip
        if value is not None:
            check_positive(value, f"{where}.proxy.{name}", most=60_000 if name == "latency_ms" else 1e12, number=275)
    check_positive(proxy.seconds, f"{where}.proxy.seconds", most=failure.seconds - failure.fault_at_second, number=275)


def _check_measurement(load: Load, profile: LoadProfile, where: str, *, services: int) -> None:
    """That a round fits what is authorized with the most blocks a side and every service profiled.

    Refused now rather than after half a measurement.
    """
    block = profile.measurement
    if block.most_blocks < block.blocks:
        raise refusal(
            168, f"{where}.measurement.max_blocks", "fewer than blocks", "raise it, or leave it out",
            got=block.max_blocks, expected=f"{block.blocks} or more",
        )  # fmt: skip
    if block.step < 1:
        raise refusal(188, f"{where}.measurement.step_blocks", "not positive", "give 1 or more", got=block.step_blocks)
    tests, seconds = profile.most_tests(services=services), profile.most_seconds(services=services)
    if tests > load.max_tests:
        raise refusal(
            169, f"{where}.measurement", "more tests than load.max_tests", "raise max_tests, or lower max_blocks",
            got=tests, expected=f"at most {load.max_tests}",
        )  # fmt: skip
    if seconds > 3600 * load.window_hours:
        raise refusal(
            187, f"{where}.measurement", "more load than fits load.window_hours", "raise window_hours, or lower max_blocks",
            got=f"{seconds:g} s", expected=f"at most {3600 * load.window_hours:g} s",
        )  # fmt: skip
