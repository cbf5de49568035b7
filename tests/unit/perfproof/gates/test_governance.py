"""Gate 4: thirteen valid artifacts, SLO approvals by people and bound to the proposal, deliveries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfproof.artifacts import Artifact
from perfproof.config import Distribution, Recipient
from perfproof.gates import Outcome
from perfproof.telemetry import document_bytes


def test_complete_governance_passes(cycle: Any) -> None:
    """All 13 artifacts valid, approved by two people, delivered: PASS."""
    result = cycle.gate_4()
    assert (result.outcome, result.text, result.reasons) == (Outcome.PASS, None, ())
    assert result.figures["documentation_completeness"] == 100
    assert result.figures["approval_percentage"] == 100


@pytest.mark.parametrize("name", list(Artifact))
def test_each_of_the_thirteen_artifacts_is_required(cycle: Any, kit: Any, name: Artifact) -> None:
    """12 of 13 are 92.3 percent, which fails, and the missing one is named."""
    artifacts = cycle.artifacts()
    del artifacts[name.value]
    if name is not Artifact.MANIFEST:
        artifacts[Artifact.MANIFEST.value] = document_bytes(kit.manifest(artifacts))
    result = cycle.gate_4(artifacts=artifacts)
    assert result.figures["documentation_completeness"] == 92.3
    assert result.figures["missing_artifacts"] == [name.value]
    assert name.value in result.text
    assert result.outcome is Outcome.FAIL


@pytest.mark.parametrize("name", list(Artifact))
def test_an_empty_artifact_is_not_valid(cycle: Any, name: Artifact) -> None:
    """A file that is there and empty documents nothing."""
    artifacts = {**cycle.artifacts(), name.value: b"\n"}
    assert name.value in cycle.gate_4(artifacts=artifacts).figures["invalid_artifacts"]


def test_an_artifact_changed_after_the_manifest_makes_the_manifest_invalid(cycle: Any) -> None:
    """The manifest must speak of exactly these bytes."""
    artifacts = cycle.artifacts()
    artifacts[Artifact.HYPOTHESIS_LOG.value] += b"one more line\n"
    assert "hypothesis-log.md has another digest" in str(cycle.gate_4(artifacts=artifacts).figures["invalid_artifacts"])


MANIFESTS = {
    "another digest in subject": lambda m: m["subject"][2]["digest"].update(sha256="cd" * 32),
    "another digest in predicate.artifacts": lambda m: m["predicate"]["artifacts"][2].update(sha256="cd" * 32),
    "a subject less": lambda m: m["subject"].pop(),
    "an artifact less": lambda m: m["predicate"]["artifacts"].pop(),
    "a subject that is not there": lambda m: m["subject"].append({"name": "x.json", "digest": {"sha256": "cd" * 32}}),
    "an artifact that is not there": lambda m: m["predicate"]["artifacts"].append({**m["predicate"]["artifacts"][0], "name": "x.json"}),
    "no timestamp": lambda m: m["predicate"]["artifacts"][2].pop("timestamp"),
    "another type of statement": lambda m: m.update(_type="https://in-toto.io/Statement/v0.1"),
}


@pytest.mark.parametrize("spoil", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_lists_exactly_these_artifacts(cycle: Any, kit: Any, spoil: Any) -> None:
    """Subject and predicate each name every other artifact with its digest, and nothing else."""
    artifacts = cycle.artifacts()
    statement = kit.manifest(artifacts)
    spoil(statement)
    artifacts[Artifact.MANIFEST.value] = document_bytes(statement)
    assert list(cycle.gate_4(artifacts=artifacts).figures["invalid_artifacts"]) == [Artifact.MANIFEST.value]


@pytest.mark.parametrize("nobody", ["", "system", "SRE Lead", "product_owner", {"kind": "person", "id": "SRE Lead"}, None])
def test_the_manifest_names_a_gate_or_a_person(cycle: Any, kit: Any, nobody: Any) -> None:
    """An empty verified_by, a constant or a role's name verifies nothing."""
    artifacts = cycle.artifacts()
    statement = kit.manifest(artifacts)
    statement["predicate"]["artifacts"][3]["verified_by"] = nobody
    artifacts[Artifact.MANIFEST.value] = document_bytes(statement)
    assert Artifact.MANIFEST.value in cycle.gate_4(artifacts=artifacts).figures["invalid_artifacts"]


@pytest.mark.parametrize("name", list(Artifact))
def test_only_what_gate_4_itself_verifies_may_wait_for_its_verifier(cycle: Any, kit: Any, name: Artifact) -> None:
    """Nobody vouches yet for the artifacts of phase 4; those of phases 1 to 3 have passed a gate."""
    artifacts = cycle.artifacts()
    statement = kit.manifest(artifacts)
    for listed in statement["predicate"]["artifacts"]:
        if listed["name"] == name:
            listed["verified_by"] = None
    artifacts[Artifact.MANIFEST.value] = document_bytes(statement)
    waits = {Artifact.INSTRUMENTATION_LOG, Artifact.SLO_UPDATE_RECORD, Artifact.PERFORMANCE_REPORT, Artifact.IMPROVEMENT_NOTES}
    passes = name in waits or name is Artifact.MANIFEST
    assert (cycle.gate_4(artifacts=artifacts).outcome is Outcome.PASS) == passes


def approvers(cycle: Any) -> Any:
    """The sign-offs of the first SLO update."""
    return cycle.slo_record["updates"][0]["approvers"]


SHOWN = {
    "name is the role": lambda c: approvers(c)[0].update(name="Product Owner"),
    "id is the role": lambda c: approvers(c)[0].update(person_id="product-owner"),
    "no id": lambda c: approvers(c)[0].pop("person_id"),
    "no name": lambda c: approvers(c)[0].update(name=None),
    "pending": lambda c: approvers(c)[0].update(approval_status="pending"),
    "approved in other words": lambda c: approvers(c)[0].update(approval_status="APPROVED!"),
    "another person than the record": lambda c: approvers(c)[0].update(name="Eve Fox", person_id="eve"),
    "another time than the record": lambda c: approvers(c)[0].update(approval_timestamp="2025-02-16T18:00:00Z"),
    "another request than the record": lambda c: approvers(c)[0].update(request_id="request-9"),
    "one role missing": lambda c: approvers(c).pop(),
    "no approvers": lambda c: approvers(c).clear(),
}


@pytest.mark.parametrize("spoil", SHOWN.values(), ids=SHOWN.keys())
def test_a_sign_off_that_no_record_carries_is_refused(cycle: Any, spoil: Any) -> None:
    """The document shows people, and each must be the person of a verified record."""
    spoil(cycle)
    result = cycle.gate_4()
    criterion = next(c for c in result.criteria if c.criterion == "slo_approvals_missing")
    assert (criterion.met, criterion.waivable) == (False, False)
    assert result.figures["approval_percentage"] < 100


RECORDS = {
    "none": lambda c: [],
    "one role": lambda c: c.approvals[:1],
    "rejected": lambda c: [c.approvals[0], c.approval("sre_lead", decision="reject")],
    "approved, then rejected": lambda c: [*c.approvals, c.approval("sre_lead", decision="reject")],
    "for another step": lambda c: [c.approvals[0], c.approval("sre_lead", step="plan")],
    "other proposal": lambda c: [c.approvals[0], c.approval("sre_lead", evidence=[{"name": "x", "sha256": "cd" * 32}])],
    "no evidence": lambda c: [c.approvals[0], c.approval("sre_lead", evidence=[])],
    "not a holder": lambda c: [c.approvals[0], c.approval("sre_lead", person={"id": "eve", "name": "Eve Fox"})],
    "the same person": lambda c: [c.approvals[0], c.approval("sre_lead", person=c.approvals[0]["person"])],
}


@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS.keys())
def test_an_approval_needs_role_person_and_digest(cycle: Any, kit: Any, records: Any) -> None:
    """A missing, rejected or unbound record leaves the approvals missing."""
    assert kit.met(cycle.gate_4(approval_records=records(cycle)))["slo_approvals_missing"] is False


def test_no_required_role_never_passes(cycle: Any) -> None:
    """If nobody has to approve, nothing is approved."""
    result = cycle.gate_4(roles={})
    assert result.outcome is Outcome.FAIL
    assert result.figures["approval_percentage"] == 0


def test_an_unknown_proposal_approves_nothing(cycle: Any, kit: Any) -> None:
    """Without the proposal's digest no record is bound."""
    assert kit.met(cycle.gate_4(proposal_ref={}))["slo_approvals_missing"] is False


def test_no_slo_update_is_not_recorded(cycle: Any, kit: Any) -> None:
    """An empty list of updates is no record."""
    cycle.slo_record["updates"] = []
    assert kit.met(cycle.gate_4())["slo_updates_recorded"] is False


@pytest.mark.parametrize("field", ["new_target", "justification", "alert_thresholds", "escalation_policy"])
def test_an_update_names_target_alerts_and_escalation(cycle: Any, kit: Any, field: str) -> None:
    """The specification's words for an SLO adjustment."""
    del cycle.slo_record["updates"][0][field]
    assert field in kit.reason(cycle.gate_4(), "slo_update_gaps")


SPOILED = {
    "percentage declared higher": lambda c: c.approvals.pop(),
    "percentage as text": lambda c: c.slo_record.update(approval_percentage="100"),
    "percentage lower": lambda c: c.slo_record.update(approval_percentage=50),
    "status pending": lambda c: c.slo_record.update(approval_status="pending"),
    "another proposal": lambda c: c.slo_record["proposal"].update(sha256="cd" * 32),
    "another validation": lambda c: c.slo_record["traces_to"]["validation"].update(sha256="cd" * 32),
    "no traces": lambda c: c.slo_record.pop("traces_to"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_declared_figure_that_differs_is_an_integrity_finding(cycle: Any, kit: Any, spoil: Any) -> None:
    """Percentage, status and traces are recomputed."""
    spoil(cycle)
    assert kit.met(cycle.gate_4())["integrity_findings"] is False


DELIVERIES = {
    "nothing": lambda d: [],
    "no report": lambda d: d[1:],
    "other bytes": lambda d: [{**one, "sha256": "cd" * 32} for one in d],
    "no recipient": lambda d: [{**one, "recipient": " "} for one in d],
    "no channel": lambda d: [{**one, "channel": None} for one in d],
}


@pytest.mark.parametrize("spoil", DELIVERIES.values(), ids=DELIVERIES.keys())
def test_a_report_that_reached_nobody_is_not_published(cycle: Any, kit: Any, spoil: Any) -> None:
    """A delivery names recipient, channel and exactly these bytes."""
    cycle.deliveries = spoil(cycle.delivered(cycle.artifacts()))
    assert kit.met(cycle.gate_4())["report_deliveries_missing"] is False


def test_the_notes_go_to_two_recipients(cycle: Any, kit: Any) -> None:
    """Twice to the same recipient is once."""
    sent = cycle.delivered(cycle.artifacts())
    cycle.deliveries = [sent[0], sent[1], sent[1]]
    assert kit.reason(cycle.gate_4(), "notes_deliveries_missing") == "continuous-improvement-notes.md was delivered to 1 of 2 recipients"


def test_the_failure_text_has_the_specifications_action(cycle: Any) -> None:
    """The block of gate 4 names artifacts, approvals and its required action."""
    cycle.approvals.pop()
    text = cycle.gate_4().text
    assert "[RAY GATE FAILED: Governance & Communication Gate]" in text
    assert "> Actual: Documentation completeness 100%, 50% of SLO approvals captured; " in text
    assert "> Required action: Obtain missing approvals; finalize report; redistribute communications." in text


def distribution(**changes: Any) -> Distribution:
    """A report that goes to a channel, and notes by file."""
    owner = Recipient(name="Stakeholders", directory="out", channel="slack:chat")
    notes = [Recipient(name=name, directory="out") for name in ("Protocol 22", "Protocol 19")]
    return Distribution(report=(replace(owner, **changes),), next_protocol=notes[0], monitoring=notes[1])


def test_a_required_channel_that_did_not_deliver_is_a_finding(cycle: Any, kit: Any) -> None:
    """The file alone is not enough, nor another channel; with the channel's own delivery the gate passes."""
    report = Artifact.PERFORMANCE_REPORT.value
    lost = f"{report} was not delivered to Stakeholders by slack"
    assert kit.reason(cycle.gate_4(distribution=distribution()), "report_deliveries_missing") == lost
    sent = cycle.delivered(cycle.artifacts())
    told = {**sent[0], "channel": "slack", "address": "slack:chat"}
    cycle.deliveries = [*sent, {**told, "address": "slack:other"}]
    assert kit.reason(cycle.gate_4(distribution=distribution()), "report_deliveries_missing") == lost
    cycle.deliveries = [*sent, {**told, "sha256": "cd" * 32}]
    assert kit.met(cycle.gate_4(distribution=distribution()))["report_deliveries_missing"] is False
    cycle.deliveries = [*sent, told]
    assert kit.met(cycle.gate_4(distribution=distribution()))["report_deliveries_missing"] is True


def test_a_channel_that_is_not_required_may_fail(cycle: Any, kit: Any) -> None:
    """But somebody must have the report."""
    assert kit.met(cycle.gate_4(distribution=distribution(required=False)))["report_deliveries_missing"] is True
    cycle.deliveries = cycle.delivered(cycle.artifacts())[1:]
    assert kit.met(cycle.gate_4(distribution=distribution(required=False)))["report_deliveries_missing"] is False
