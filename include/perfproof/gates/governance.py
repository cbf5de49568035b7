"""Gate 4, Governance & Communication: artifacts complete, SLO updates approved by people, report and notes delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.config import Distribution, Role, Thresholds
from perfproof.expectations.frame_check import Check
from perfproof.gates.deliveries import ways_missing
from perfproof.gates.documentation import Documentation, documentation
from perfproof.gates.evaluation import Figure, Words, count, evaluate
from perfproof.gates.figures import as_float, at, differs, digest_of, found, items, mappings, plain, rounded, share, text_at, unlike
from perfproof.gates.result import GateResult
from perfproof.gates.sign_offs import is_person, missing_sign_offs, records_by_role
from perfproof.gates.text import counted, percent
from perfproof.schemas import document_problems
from perfproof.telemetry import sha256_hex

SLO_STEP = "slo_updates"
NOTES_RECIPIENTS = 2
Document = Mapping[str, Any]


def gate_4(
    *,
    artifacts: Mapping[str, bytes],
    slo_record: Document,
    approval_records: Sequence[Document],
    proposal_ref: Document,
    deliveries: Sequence[Document],
    roles: Mapping[str, Role],
    thresholds: Thresholds,
    evidence: Sequence[Document],
    now: datetime,
    check: Check,
    lost_attachments: Sequence[str] = (),
    distribution: Distribution | None = None,
) -> GateResult:
    """The result of gate 4.

    `artifacts` are the bytes of those of the thirteen that are there, `approval_records` the verified records (any steps),
    `proposal_ref` name and digest of the SLO proposal, `roles` those that must approve SLO updates, and `deliveries` what
    was delivered: `{"artifact", "sha256", "recipient", "channel"}`.
    With `distribution`, each of its required recipients must have been reached by each way that is named for him.
    `lost_attachments` are the files that the report links although they are not in evidence.
    """
    titles = [word for key, role in roles.items() for word in (key, role.label)]
    documented = documentation(artifacts, role_words=titles, lost_attachments=lost_attachments)
    missing = slo_approvals_missing(slo_record, approval_records, proposal_ref=proposal_ref, roles=roles)
    approved = approval_percentage(slo_record, approval_records, proposal_ref=proposal_ref, roles=roles)
    updates = mappings(slo_record, "updates")
    figures = {
        "documentation_completeness": Figure(as_float(documented.percentage), _in_words(documented)),
        "slo_updates_recorded": Figure(float(len(updates)), f"{counted(len(updates), 'SLO update')} recorded"),
        "slo_update_gaps": count(
            (f"{Artifact.SLO_UPDATE_RECORD}: {p}" for p in document_problems(Artifact.SLO_UPDATE_RECORD, slo_record)),
            good="every update names target, alert thresholds and escalation policy",
        ),
        "slo_approvals_missing": count(missing, good="every required person has approved this proposal"),
        "report_deliveries_missing": count(
            [
                *_undelivered(Artifact.PERFORMANCE_REPORT, artifacts, deliveries, recipients=1),
                *ways_missing(Artifact.PERFORMANCE_REPORT, artifacts, deliveries, distribution.report if distribution else ()),
            ],
            good="the report was delivered",
        ),
        "notes_deliveries_missing": count(
            [
                *_undelivered(Artifact.IMPROVEMENT_NOTES, artifacts, deliveries, recipients=NOTES_RECIPIENTS),
                *ways_missing(
                    Artifact.IMPROVEMENT_NOTES,
                    artifacts,
                    deliveries,
                    (distribution.next_protocol, distribution.monitoring) if distribution else (),
                ),
            ],
            good="the notes were delivered",
        ),
        "integrity_findings": count(
            _integrity(slo_record, approved, artifacts, proposal_ref, evidence), good="declared figures are the recomputed ones"
        ),
    }
    shown = percent(float(documented.percentage), threshold=thresholds.documentation_completeness)
    lacking = "; ".join(documented.lacking)
    return evaluate(
        suite="gate_4_governance",
        figures=figures,
        recomputed={
            "documentation_completeness": rounded(documented.percentage),
            "artifacts_valid": documented.valid,
            "artifacts_required": documented.required,
            "missing_artifacts": list(documented.missing),
            "invalid_artifacts": {name: list(reasons) for name, reasons in documented.invalid.items()},
            "slo_updates": [_update(update, approved) for update in updates],
            "approval_percentage": rounded(approved),
        },
        words=Words(
            criteria=f"Documentation completeness ≥ {plain(Decimal(str(thresholds.documentation_completeness)))}%, approvals captured, "
            "report published, improvement notes shared",
            actual=f"Documentation completeness {shown}{' (' + lacking + ')' if lacking else ''}, "
            f"{percent(float(approved), threshold=100)} of SLO approvals captured",
            told=frozenset({"documentation_completeness"}),
        ),
        thresholds=thresholds,
        evidence=evidence,
        now=now,
        check=check,
    )


def slo_approvals_missing(
    slo_record: Document, records: Sequence[Document], *, proposal_ref: Document, roles: Mapping[str, Role]
) -> list[str]:
    """What is missing until the SLO updates are approved.

    Every role needs a verified record that is bound to the proposal's digest, and every update of the document must show for
    every role a person (name and id, no role's name) whose record that is.
    """
    digest = text_at(proposal_ref, "sha256") or None
    complaints = missing_sign_offs(records, step=SLO_STEP, digest=digest, roles=roles)
    signed = records_by_role(records, step=SLO_STEP, digest=digest, roles=roles)
    for update in mappings(slo_record, "updates"):
        name = text_at(update, "slo_name") or "an SLO without a name"
        for role, held in roles.items():
            complaints += [f"{name}: {c}" for c in _entry_findings(update, role, held, signed.get(role), roles)]
    return complaints


def approval_percentage(slo_record: Document, records: Sequence[Document], *, proposal_ref: Document, roles: Mapping[str, Role]) -> Decimal:
    """Share of the required sign-offs (role by update) that are there and hold, in percent. Nothing required is 0 %."""
    digest = text_at(proposal_ref, "sha256") or None
    signed = records_by_role(records, step=SLO_STEP, digest=digest, roles=roles)
    updates = mappings(slo_record, "updates")
    held = sum(not _entry_findings(u, role, roles[role], signed.get(role), roles) for u in updates for role in roles)
    return share(held, len(updates) * len(roles)) or Decimal(0)


def _entry_findings(update: Document, role: str, held: Role, record: Document | None, roles: Mapping[str, Role]) -> list[str]:
    entries = [a for a in mappings(update, "approvers") if text_at(a, "role") in (role, held.label)]
    if not entries:
        return [f"no approver with the role {held.label}"]
    entry = entries[-1]
    name, person = entry.get("name"), entry.get("person_id")
    if entry.get("approval_status") != "approved":
        return [f"{held.label}: approval is {entry.get('approval_status')}"]
    if not is_person(name, person_id=person, roles=roles):
        return [f"{held.label}: approver {name!r} is a role or has no person id, a person is needed"]
    if record is None:
        return [f"{held.label}: no verified approval record of {name!r} is bound to the proposal"]
    if (person, name) != (at(record, "person", "id"), at(record, "person", "name")):
        return [f"{held.label}: {name!r} is shown, the record is of {at(record, 'person', 'name')!r}"]
    if text_at(entry, "approval_timestamp") != text_at(record, "decided_at") or entry.get("request_id") != record.get("request_id"):
        return [f"{held.label}: time or request differ from the record"]
    return []


def _undelivered(artifact: Artifact, contents: Mapping[str, bytes], deliveries: Sequence[Document], *, recipients: int) -> list[str]:
    """How many recipients are short of exactly these bytes of the artifact."""
    if artifact.value not in contents:
        return [f"{artifact} is missing"]
    digest = sha256_hex(contents[artifact.value])
    reached = {
        text_at(d, "recipient")
        for d in deliveries
        if d.get("artifact") == artifact.value and d.get("sha256") == digest and text_at(d, "recipient") and text_at(d, "channel")
    }
    return [f"{artifact} was delivered to {len(reached)} of {counted(recipients, 'recipient')}"] * max(0, recipients - len(reached))


def _integrity(
    slo_record: Document, approved: Decimal, artifacts: Mapping[str, bytes], proposal_ref: Document, evidence: Sequence[Document]
) -> Iterable[str]:
    yield from found(
        differs("approval_percentage", slo_record.get("approval_percentage"), approved),
        unlike("approval_status", slo_record.get("approval_status"), "approved" if approved == 100 else "pending")
        if slo_record.get("approval_status") != "rejected"
        else None,
    )
    if at(slo_record, "proposal", "sha256") != proposal_ref.get("sha256"):
        yield "the record cites another SLO proposal than the one that was approved"
    report = artifacts.get(Artifact.VALIDATION_REPORT.value)
    validation = sha256_hex(report) if report is not None else digest_of(evidence, Artifact.VALIDATION_REPORT)
    if validation is None or at(slo_record, "traces_to", "validation", "sha256") != validation:
        yield "the SLO updates do not trace to the validation report in evidence"
    for entry in evidence:
        name = str(entry.get("name"))
        if name in artifacts and entry.get("sha256") != sha256_hex(artifacts[name]):
            yield f"{name} has other bytes than the evidence lists"


def _update(update: Document, approved: Decimal) -> dict[str, Any]:
    return {
        "slo_name": text_at(update, "slo_name"),
        "new_target": text_at(update, "new_target"),
        "approval_status": "approved" if approved == 100 else "pending",
        "approvers": [str(a.get("name")) for a in items(update, "approvers") if isinstance(a, Mapping)],
    }


def _in_words(documented: Documentation) -> str:
    lacking = "; ".join(documented.lacking)
    return f"{documented.valid} of {documented.required} artifacts valid{': ' + lacking if lacking else ''}"
