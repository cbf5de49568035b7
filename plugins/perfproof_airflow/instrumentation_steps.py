"""Objectives that go live: prepared in phase 3, applied in phase 4 as approved, by the ways that the protocol file names."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from perfproof.applied_instrumentation import alarm_lines, branch_lines, file_lines
from perfproof.artifacts import Artifact
from perfproof.config import ApplyWay, Service
from perfproof.errors import ConfigError
from perfproof.git_names import branch_name
from perfproof.moments import parse_stamp
from perfproof.telemetry import document_bytes, sha256_hex
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.proposals import PROPOSAL, proposal_document
from perfproof_airflow.protected import Approved, verified_approvals
from perfproof_airflow.whole_files import write_files

# Beside the files that monitoring reads today, the same objectives for other tools.
SLO_DIRECTORY = "slo"
ALARMS = "slo-cloudwatch.json"
BEFORE, AFTER = "evidence/applied-cloudwatch-before.json", "evidence/applied-cloudwatch-after.json"
Files = Mapping[str, bytes]


def write_instrumentation(
    cycle: Cycle, *, state: str, validation: Mapping[str, Any], measurement: Mapping[str, Any], record: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Publishes the instrumentation log and its files; `applied` also takes the ways of `instrumentation.apply`.

    Each way does nothing where its result is there already, so a try after one that failed half-way comes to the same end.
    """
    from perfproof.instrumentation import instrumentation_files, instrumentation_log, slo_files

    approvals: list[Approved] = []
    if state == "applied":
        approvals = verified_approvals(cycle, "slo_updates")
        updates = cycle.document(PROPOSAL)["updates"]
    else:
        updates = proposal_document(cycle, validation, measurement)["updates"]
    measured = cycle.document(measurement)
    service = cycle.protocol.service(measured["service"])
    exported = slo_files(updates, cloudwatch=cycle.protocol.instrumentation.cloudwatch)
    files = {
        **instrumentation_files(service=service, updates=updates),
        **{f"{SLO_DIRECTORY}/{name}": data for name, data in exported.items()},
    }
    inputs = [validation, *([record] if record else [])]
    references = {
        path: cycle.publish(f"evidence/{state}-{Path(path).name}", functools.partial(bytes, data), inputs=inputs)
        for path, data in files.items()
    }
    where = _applied(cycle, service, files, approvals) if state == "applied" else []
    to_files = ApplyWay.FILES in cycle.protocol.instrumentation.apply
    return cycle.publish(
        Artifact.INSTRUMENTATION_LOG,
        lambda: instrumentation_log(
            state=state,
            service=service,
            updates=updates,
            files={name: cycle.source(reference) for name, reference in references.items()},
            directory=_directory(cycle, service) if to_files else None,
            validation_ref=cycle.source(validation),
            builds=measured["builds"],
            now=now(),
            where=where,
        ),
        inputs=[*inputs, *references.values()],
    )


def _directory(cycle: Cycle, service: Service) -> str:
    return f"{cycle.protocol.instrumentation_directory}/{service.name}"


def _applied(cycle: Cycle, service: Service, files: Files, approvals: Sequence[Approved]) -> list[str]:
    """Takes each way, and returns what the log says about them."""
    ways = cycle.protocol.instrumentation.apply
    lines: list[str] = []
    if ApplyWay.FILES in ways:
        lines += _to_files(_directory(cycle, service), files)
    if ApplyWay.GIT in ways:
        lines += _to_git(cycle, service, files, approvals)
    if ApplyWay.CLOUDWATCH in ways:
        lines += _to_cloudwatch(cycle, service, files)
    return lines or ["- Nothing: the protocol file names no way to apply it."]


def _to_files(directory: str, files: Files) -> list[str]:
    root = settings.workspace_root() / directory
    for parent in sorted({str(Path(path).parent) for path in files}):
        write_files(root / parent, {Path(path).name: data for path, data in files.items() if str(Path(path).parent) == parent})
    return file_lines(directory, {path: sha256_hex(data) for path, data in files.items()})


def _to_git(cycle: Cycle, service: Service, files: Files, approvals: Sequence[Approved]) -> list[str]:
    from perfproof_airflow.hooks.git_branch import GitBranchHook
    from perfproof_airflow.hooks.workspace import Workspace

    target = cycle.protocol.instrumentation.git
    if target is None:
        raise _not_given("git")
    digest = sha256_hex(document_bytes({path: sha256_hex(data) for path, data in files.items()}))
    change = GitBranchHook(Workspace(settings.workspace_root()), target).apply(
        {f"{service.name}/{path}": data for path, data in files.items()},
        branch=branch_name(target.branch, service=service.name, run=cycle.run, digest=digest),
        message=_message(cycle, service, approvals),
        moment=_approved_at(approvals),
    )
    return branch_lines(change)


def _message(cycle: Cycle, service: Service, approvals: Sequence[Approved]) -> str:
    """The commit's message: what was approved, where that is recorded, and nothing that another try would say otherwise."""
    lines = [f"Objectives of {service.name}, as approved", "", f"Cycle: {cycle.run}"]
    lines.append(f"Proposal: sha256:{cycle.reference(PROPOSAL)['sha256']}")
    lines += [f"Approval: sha256:{approved.entry_sha256}" for approved in approvals]
    return "\n".join(lines) + "\n"


def _approved_at(approvals: Sequence[Approved]) -> datetime:
    """When the last of them was given: the commit's date, so that each try makes the same commit."""
    return max(parse_stamp(approved.record["decided_at"], where="decided_at") for approved in approvals)


def _to_cloudwatch(cycle: Cycle, service: Service, files: Files) -> list[str]:
    from perfproof.slos.alarm_changes import after_document, alarm_changes, before_document, wanted_alarms
    from perfproof_airflow.hooks.cloudwatch_apply import CloudWatchApplyHook

    target = cycle.protocol.instrumentation.cloudwatch
    if target is None:
        raise _not_given("cloudwatch")
    export = files.get(f"{SLO_DIRECTORY}/{ALARMS}")
    wanted = wanted_alarms(export) if export is not None else []
    hook = CloudWatchApplyHook(target)
    found, others = hook.found(wanted)
    # Each objective has an alarm on its absence, so its name is known from that.
    begins = tuple(str(alarm["AlarmName"]).removesuffix("absent") for _, alarm in wanted if str(alarm["AlarmName"]).endswith("-absent"))
    left = [name for name in others if begins and name.startswith(begins)]
    # What a try finds that comes after one that was killed is partly new; what was there before anything was put is in evidence.
    before = cycle.publish(BEFORE, lambda: before_document(wanted, found, connection=target.connection))
    hook.put(wanted, found, service=service.name)
    now_there = hook.read_back(wanted)
    changes = alarm_changes(wanted, before=cycle.document(before), after=now_there)
    after = cycle.publish(AFTER, lambda: after_document(wanted, now_there, changes, connection=target.connection), inputs=[before])
    return alarm_lines(changes, connection=target.connection, before=cycle.source(before), after=cycle.source(after), others=left)


def _not_given(way: str) -> ConfigError:
    return ConfigError(
        900, where=f"instrumentation.{way}", what="missing, although apply names it", fix=f"add {way}, or take it out of apply"
    )
