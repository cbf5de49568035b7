"""What the tasks of phase 4 do: propose, record, instrument, report, share, hand off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof import artifacts as names
from perfproof.announcements import Announcement, one_line
from perfproof.artifacts import Artifact
from perfproof.evidence import EntryType
from perfproof.moments import stamp
from perfproof.notifications import TITLES, Kind, Notification
from perfproof_airflow import settings
from perfproof_airflow.checkpoints import checkpoint
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.deliveries import deliver_to
from perfproof_airflow.instrumentation_steps import write_instrumentation as write_instrumentation
from perfproof_airflow.proposals import PROPOSAL, proposal_document
from perfproof_airflow.protected import verified_approvals


def propose(cycle: Cycle, *, validation: Mapping[str, Any], measurement: Mapping[str, Any]) -> dict[str, Any]:
    """Publishes the SLO proposal, bound to the validation report."""
    return cycle.publish(PROPOSAL, lambda: proposal_document(cycle, validation, measurement), inputs=[validation, measurement])


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


def compile_report(cycle: Cycle, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Publishes the report as Markdown and HTML, and the manifest."""
    from perfproof.report import render_html, render_markdown, sections
    from perfproof_airflow.report_evidence import evidence_of

    evidence = evidence_of(cycle)
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
    from perfproof_airflow.inbox import inherited_items
    from perfproof_airflow.plan_steps import PROMISED_GAINS, hypotheses_name

    distribution = cycle.protocol.distribution
    plan, validation = cycle.document(Artifact.OPTIMIZATION_PLAN), cycle.document(Artifact.VALIDATION_REPORT)
    slo_record = cycle.document(Artifact.SLO_UPDATE_RECORD)
    promised = cycle.document(PROMISED_GAINS) if cycle.store.live(PROMISED_GAINS) is not None else None
    items = cycle.publish(
        names.INTAKE_BACKLOG,
        lambda: backlog(
            plan=plan,
            hypotheses=cycle.document(hypotheses_name(cycle)),
            validation=validation,
            load_results=cycle.document(Artifact.LOAD_TEST_RESULTS),
            considered=cycle.parameters.services,
            run=cycle.run,
            now=now(),
            promised=promised,
            inherited=inherited_items(cycle),
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
            promised=promised,
        ),
        inputs=[report, items],
    )
    publish_manifest(cycle, inputs=[report, notes])
    for recipient in distribution.report:
        deliver_to(cycle, recipient, [report, cycle.reference(names.REPORT_HTML)])
    for recipient in (distribution.next_protocol, distribution.monitoring):
        deliver_to(cycle, recipient, [notes])
    return notes


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
