"""What a protocol file may not say although every value has the right type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perfproof.config_ranges import check_baseline, check_cost, check_not_negative, check_positive
from perfproof.config_refusals import IDENTIFIER as IDENTIFIER
from perfproof.config_refusals import check_identifier as _check_identifier
from perfproof.config_refusals import check_unique as _unique
from perfproof.config_refusals import refusal as _refuse
from perfproof.instrumentation_checks import check_instrumentation, check_recipient
from perfproof.load_checks import check_endpoints, check_load
from perfproof.role_checks import MAX_EXPIRY_DAYS as MAX_EXPIRY_DAYS
from perfproof.role_checks import STEPS as STEPS
from perfproof.role_checks import TASK_OWNER as TASK_OWNER
from perfproof.role_checks import check_approvals, check_roles
from perfproof.service_checks import check_service
from perfproof.source_checks import check_sources

if TYPE_CHECKING:
    from perfproof.config import Protocol

# A supplied file is kept as evidence under its name.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_OBJECTIVE = 500
SCHEMA_VERSION = 1
# The spec's pass thresholds (Quality Gates): a protocol file may ask for more, not for less.
MINIMUM_THRESHOLDS = {
    "baseline_completeness": 95.0,
    "diagnostic_coverage": 90.0,
    "improvement": 15.0,
    "documentation_completeness": 95.0,
}


def check_protocol(protocol: Protocol, *, where: str) -> None:
    """Raises ConfigError for the first thing in `protocol` that contradicts itself or the specification."""
    _check_identifier(protocol.name, f"{where}.name")
    check_roles(protocol, where)
    check_approvals(protocol, where)
    _check_thresholds(protocol, where)
    _check_texts(protocol, where)
    _check_prerequisites(protocol, where)
    _check_environment(protocol, where)
    check_sources(protocol, where)
    for source in protocol.sources:
        if source.path:
            check_relative(source.path, f"{where}.sources[{source.name}].path")
    check_baseline(protocol.baseline, f"{where}.baseline")
    if not protocol.services:
        raise _refuse(131, f"{where}.services", "no services", "name at least one service")
    _unique([s.name for s in protocol.services], f"{where}.services", "service")
    for service in protocol.services:
        check_service(protocol, service, f"{where}.services[{service.name}]")
    if not any(s.metric(protocol.target_metric) for s in protocol.services):
        raise _refuse(132, f"{where}.target_metric", "no service has this metric", "name a metric of a service", got=protocol.target_metric)
    check_load(protocol.load, f"{where}.load", services=len(protocol.services))
    check_endpoints(protocol, where)
    _check_optimizations(protocol, where)
    names = [s.name for s in protocol.services]
    check_cost(protocol.cost, f"{where}.cost", services=names)
    check_instrumentation(protocol.instrumentation, f"{where}.instrumentation", services=names)


def check_schema_version(document: Mapping[str, Any], *, where: str) -> None:
    """Raises ConfigError for another version, before keys are refused that a later version may know."""
    version = document.get("schema_version")
    if type(version) is int and version != SCHEMA_VERSION:
        raise _refuse(
            130, f"{where}.schema_version", "unknown schema version", "upgrade perfproof or the file", got=version, expected=SCHEMA_VERSION
        )


def _check_texts(protocol: Protocol, where: str) -> None:
    if not 0 < len(protocol.objective.strip()) <= MAX_OBJECTIVE:
        raise _refuse(
            196, f"{where}.objective", "empty or too long", "say it in a sentence", got=f"{len(protocol.objective)} characters",
            expected=f"1 to {MAX_OBJECTIVE}",
        )  # fmt: skip
    check_relative(protocol.context_directory, f"{where}.context_directory")
    check_relative(protocol.instrumentation_directory, f"{where}.instrumentation_directory")
    recipients = [("next_protocol", protocol.distribution.next_protocol), ("monitoring", protocol.distribution.monitoring)]
    recipients += [(f"report[{index}]", recipient) for index, recipient in enumerate(protocol.distribution.report)]
    for name, recipient in recipients:
        check_recipient(recipient, f"{where}.distribution.{name}")
        if recipient.directory is not None:
            check_relative(recipient.directory, f"{where}.distribution.{name}.directory")
    if protocol.instrumentation.git is not None:
        check_relative(protocol.instrumentation.git.repository, f"{where}.instrumentation.git.repository")
    for service in protocol.services:
        for side, endpoint in (("baseline", service.endpoints.baseline), ("candidate", service.endpoints.candidate)):
            if endpoint is not None and endpoint.pid_file is not None:
                check_relative(endpoint.pid_file, f"{where}.services[{service.name}].endpoints.{side}.pid_file")


def _check_environment(protocol: Protocol, where: str) -> None:
    environment = protocol.environment
    if not environment.name.strip():
        raise _refuse(196, f"{where}.environment.name", "empty", "write the name that the target answers at build_path")
    _unique([check.name for check in environment.mirrors_production], f"{where}.environment.mirrors_production", "fact")
    asked = any(source.kind == "prometheus" for source in protocol.sources)
    for check in environment.mirrors_production:
        if check.kind == "metric" and not asked:
            raise _refuse(
                255, f"{where}.environment.mirrors_production[{check.name}]", "a metric is asked of Prometheus, and there is none",
                "declare a source of kind prometheus, or read the fact by sql",
            )  # fmt: skip
        check_not_negative(check.tolerance, f"{where}.environment.mirrors_production[{check.name}].tolerance", most=1)


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
        if not FILE_NAME.fullmatch(artifact.name) or ".." in artifact.name:
            raise _refuse(
                133, f"{where}.prerequisites[{artifact.name}].name", "not the name of a file", "use letters, digits, . _ -",
                got=artifact.name, expected=FILE_NAME.pattern,
            )  # fmt: skip
        check_relative(artifact.path, f"{where}.prerequisites[{artifact.name}].path")
        check_positive(artifact.max_age_days, f"{where}.prerequisites[{artifact.name}].max_age_days", most=3650, number=145)


def check_relative(path: str, where: str) -> None:
    """Raises ConfigError unless `path` stays inside the workspace as it is written."""
    parts = path.split("/")
    if path != path.strip() or path.startswith(("/", "~", "-")) or ".." in parts or "\\" in path or not path or "\0" in path:
        raise _refuse(146, where, "not a path inside the workspace", "give a relative path without ..", got=path)


def _check_optimizations(protocol: Protocol, where: str) -> None:
    _unique([o.id for o in protocol.optimizations], f"{where}.optimizations", "optimization")
    services = {s.name for s in protocol.services}
    for optimization in protocol.optimizations:
        place = f"{where}.optimizations[{optimization.id}]"
        if not re.fullmatch(r"[A-Z]{2,8}-[0-9]{1,6}", optimization.id):
            raise _refuse(170, f"{place}.id", "not an id", "write it like OPT-001", got=optimization.id)
        if optimization.service not in services:
            raise _refuse(171, f"{place}.service", "unknown service", "name one of the services", got=optimization.service)
        if protocol.person(optimization.owner or "") is None:
            raise _refuse(172, f"{place}.owner", "not a person of any role", "add the person to a role", got=optimization.owner)
        if not 0 < optimization.expected_gain_percent < 100:
            raise _refuse(173, f"{place}.expected_gain_percent", "out of range", "0 to 100", got=optimization.expected_gain_percent)
