"""What is missing: what will halt the run and at which task, then what only lessens it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perfproof.config import Fault, MirrorKind, Protocol, Provides, SourceKind
from perfproof.errors import PerfproofError
from perfproof.parameters import Parameters
from perfproof.prerequisites import Check, Status
from perfproof.preview.found import Found
from perfproof.preview.load_sent import BEFORE, COMPARED, LOAD_TESTS, PROFILING
from perfproof.preview.subject import candidate_of, chosen_services, considered, profiler_of, target_service
from perfproof.telemetry import sha256_hex

Item = dict[str, Any]
ARTIFACTS, STATE = "prerequisites.verify_artifacts", "prerequisites.verify_system_state"
TELEMETRY, BASELINE = "intake_and_baseline.collect_telemetry", "intake_and_baseline.capture_baseline"
QUERIES, PLAN = "diagnostics.explain_queries", "optimization.define_plan"
ASKED_AT_ONCE = (Provides.METRICS, Provides.LOGS, Provides.TRACES)


def _item(kind: str, name: str, *, at: str, reason: str, fix: str, halts: bool = True) -> Item:
    return {"kind": kind, "name": name, "halts": halts, "at": at, "reason": reason, "fix": fix}


def missing_documents(
    protocol: Protocol,
    parameters: Parameters,
    *,
    found: Found,
    artifacts: Sequence[Mapping[str, Any]],
    asked: Sequence[Mapping[str, Any]],
    refused: Sequence[PerfproofError],
) -> list[Item]:
    """The part `missing` of the preview: first what halts, in the order of the run."""
    items = [
        *_artifacts(artifacts),
        *_system(found),
        *_connections(protocol, parameters, found),
        *_sources(protocol, found, artifacts),
        *_refused(protocol, refused),
        *_deployments(protocol, parameters),
        *_journeys(protocol, parameters, found),
        *_optimizations(protocol, parameters),
        *_people(asked),
    ]
    return sorted(items, key=lambda item: not item["halts"])


def _artifacts(artifacts: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    for finding in artifacts:
        if finding["status"] not in (Status.OK, Status.ABSENT_OPTIONAL):
            reason = f"{finding['status']}: {finding['reason']}"
            yield _item("artifact", finding["name"], at=ARTIFACTS, reason=reason, fix=f"supply it, valid and current, at {finding['path']}")


def _system(found: Found) -> Iterator[Item]:
    for directory in found.directories or ():
        if not directory["writable"]:
            yield _item("directory", directory["path"], at=STATE, reason=directory["reason"], fix="give write permission, or name another")
    for check in found.others:
        if check["status"] != Check.OK:
            yield _item("system", check["name"], at=STATE, reason=check["reason"], fix="set it up as the operations guide says")


def _connections(protocol: Protocol, parameters: Parameters, found: Found) -> Iterator[Item]:
    if found.connections is None:
        return
    told: set[str] = set()
    for connection, at, halts, of in _named_connections(protocol, parameters):
        if not found.connections.get(connection, False) and connection not in told:
            told.add(connection)
            reason = f"this Airflow knows no Connection of that id, which is for {of}"
            yield _item("connection", connection, at=at, halts=halts, reason=reason, fix="add it under Admin > Connections")


def connection_ids(protocol: Protocol, parameters: Parameters) -> list[str]:
    """Every Connection that the run needs, each once."""
    return list(dict.fromkeys(named[0] for named in _named_connections(protocol, parameters)))


def _named_connections(protocol: Protocol, parameters: Parameters) -> Iterator[tuple[str, str, bool, str]]:
    """(id, task that needs it, whether the task halts without it, what it is for); for the same id what halts comes first."""
    uses = [
        (source.connection, _asked_at(source.provides), source.critical, f"the source {source.name}")
        for source in protocol.sources
        if source.connection is not None
    ]
    mirrored = any(check.kind is MirrorKind.SQL for check in protocol.environment.mirrors_production)
    for index, service in enumerate(chosen_services(protocol, parameters)):
        baseline, candidate = service.endpoints.baseline, service.endpoints.candidate
        if baseline.database_connection is not None:
            at = STATE if mirrored and index == 0 else PROFILING
            uses.append((baseline.database_connection, at, True, f"the database of the baseline of {service.name}"))
        if candidate is not None and candidate.database_connection is not None:
            uses.append((candidate.database_connection, COMPARED, False, f"the database of the candidate of {service.name}"))
    if protocol.cost.aws is not None:
        uses.append((protocol.cost.aws.connection, "diagnostics.analyze_capacity_and_cost", False, "prices of instances"))
    yield from sorted(uses, key=lambda use: not use[2])


def _asked_at(provides: Provides) -> str:
    return STATE if provides in ASKED_AT_ONCE else TELEMETRY


def _sources(protocol: Protocol, found: Found, artifacts: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    absent = {finding["name"] for finding in artifacts if finding["status"] == Status.ABSENT_OPTIONAL}
    for source in protocol.sources:
        reason = (found.answers or {}).get(source.name) or (found.paths or {}).get(source.name)
        fix = "make it answer, or correct it in the protocol file"
        if source.kind is SourceKind.ARTIFACT and source.artifact in absent:
            reason, fix = f"the artifact {source.artifact} is absent", "supply it, or let the source be optional"
        if reason is not None:
            less = "" if source.critical else "; the report says UNKNOWN"
            yield _item("source", source.name, at=_asked_at(source.provides), halts=source.critical, reason=reason + less, fix=fix)


def _refused(protocol: Protocol, refused: Sequence[PerfproofError]) -> Iterator[Item]:
    if protocol.environment.production:
        yield _item(
            "environment", protocol.environment.name, at=PROFILING, reason="a production environment is not load-tested",
            fix="name the test environment that mirrors production",
        )  # fmt: skip
        return
    for error in {str(error): error for error in refused}.values():
        kind, at = ("source", BASELINE) if error.code.startswith("TEL") else ("load", PROFILING)
        yield _item(kind, error.where, at=at, reason=f"{error.code} {error.what}", fix=error.fix)


def _deployments(protocol: Protocol, parameters: Parameters) -> Iterator[Item]:
    for service in chosen_services(protocol, parameters):
        baseline, name = service.endpoints.baseline, service.name
        if profiler_of(baseline) is None:
            yield _item(
                "profiler", name, at=PROFILING, reason="the baseline has no pid_file and no pprof_path to profile", fix="add one of them"
            )
        if profiler_of(candidate_of(service)) is None:
            reason = "the candidate has no pid_file and no pprof_path, so its profile is not compared"
            yield _item("profiler", name, at=COMPARED, halts=False, reason=reason, fix="add one of them")
    target = target_service(protocol, parameters)
    failure = protocol.load.profiles[parameters.load_profile].failure
    if failure.fault is Fault.TERMINATE_DATABASE_CONNECTIONS and target.endpoints.baseline.database_connection is None:
        reason = f"the fault {failure.fault.value} needs a database, and the baseline names none"
        yield _item("load", target.name, at=LOAD_TESTS, reason=reason, fix="add database_connection, or choose another fault")
    if target.endpoints.candidate is None:
        reason = "no candidate endpoint: baseline and candidate are measured one after the other, before and after the deployment"
        fix = "name endpoints.candidate to have drift fall on both sides alike"
        yield _item("comparison", target.name, at=BEFORE, halts=False, reason=reason, fix=fix)


def _journeys(protocol: Protocol, parameters: Parameters, found: Found) -> Iterator[Item]:
    journeys, file = protocol.load.profiles[parameters.load_profile].journeys, found.journeys
    if journeys is None or file is None:
        return
    fix = "supply the file whose digest stands in the load profile"
    if file.error is not None or file.data is None:
        yield _item("file", journeys.file, at=LOAD_TESTS, reason=file.error or "no such file", fix=fix)
    elif sha256_hex(file.data) != journeys.sha256:
        yield _item("file", journeys.file, at=LOAD_TESTS, reason=f"its SHA-256 is {sha256_hex(file.data)}, not {journeys.sha256}", fix=fix)


def _optimizations(protocol: Protocol, parameters: Parameters) -> Iterator[Item]:
    items = considered(protocol, parameters)
    if not items:
        services = ", ".join(parameters.services)
        yield _item(
            "optimization", services, at=PLAN, reason="no optimization is described for these services", fix="describe at least one"
        )
    for item in items:
        unresolved = [d.name for d in item.dependencies if not d.resolved]
        if unresolved:
            surely = bool(parameters.optimizations)
            reason = f"unresolved: {', '.join(unresolved)}" + (
                "" if surely else "; it halts the run if a finding supports the optimization"
            )
            yield _item("optimization", item.id, at=PLAN, halts=surely, reason=reason, fix="resolve it, and set it resolved")


def _people(asked: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    for request in asked:
        if request["answerable"] == "yes":
            continue
        subject = f" {request['subject']}" if request["subject"] else ""
        condition = f"; asked {request['condition']}" if request["condition"] else ""
        halts = request["answerable"] == "no" and request["condition"] is None
        yield _item(
            "people", f"{request['step']}{subject}", at=request["task"], halts=halts, reason=f"{request['reason']}{condition}",
            fix="give the role to one more person, or let somebody else trigger the run or own the work",
        )  # fmt: skip
