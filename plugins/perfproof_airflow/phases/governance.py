"""Phase 4: SLO updates, the report and its distribution, judged by gate 4, and the handoff."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, get_current_context, task_group

from perfproof.announcements import Announcement
from perfproof_airflow.gate import decision, judge
from perfproof_airflow.sensors.questions import ProtocolApproval
from perfproof_airflow.step import step

HANDED_OFF = Asset(name="perfproof_handoff", uri="x-perfproof://handoff")


@step
def propose_slo_updates(cycle: Any, validation: dict[str, Any], measurement: dict[str, Any]) -> dict[str, Any]:
    """Proposes targets that the measurement supports, with alert thresholds and escalation policy."""
    from perfproof_airflow.governance_steps import propose

    cycle.announce(Announcement.PHASE_4_START)
    return propose(cycle, validation=validation, measurement=measurement)


@step
def record_slo_updates(cycle: Any, proposal: dict[str, Any]) -> dict[str, Any]:
    """Records the approved updates with their sign-offs; halts if an approval is missing or bound to something else."""
    from perfproof_airflow.governance_steps import record_slo

    return record_slo(cycle, proposal=proposal)


@step
def apply_instrumentation(cycle: Any, record: dict[str, Any], validation: dict[str, Any], measurement: dict[str, Any]) -> dict[str, Any]:
    """Puts alert rules, dashboard and tracing threshold where the protocol file says (files, git, CloudWatch), and supersedes the log."""
    from perfproof_airflow.instrumentation_steps import write_instrumentation

    return write_instrumentation(cycle, state="applied", validation=validation, measurement=measurement, record=record)


@step
def publish_report(cycle: Any, record: dict[str, Any], instrumentation: dict[str, Any]) -> dict[str, Any]:
    """Compiles PERFORMANCE-REPORT.md and .html and the manifest; halts if evidence is missing."""
    from perfproof_airflow.capacity_steps import publish_cost_change
    from perfproof_airflow.governance_steps import compile_report
    from perfproof_airflow.plan_steps import publish_promised_gains
    from perfproof_airflow.report_evidence import publish_pictures, require_evidence

    cycle.announce(Announcement.PHASE_4_REPORT)
    require_evidence(cycle)
    more = [reference for reference in (publish_cost_change(cycle), publish_promised_gains(cycle)) if reference is not None]
    return compile_report(cycle, inputs=[record, instrumentation, *more, *publish_pictures(cycle)])


@step
def share_improvements(cycle: Any, report: dict[str, Any]) -> dict[str, Any]:
    """Writes the improvement notes and delivers notes and report; each delivery is logged with recipient and digest."""
    from perfproof_airflow.governance_steps import share

    return share(cycle, report=report)


@step
def gate_4(cycle: Any, record: dict[str, Any], notes: dict[str, Any]) -> dict[str, Any]:
    """Gate 4, Governance & Communication: at least 95 % of the 13 artifacts valid, approvals bound, notes shared."""
    return judge(cycle, 4, inputs=[record, notes])


@step
def complete_report(cycle: Any) -> dict[str, Any]:
    """Compiles the report anew with the result of gate 4: this is what the handoff is asked on."""
    from perfproof_airflow.governance_steps import compile_report

    return compile_report(cycle, inputs=[cycle.reference("gate-4-result.json")])


@step(outlets=[HANDED_OFF])
def hand_off(cycle: Any) -> dict[str, Any]:
    """Recomputes the handoff checklist, closes the run, delivers its package, and updates the asset of the handoff."""
    from perfproof_airflow.governance_steps import complete_handoff
    from perfproof_airflow.handoff_steps import hand_over

    report = complete_handoff(cycle)
    get_current_context()["outlet_events"][HANDED_OFF].extra = hand_over(cycle)
    return report


@task_group(group_id="governance")
def governance(third: Any) -> Any:
    """Phase 4 of the protocol, from the SLO proposal to the handoff."""
    proposal = propose_slo_updates(third["validation"], third["measurement"])
    third["decided"] >> proposal
    slo_approvals = ProtocolApproval(
        task_id="await_slo_approvals",
        step="slo_updates",
        evidence=["evidence/slo-proposal.json"],
    )
    record = record_slo_updates(proposal)
    instrumentation = apply_instrumentation(record, third["validation"], third["measurement"])
    report = publish_report(record, instrumentation)
    notes = share_improvements(report)
    gate = gate_4(record, notes)
    decided = decision(4, retry_from="governance.propose_slo_updates")
    handoff = ProtocolApproval(
        task_id="await_handoff",
        step="handoff",
        evidence=["gate-4-result.json", "optimization-validation-report.json", "PERFORMANCE-REPORT.md"],
    )
    done = hand_off()
    proposal >> slo_approvals >> record
    gate >> decided >> complete_report() >> handoff >> done
    return done
