"""What the tasks of phase 4 do: propose, record, instrument, report, share, hand off."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfproof import artifacts as names
from perfproof.announcements import Announcement, one_line
from perfproof.artifacts import Artifact, gate_result_name
from perfproof.config import Recipient
from perfproof.errors import ArtifactError
from perfproof.evidence import EntryType
from perfproof.moments import stamp
from perfproof.notifications import TITLES, Kind, Notification
from perfproof.telemetry import sha256_hex
from perfproof_airflow import settings
from perfproof_airflow.checkpoints import checkpoint
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.protected import verified_approvals

PROPOSAL = "evidence/slo-proposal.json"
# Beside the files that monitoring reads today, the same objectives for other tools.
SLO_DIRECTORY = "slo"


def _proposal(cycle: Cycle, validation: Mapping[str, Any], measurement: Mapping[str, Any]) -> dict[str, Any]:
    from perfproof.judging.target_values import target_values
    from perfproof.slo import propose_updates
    from perfproof_airflow.target_history import target_history

    measured = cycle.document(measurement)
    service = cycle.protocol.service(measured["service"])
    history, no_history = target_history(cycle, service)
    return propose_updates(
        validation=cycle.document(validation),
        validation_ref=cycle.source(validation),
        candidate_blocks=target_values(measured, cycle.parameters.target_metric, service=service, side="candidate"),
        service=service,
        now=now(),
        history=history,
        no_history=no_history,
    )


def propose(cycle: Cycle, *, validation: Mapping[str, Any], measurement: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes the SLO proposal, bound to the validation report."""
    return cycle.publish(PROPOSAL, lambda: _proposal(cycle, validation, measurement), inputs=[validation, measurement])


def record_slo(cycle: Cycle, *, proposal: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes slo-update-record.json from approvals that were verified just now."""
    from perfproof.slo import slo_update_record

    approvals = verified_approvals(cycle, "slo_updates")
    reference = cycle.publish(
        Artifact.SLO_UPDATE_RECORD,
        lambda: slo_update_record(
            proposal=cycle.document(proposal),
            proposal_ref=cycle.source(proposal),
            approvals=[approved.citation() for approved in approvals],
            required=cycle.protocol.approvals.steps["slo_updates"],
            roles=cycle.protocol.roles,
            now=now(),
        ),
        inputs=[proposal],
    )
    cycle.record(EntryType.SLO_UPDATED, {"record": cycle.source(reference), "proposal": cycle.source(proposal)})
    return reference


def write_instrumentation(
    cycle: Cycle, *, state: str, validation: Mapping[str, Any], measurement: Mapping[str, Any], record: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Publishes the instrumentation log and its files; `applied` also writes the files where monitoring reads them."""
    from perfproof.instrumentation import instrumentation_files, instrumentation_log, slo_files

    if state == "applied":
        verified_approvals(cycle, "slo_updates")
        updates = cycle.document(PROPOSAL)["updates"]
    else:
        updates = _proposal(cycle, validation, measurement)["updates"]
    measured = cycle.document(measurement)
    service = cycle.protocol.service(measured["service"])
    files, exported = instrumentation_files(service=service, updates=updates), slo_files(updates)
    inputs = [validation, *([record] if record else [])]
    references = {
        path: cycle.publish(f"evidence/{state}-{Path(path).name}", functools.partial(bytes, data), inputs=inputs)
        for path, data in {**files, **{f"{SLO_DIRECTORY}/{name}": data for name, data in exported.items()}}.items()
    }
    directory = cycle.protocol.instrumentation_directory
    if state == "applied":
        write_files(settings.workspace_root() / directory / service.name, files)
        write_files(settings.workspace_root() / directory / service.name / SLO_DIRECTORY, exported)
    return cycle.publish(
        Artifact.INSTRUMENTATION_LOG,
        lambda: instrumentation_log(
            state=state,
            service=service,
            updates=updates,
            files={name: cycle.source(reference) for name, reference in references.items()},
            directory=f"{directory}/{service.name}",
            validation_ref=cycle.source(validation),
            builds=measured["builds"],
            now=now(),
        ),
        inputs=[*inputs, *references.values()],
    )


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Writes each file whole: a reader sees the old or the new one, never half of it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        temporary = directory / f".{name}.new"
        temporary.write_bytes(data)
        temporary.replace(directory / name)


def _evidence_of(cycle: Cycle) -> Any:
    """Everything the report shows, read by digest. Raises EvidenceError naming what is missing."""
    from perfproof.report import Evidence
    from perfproof_airflow.gate import GATE_TASKS, gate_decision

    live = cycle.store.live_all()
    gates = [cycle.document(gate_result_name(n)) for n in range(1, 5) if gate_result_name(n) in live]
    approvals = [entry.body for entry in cycle.store.of_type(EntryType.APPROVAL_GRANTED)]
    captions = {
        "flame": "Where the time goes (flame graph)",
        "load": "Latency of each load scenario",
        "blocks": "Measured blocks of both sides",
    }
    pictures = {name: next((text for word, text in captions.items() if word in name), name) for name in live if name.endswith(".svg")}
    return Evidence(
        run=cycle.run,
        parameters=cycle.parameters.document(),
        intake=cycle.document(Artifact.INTAKE_REPORT),
        baseline=cycle.document(names.BASELINE_JSON),
        hypotheses=cycle.document("evidence/hypotheses-checked.json"),
        profiles=cycle.profiles(),
        query_plans=cycle.document("evidence/query-plans.json"),
        load_results=cycle.document(Artifact.LOAD_TEST_RESULTS),
        capacity=cycle.document("evidence/capacity.json"),
        plan=cycle.document(Artifact.OPTIMIZATION_PLAN),
        validation=cycle.document(Artifact.VALIDATION_REPORT),
        slo_record=cycle.document(Artifact.SLO_UPDATE_RECORD),
        gates=gates,
        approvals=approvals,
        waivers=[entry.body for entry in cycle.store.of_type(EntryType.WAIVER_GRANTED)],
        sources=[{"name": name, "sha256": entry.body["sha256"]} for name, entry in live.items() if not _report_itself(name)],
        pictures=pictures,
        decisions={n: gate_decision(cycle, n).value for n in GATE_TASKS if gate_result_name(n) in live},
    )


def _report_itself(name: str) -> bool:
    return name in (Artifact.PERFORMANCE_REPORT, names.REPORT_HTML, Artifact.MANIFEST)


def compile_report(cycle: Cycle, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Publishes the report as Markdown and HTML, and the manifest."""
    from perfproof.report import render_html, render_markdown, sections

    evidence = _evidence_of(cycle)
    content = sections(evidence)
    title = "Performance report"
    report = cycle.publish(Artifact.PERFORMANCE_REPORT, lambda: render_markdown(title, content), inputs=inputs)
    pictures = {name: cycle.read(name) for name in evidence.pictures}
    cycle.publish(names.REPORT_HTML, lambda: render_html(title, content, pictures).encode(), inputs=inputs)
    publish_manifest(cycle, inputs=[report])
    return report


def publish_manifest(cycle: Cycle, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Publishes the manifest of the other twelve artifacts as the log gives it now."""
    from perfproof.evidence.manifest import build_manifest

    return cycle.publish(Artifact.MANIFEST, lambda: build_manifest(cycle.store, time=now()), inputs=inputs)


def share(cycle: Cycle, *, report: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes notes and backlog, delivers report and notes, and logs every delivery with recipient and digest."""
    from perfproof.improvement import backlog, improvement_notes

    distribution = cycle.protocol.distribution
    plan, validation = cycle.document(Artifact.OPTIMIZATION_PLAN), cycle.document(Artifact.VALIDATION_REPORT)
    slo_record = cycle.document(Artifact.SLO_UPDATE_RECORD)
    items = cycle.publish(
        names.INTAKE_BACKLOG,
        lambda: backlog(
            plan=plan,
            hypotheses=cycle.document("evidence/hypotheses-checked.json"),
            validation=validation,
            load_results=cycle.document(Artifact.LOAD_TEST_RESULTS),
            considered=cycle.parameters.services,
            run=cycle.run,
            now=now(),
        ),
        inputs=[report],
    )
    notes = cycle.publish(
        Artifact.IMPROVEMENT_NOTES,
        lambda: improvement_notes(
            backlog_document=cycle.document(items),
            slo_record=slo_record,
            validation=validation,
            labels=cycle.protocol.labels,
            recipients={"next_protocol": distribution.next_protocol.name, "monitoring": distribution.monitoring.name},
            report_sha256=str(report["sha256"]),
            now=now(),
        ),
        inputs=[report, items],
    )
    publish_manifest(cycle, inputs=[report, notes])
    for recipient in distribution.report:
        _deliver(cycle, recipient, [report, cycle.reference(names.REPORT_HTML)])
    for recipient in (distribution.next_protocol, distribution.monitoring):
        _deliver(cycle, recipient, [notes])
    return notes


def _deliver(cycle: Cycle, recipient: Recipient, references: Sequence[Mapping[str, Any]]) -> None:
    directory = settings.workspace_root() / recipient.directory / cycle.run
    files = {Path(str(reference["name"])).name: cycle.read(reference) for reference in references}
    write_files(directory, files)
    for reference in references:
        name = Path(str(reference["name"])).name
        if sha256_hex((directory / name).read_bytes()) != reference["sha256"]:
            raise ArtifactError(
                411, where=recipient.name, what="what was delivered differs from what was sent", got=name, fix="share again"
            )
        cycle.record(
            EntryType.NOTIFY_DELIVERED,
            {
                "recipient": recipient.name,
                "channel": "file",
                "address": f"{recipient.directory}/{cycle.run}/{name}",
                "artifact": reference["name"],
                "sha256": reference["sha256"],
            },
        )


def _handed_off(cycle: Cycle, report: Mapping[str, Any]) -> Notification:
    """Who the cycle was handed to, and the digests of report and manifest."""
    to = one_line(cycle.protocol.labels.next_protocol, limit=80)
    manifest = cycle.reference(Artifact.MANIFEST)
    lines = [f"Handed off to {to}.", *(f"{one['name']} sha256:{one['sha256']}" for one in (report, manifest))]
    return Notification(
        kind=Kind.HANDOFF, title=f"{TITLES[Kind.HANDOFF]} to {to}", text="\n".join(lines), run=cycle.run, step="handoff",
        link=cycle.link, about="handoff",
    )  # fmt: skip


def complete_handoff(cycle: Cycle) -> dict[str, Any]:
    """Recomputes the handoff checklist, writes the final report and manifest, closes the run, announces completion."""
    from perfproof.evidence.views import LATEST, close_run, point_latest
    from perfproof.handoff import require_complete
    from perfproof_airflow.gate import handoff_state

    verified_approvals(cycle, "handoff")
    require_complete(handoff_state(cycle))
    report = cycle.reference(Artifact.PERFORMANCE_REPORT)
    publish_manifest(cycle, inputs=[report])
    cycle.record(
        EntryType.HANDOFF_COMPLETED,
        {
            "to": cycle.protocol.labels.next_protocol,
            "report": cycle.source(report),
            "manifest": cycle.source(cycle.reference(Artifact.MANIFEST)),
        },
    )
    cycle.announce(Announcement.PHASE_4_COMPLETE)
    cycle.notify(_handed_off(cycle, report))
    close_run(
        cycle.store,
        body={"outcome": "completed", "round": cycle.round, "closed_at": stamp(now())},
        idem=cycle.idem("run.closed"),
        time=now(),
        actor=cycle.actor,
        attempt=cycle.attempt,
    )
    checkpoint(cycle.store)
    if settings.evidence_in_s3():
        cycle.store.backend.replace_view(LATEST, cycle.run.encode())
    else:
        point_latest(settings.evidence_root(), cycle.run)
    return report
