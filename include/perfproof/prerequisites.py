"""What must be true before a cycle starts: supplied artifacts, access to telemetry, write permission, a mirroring test environment.

Nothing here opens a file or a connection: the glue looks, these functions judge what it found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.config import MirrorCheck, PrerequisiteArtifact, Protocol, Validator
from perfproof.errors import ArtifactError, PerfproofError, TelemetryError
from perfproof.inputs.backlog import validate_backlog
from perfproof.inputs.baseline_files import validate_baseline
from perfproof.inputs.monitoring_package import validate_monitoring_package
from perfproof.inputs.reports import validate_deployment_report, validate_incident_report
from perfproof.inputs.shapes import Supplied
from perfproof.moments import stamp
from perfproof.telemetry import sha256_hex

SECONDS_PER_DAY = 86_400
# A file's own date may lie ahead of this machine's clock by as much as clocks differ, not more.
CLOCK_SKEW_SECONDS = 300
# No file of the workspace may be larger, whoever reads it.
MAX_FILE_BYTES = 64 << 20


class Status(StrEnum):
    """What was found of an artifact."""

    OK = "ok"
    MISSING = "missing"
    STALE = "stale"
    INVALID = "invalid"
    ABSENT_OPTIONAL = "absent_optional"


class Check(StrEnum):
    """What was found of the system's state. Unknown is not ok."""

    OK = "ok"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileFound:
    """What the glue found at a path. `data` is None if there is no such file; `error` says why a file could not be read."""

    path: str
    data: bytes | None
    modified_at: datetime | None
    error: str | None = None


_VALIDATORS: dict[Validator, Callable[..., Supplied]] = {
    Validator.MONITORING_PACKAGE: validate_monitoring_package,
    Validator.DEPLOYMENT_REPORT: validate_deployment_report,
    Validator.INCIDENT_REPORT: validate_incident_report,
    Validator.INTAKE_BACKLOG: validate_backlog,
    Validator.BASELINE_METRICS: validate_baseline,
}


def supplied(artifact: PrerequisiteArtifact, data: bytes) -> Supplied:
    """The validated content of a supplied artifact. Raises ArtifactError in one line that names the file."""
    return _VALIDATORS[artifact.validator](data, where=artifact.name)


def examine_artifacts(protocol: Protocol, files: Mapping[str, FileFound], *, now: datetime) -> list[dict[str, Any]]:
    """One finding per declared artifact: {name, path, required, status, reason, sha256, modified_at, dated, age_days, max_age_days}.

    The age counts from the date that the file itself names, or from its last change if it names none: a copied or touched
    file is not younger. An optional artifact may be absent; one that is there must be valid and current like the others.
    """
    return [
        _examined(artifact, files.get(artifact.name) or FileFound(artifact.path, None, None), now) for artifact in protocol.prerequisites
    ]


def _examined(artifact: PrerequisiteArtifact, found: FileFound, now: datetime) -> dict[str, Any]:
    content: Supplied | None = None
    problem: str | None = None
    if found.data is not None:
        try:
            content = supplied(artifact, found.data)
        except PerfproofError as error:
            problem = str(error)
    dated = content.dated if content else None
    born = dated or found.modified_at
    age = None if born is None else (now - born).total_seconds() / SECONDS_PER_DAY
    status, reason = _judged(artifact, found, problem, age)
    return {
        "name": artifact.name,
        "path": artifact.path,
        "required": artifact.required,
        "status": status.value,
        "reason": reason,
        "sha256": None if found.data is None else sha256_hex(found.data),
        "modified_at": None if found.modified_at is None else stamp(found.modified_at),
        "dated": None if dated is None else stamp(dated),
        "age_days": None if age is None else round(age, 3),
        "max_age_days": artifact.max_age_days,
    }


def _judged(artifact: PrerequisiteArtifact, found: FileFound, problem: str | None, age: float | None) -> tuple[Status, str | None]:
    if found.error is not None:
        return Status.INVALID, found.error
    if found.data is None:
        absent = f"no file at {artifact.path}"
        return (Status.MISSING, absent) if artifact.required else (Status.ABSENT_OPTIONAL, f"{absent}; it is used if available")
    if problem is not None:
        return Status.INVALID, problem
    if age is None:
        return Status.INVALID, "neither the file nor its directory entry says how old it is"
    if age < -CLOCK_SKEW_SECONDS / SECONDS_PER_DAY:
        return Status.INVALID, f"dated {-age:.2f} days in the future"
    if age > artifact.max_age_days:
        return Status.STALE, f"{age:.1f} days old, {artifact.max_age_days:g} allowed"
    return Status.OK, None


def blocking_artifacts(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per artifact that keeps the cycle from starting: missing, stale or invalid, optional or not."""
    allowed = (Status.OK, Status.ABSENT_OPTIONAL)
    return [f"{item['name']} is {item['status']}: {item['reason']}" for item in findings if item["status"] not in allowed]


def missing_required(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of required artifacts that are not ok."""
    return [str(item["name"]) for item in findings if item["required"] and item["status"] != Status.OK]


def check_required(findings: Sequence[Mapping[str, Any]]) -> None:
    """Raises ArtifactError with every artifact that blocks the cycle, in one line."""
    blocking = blocking_artifacts(findings)
    if blocking:
        raise ArtifactError(
            391, where="prerequisites", what=f"{len(blocking)} artifact(s) not validated and current", got="; ".join(blocking),
            fix="supply them at the paths of the protocol file, then clear this task",
        )  # fmt: skip


def examine_mirror(check: MirrorCheck, found: float | None, *, error: str | None = None) -> dict[str, Any]:
    """{name, kind, query, production, found, tolerance, difference_percent, status, reason}: does the test environment mirror production.

    Within tolerance means |found - production| <= tolerance * |production|. A fact that could not be read is UNKNOWN.
    """
    base = {"name": check.name, "kind": check.kind.value, "query": check.query, "production": check.production}
    if found is None or not math.isfinite(found):
        return {
            **base,
            "found": None,
            "tolerance": check.tolerance,
            "difference_percent": None,
            "status": Check.UNKNOWN.value,
            "reason": error or "no finite value",
        }
    difference = found - check.production
    close = abs(difference) <= check.tolerance * abs(check.production) + 1e-9 * max(1.0, abs(check.production))
    percent = round(100 * difference / abs(check.production), 3) if check.production else None
    reason = None if close else f"found {found:g}, production has {check.production:g} (tolerance {100 * check.tolerance:g} %)"
    status = Check.OK if close else Check.MISMATCH
    return {
        **base,
        "found": found,
        "tolerance": check.tolerance,
        "difference_percent": percent,
        "status": status.value,
        "reason": reason,
    }


def access_record(*, name: str, provides: str, critical: bool, error: str | None) -> dict[str, Any]:
    """Access to one telemetry source: {name, provides, critical, status, reason}."""
    status = Check.OK if error is None else Check.UNKNOWN
    return {"name": name, "provides": provides, "critical": critical, "status": status.value, "reason": error}


def directory_record(*, path: str, error: str | None) -> dict[str, Any]:
    """Write permission to one directory: {path, writable, reason}."""
    return {"path": path, "writable": error is None, "reason": error}


def check_record(*, name: str, error: str | None) -> dict[str, Any]:
    """Something else that must work: {name, status, reason}."""
    return {"name": name, "status": (Check.OK if error is None else Check.UNKNOWN).value, "reason": error}


def system_state(
    *,
    access: Sequence[Mapping[str, Any]],
    directories: Sequence[Mapping[str, Any]],
    mirror: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The state of the system from the records above: {telemetry_access, write_permissions, mirrors_production, others}."""
    return {
        "telemetry_access": [dict(item) for item in access],
        "write_permissions": [dict(item) for item in directories],
        "mirrors_production": [dict(item) for item in mirror],
        "others": [dict(item) for item in others],
    }


def system_state_problems(state: Mapping[str, Any]) -> list[str]:
    """One line for everything in the system's state that keeps the cycle from starting."""
    problems = [
        f"no access to {item['name']} ({item['provides']}): {item['reason']}"
        for item in state["telemetry_access"]
        if item["critical"] and item["status"] != Check.OK
    ]
    problems += [f"no write permission to {item['path']}: {item['reason']}" for item in state["write_permissions"] if not item["writable"]]
    problems += [
        f"{item['name']} does not mirror production: {item['reason']}" for item in state["mirrors_production"] if item["status"] != Check.OK
    ]
    return problems + [f"{item['name']}: {item['reason']}" for item in state["others"] if item["status"] != Check.OK]


def check_system_state(state: Mapping[str, Any]) -> None:
    """Raises TelemetryError with every problem of `system_state_problems`, in one line."""
    problems = system_state_problems(state)
    if problems:
        raise TelemetryError(
            260, where="system state", what=f"{len(problems)} prerequisite(s) not met", got="; ".join(problems),
            fix="give access, permission or sizing as the protocol file declares them, then clear this task",
        )  # fmt: skip


def prerequisites_document(
    findings: Sequence[Mapping[str, Any]], *, state: Mapping[str, Any], protocol_sha256: str, now: datetime
) -> dict[str, Any]:
    """`prerequisites.json`. `status` is "ok" only if `blocking` is empty; optional sources that do not answer are UNKNOWN."""
    blocking = [*blocking_artifacts(findings), *system_state_problems(state)]
    return {
        "verified_at": stamp(now),
        "protocol_sha256": protocol_sha256,
        "status": "blocked" if blocking else "ok",
        "blocking": blocking,
        "artifacts": [dict(item) for item in findings],
        **state,
        "unknown": [
            f"{item['name']} ({item['provides']}): {item['reason']}" for item in state["telemetry_access"] if item["status"] != Check.OK
        ],
    }
