"""What a protocol file may not say although every value has the right type."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from perfproof.errors import ConfigError

if TYPE_CHECKING:
    from perfproof.config import Load, Protocol, Service

IDENTIFIER = re.compile(r"^[a-z][a-z0-9._-]{0,63}$")
HOST = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
STEPS = (
    "prioritization",
    "load_test_authorization",
    "profiling_clearance",
    "gate_1_decision",
    "gate_2_decision",
    "gate_3_decision",
    "gate_4_decision",
    "plan",
    "implementation",
    "rollback",
    "slo_updates",
    "handoff",
)
TASK_OWNER = "task_owner"
MAX_EXPIRY_DAYS = 30
# The spec's pass thresholds (Quality Gates): a protocol file may ask for more, not for less.
MINIMUM_THRESHOLDS = {
    "baseline_completeness": 95.0,
    "diagnostic_coverage": 90.0,
    "improvement": 15.0,
    "documentation_completeness": 95.0,
}


def _refuse(number: int, where: str, what: str, fix: str, *, got: Any = None, expected: Any = None) -> ConfigError:
    return ConfigError(number, where=where, what=what, got=got, expected=expected, fix=fix)


def check_protocol(protocol: Protocol, *, where: str) -> None:
    """Raises ConfigError for the first thing in `protocol` that contradicts itself or the specification."""
    if protocol.schema_version != 1:
        raise _refuse(
            130,
            f"{where}.schema_version",
            "unknown schema version",
            "upgrade perfproof or the file",
            got=protocol.schema_version,
            expected=1,
        )
    _check_identifier(protocol.name, f"{where}.name")
    _check_roles(protocol, where)
    _check_approvals(protocol, where)
    _check_thresholds(protocol, where)
    _check_prerequisites(protocol, where)
    _check_sources(protocol, where)
    if not protocol.services:
        raise _refuse(131, f"{where}.services", "no services", "name at least one service")
    _unique([s.name for s in protocol.services], f"{where}.services", "service")
    for service in protocol.services:
        _check_service(protocol, service, f"{where}.services[{service.name}]")
    if not any(s.metric(protocol.target_metric) for s in protocol.services):
        raise _refuse(132, f"{where}.target_metric", "no service has this metric", "name a metric of a service", got=protocol.target_metric)
    _check_load(protocol.load, f"{where}.load")
    _check_optimizations(protocol, where)


def _check_identifier(name: str, where: str) -> None:
    if not IDENTIFIER.fullmatch(name) or ".." in name:
        raise _refuse(133, where, "not an identifier", "use small letters, digits, . _ -", got=name, expected=IDENTIFIER.pattern)


def _unique(names: list[str], where: str, kind: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise _refuse(134, where, f"two entries for the {kind}", "keep one", got=name)
        seen.add(name.casefold())


def _check_roles(protocol: Protocol, where: str) -> None:
    labels = {role.label.casefold() for role in protocol.roles.values()} | {name.casefold() for name in protocol.roles}
    for name, role in protocol.roles.items():
        _check_identifier(name, f"{where}.roles.{name}")
        if not role.people:
            raise _refuse(135, f"{where}.roles.{name}", "a role without a person", "name at least one person")
        for person in role.people:
            if not person.id.strip() or not person.name.strip():
                raise _refuse(136, f"{where}.roles.{name}", "a person without id or name", "give both", got=person.id)
            if person.name.strip().casefold() in labels or person.id.strip().casefold() in labels:
                raise _refuse(137, f"{where}.roles.{name}", "the name of a role is not a person", "name the person", got=person.name)
    people = [{p.id for p in role.people} for role in protocol.roles.values()]
    if len(people) > 1 and all(p == people[0] and len(p) == 1 for p in people):
        raise _refuse(138, f"{where}.roles", "one person holds every role", "approvals need distinct people")


def _check_approvals(protocol: Protocol, where: str) -> None:
    approvals = protocol.approvals
    if not 0 < approvals.expires_after_days <= MAX_EXPIRY_DAYS:
        raise _refuse(
            139,
            f"{where}.approvals.expires_after_days",
            "out of range",
            "choose 30 or less",
            got=approvals.expires_after_days,
            expected="0 to 30",
        )
    if approvals.poll_seconds <= 0:
        raise _refuse(139, f"{where}.approvals.poll_seconds", "out of range", "choose a positive number", got=approvals.poll_seconds)
    for step in STEPS:
        if not approvals.steps.get(step):
            raise _refuse(140, f"{where}.approvals.steps", f"nobody answers {step}", "name its roles")
    for step, roles in approvals.steps.items():
        if step not in STEPS:
            raise _refuse(141, f"{where}.approvals.steps.{step}", "unknown step", "remove it", expected=", ".join(STEPS))
        _unique(list(roles), f"{where}.approvals.steps.{step}", "role")
        for role in roles:
            if role != TASK_OWNER and role not in protocol.roles:
                raise _refuse(142, f"{where}.approvals.steps.{step}", "unknown role", "add it to roles", got=role)


def _check_thresholds(protocol: Protocol, where: str) -> None:
    for name, minimum in MINIMUM_THRESHOLDS.items():
        value = getattr(protocol.thresholds, name)
        if not minimum <= value <= 100:
            raise _refuse(
                143, f"{where}.thresholds.{name}", "below the protocol's threshold, or above 100",
                "raise it, and ask for a waiver in the run instead", got=value, expected=f"{minimum:g} to 100",
            )  # fmt: skip
    if not 0.8 <= protocol.judge.confidence < 1:
        raise _refuse(143, f"{where}.judge.confidence", "out of range", "0.95 is usual", got=protocol.judge.confidence, expected="0.8 to 1")


def _check_prerequisites(protocol: Protocol, where: str) -> None:
    _unique([a.name for a in protocol.prerequisites], f"{where}.prerequisites", "artifact")
    required = {"MONITORING-PACKAGE.zip", "DEPLOYMENT-REPORT.md"}
    missing = required - {a.name for a in protocol.prerequisites if a.required}
    if missing:
        raise _refuse(144, f"{where}.prerequisites", "the specification requires this artifact", "add it", got=", ".join(sorted(missing)))
    for artifact in protocol.prerequisites:
        check_relative(artifact.path, f"{where}.prerequisites[{artifact.name}].path")
        if artifact.max_age_days <= 0:
            raise _refuse(
                145, f"{where}.prerequisites[{artifact.name}].max_age_days", "not positive", "give days", got=artifact.max_age_days
            )


def check_relative(path: str, where: str) -> None:
    """Raises ConfigError unless `path` stays inside the workspace as it is written."""
    parts = path.split("/")
    if path.startswith(("/", "~", "-")) or ".." in parts or "\\" in path or not path or "\0" in path:
        raise _refuse(146, where, "not a path inside the workspace", "give a relative path without ..", got=path)


def _check_sources(protocol: Protocol, where: str) -> None:
    _unique([s.name for s in protocol.sources], f"{where}.sources", "source")
    artifacts = {a.name for a in protocol.prerequisites}
    needs = {"prometheus": ("connection", "probe"), "json_lines": ("path",), "artifact": ("artifact",)}
    for source in protocol.sources:
        place = f"{where}.sources[{source.name}]"
        _check_identifier(source.name, f"{place}.name")
        for key in needs[source.kind]:
            if not getattr(source, key):
                raise _refuse(147, place, f"a source of kind {source.kind} needs {key}", f"add {key}")
        if source.path:
            check_relative(source.path, f"{place}.path")
        if source.artifact and source.artifact not in artifacts:
            raise _refuse(148, f"{place}.artifact", "not among the prerequisites", "add it there", got=source.artifact)
    if not any(s.provides == "metrics" and s.critical for s in protocol.sources):
        raise _refuse(149, f"{where}.sources", "no critical source of metrics", "declare one")


def _check_service(protocol: Protocol, service: Service, where: str) -> None:
    _check_identifier(service.name, f"{where}.name")
    if protocol.person(service.owner) is None:
        raise _refuse(150, f"{where}.owner", "not a person of any role", "add the person to a role", got=service.owner)
    if not service.transactions or sum(t.weight for t in service.transactions) <= 0:
        raise _refuse(151, f"{where}.transactions", "no traffic", "give transactions with positive weights")
    _unique([t.name for t in service.transactions], f"{where}.transactions", "transaction")
    for transaction in service.transactions:
        if transaction.method not in ("GET", "HEAD") or not transaction.path.startswith("/") or transaction.weight < 0:
            raise _refuse(
                152, f"{where}.transactions[{transaction.name}]", "only GET and HEAD, a path from /, and a weight of 0 or more",
                "correct it", got=f"{transaction.method} {transaction.path} {transaction.weight:g}",
            )  # fmt: skip
    if not service.metrics:
        raise _refuse(153, f"{where}.metrics", "no metrics", "name what the baseline must hold")
    _unique([m.name for m in service.metrics], f"{where}.metrics", "metric")
    sources = {s.name for s in protocol.sources if s.provides == "metrics"}
    for metric in service.metrics:
        _check_identifier(metric.name, f"{where}.metrics[{metric.name}]")
        if metric.source not in sources:
            raise _refuse(154, f"{where}.metrics[{metric.name}].source", "not a source of metrics", "name one", got=metric.source)
    if not service.guards:
        raise _refuse(155, f"{where}.guards", "no guard metrics", "without guards no regression can be seen")
    _unique([g.name for g in service.guards], f"{where}.guards", "guard")
    for guard in service.guards:
        if guard.margin < 0 or guard.floor < 0 or (guard.margin == 0 and guard.floor == 0):
            raise _refuse(156, f"{where}.guards[{guard.name}]", "needs a positive margin or floor", "give one", got=guard.margin)
        if guard.kind != "error_rate" and not guard.series:
            raise _refuse(157, f"{where}.guards[{guard.name}].series", "missing", "name the series of /metrics")
    for slo in service.slos:
        if service.metric(slo.metric) is None:
            raise _refuse(158, f"{where}.slos[{slo.name}].metric", "not a metric of this service", "name one", got=slo.metric)


def _check_load(load: Load, where: str) -> None:
    if not load.allow:
        raise _refuse(160, f"{where}.allow", "the allow-list is empty", "name host and port of each target")
    for target in load.allow:
        if not HOST.fullmatch(target.host) or not 0 < target.port < 65536:
            raise _refuse(
                161,
                f"{where}.allow",
                "not a host and port",
                "plain host names or addresses, no URL, * or network",
                got=f"{target.host}:{target.port}",
            )
        try:
            address = ipaddress.ip_address(target.host)
        except ValueError:
            continue
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            raise _refuse(162, f"{where}.allow", "this address may never be a target", "remove it", got=target.host)
    for name, value in (
        ("max_rate", load.max_rate),
        ("max_duration_seconds", load.max_duration_seconds),
        ("window_hours", load.window_hours),
    ):
        if value <= 0:
            raise _refuse(163, f"{where}.{name}", "not positive", "give a bound", got=value)
    if load.max_tests < 1:
        raise _refuse(163, f"{where}.max_tests", "not positive", "give a bound", got=load.max_tests)
    if not load.profiles:
        raise _refuse(164, f"{where}.profiles", "no load profile", "describe at least one")
    for name, profile in load.profiles.items():
        place = f"{where}.profiles.{name}"
        rates = [profile.peak.rate, profile.failure.rate, profile.measurement.rate, *profile.stress.rates]
        seconds = [profile.peak.seconds, profile.failure.seconds, profile.measurement.block_seconds, profile.stress.seconds_each]
        if min(rates) <= 0 or max(rates) > load.max_rate:
            raise _refuse(
                165, place, "a rate is not positive or above max_rate", "lower it", got=max(rates), expected=f"0 to {load.max_rate:g}"
            )
        if min(seconds) <= 0 or max(seconds) > load.max_duration_seconds:
            raise _refuse(166, place, "a duration is not positive or above max_duration_seconds", "shorten it", got=max(seconds))
        if profile.measurement.blocks < 4:
            raise _refuse(
                167, f"{place}.measurement.blocks", "too few to decide anything", "4 blocks a side at least", got=profile.measurement.blocks
            )


def _check_optimizations(protocol: Protocol, where: str) -> None:
    _unique([o.id for o in protocol.optimizations], f"{where}.optimizations", "optimization")
    services = {s.name for s in protocol.services}
    for optimization in protocol.optimizations:
        place = f"{where}.optimizations[{optimization.id}]"
        if not re.fullmatch(r"[A-Z]{2,8}-[0-9]{1,6}", optimization.id):
            raise _refuse(170, f"{place}.id", "not an id", "write it like OPT-001", got=optimization.id)
        if optimization.service not in services:
            raise _refuse(171, f"{place}.service", "unknown service", "name one of the services", got=optimization.service)
        if protocol.person(optimization.owner) is None:
            raise _refuse(172, f"{place}.owner", "not a person of any role", "add the person to a role", got=optimization.owner)
        if not 0 < optimization.expected_gain_percent < 100:
            raise _refuse(173, f"{place}.expected_gain_percent", "out of range", "0 to 100", got=optimization.expected_gain_percent)
