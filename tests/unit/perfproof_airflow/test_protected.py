"""What a protected step relies on: records that verify now, by the right people, on the evidence as it is now."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.errors import ApprovalError
from perfproof.evidence import Actor, EntryType
from perfproof_airflow.api.signing_key import worker_key, worker_ring
from perfproof_airflow.protected import verified_approvals, verified_records
from perfproof_airflow.sensors.questions import ProtocolApproval

PROPOSAL = "evidence/slo-proposal.json"
UPDATE = {
    "slo_name": "Orders latency p95", "service": "shop", "previous_target": "250ms", "new_target": "120ms", "justification": "measured",
    "alert_thresholds": ["page: above 120 ms"], "escalation_policy": "Page the SRE lead.",
}  # fmt: skip


@pytest.fixture
def slo_approvals(run: Any, desk: Any, ask: Callable[..., Any]) -> Callable[..., Any]:
    """Asks for the SLO approvals and has them answered; without answers, only asks."""
    run.publish(PROPOSAL, {"updates": [UPDATE]})
    sensor = ProtocolApproval(task_id="await_slo_approvals", step="slo_updates", evidence=[PROPOSAL])

    def answered(**answers: str) -> Any:
        ask(sensor)
        for role, who in answers.items():
            desk.answer(role, who)
        return ask(sensor)

    return answered


def verified(run: Any) -> list[Any]:
    return verified_approvals(run.cycle("governance.record_slo_updates"), "slo_updates")


def forge(run: Any, body: dict[str, Any]) -> None:
    """Writes a granted approval into the log as somebody with access to the files could: chained and numbered like any other."""
    cycle = run.cycle()
    cycle.store.append(
        type=EntryType.APPROVAL_GRANTED, body=body, idem="f" * 64, time=datetime.now(UTC), actor=Actor(kind="person", id="eve")
    )


def test_both_roles_answered_gives_one_verified_record_each_in_the_order_of_the_protocol_file(run: Any, slo_approvals: Any) -> None:
    """Who, in which role, on which evidence, and under which digest the log holds it."""
    assert slo_approvals(sre_lead="demo-sre", product_owner="demo-owner")["decision"] == "approve"
    found = verified(run)
    assert [(a.record["role"], a.record["person"]["id"]) for a in found] == [("product_owner", "demo-owner"), ("sre_lead", "demo-sre")]
    assert {e["sha256"] for a in found for e in a.record["evidence"]} == {run.cycle().reference(PROPOSAL)["sha256"]}
    digests = {entry.sha256 for entry in run.cycle().store.of_type(EntryType.APPROVAL_GRANTED)}
    assert {a.citation()["record_sha256"] for a in found} == digests


def test_nothing_asked_is_nothing_approved(run: Any) -> None:
    """The line says which step and what to clear."""
    with pytest.raises(ApprovalError, match=r"APR-431 slo_updates: no approval of the role product_owner.*clear the task that waits"):
        verified(run)


def test_one_of_two_roles_is_not_enough(run: Any, slo_approvals: Any) -> None:
    """It names the role that is missing."""
    slo_approvals(product_owner="demo-owner")
    with pytest.raises(ApprovalError, match=r"APR-431 .*sre_lead"):
        verified(run)


def test_a_person_without_the_role_has_approved_nothing(run: Any, slo_approvals: Any) -> None:
    """The engineer's mark is refused, recorded, and asked again."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-engineer")
    assert [body["code"] for body in run.entries("approval.refused")] == ["APR-403"]
    with pytest.raises(ApprovalError, match=r"APR-431 .*sre_lead"):
        verified(run)


def test_a_rejection_has_approved_nothing(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Whatever the other role said before."""
    from airflow.sdk.exceptions import AirflowFailException

    run.publish(PROPOSAL, {"updates": [UPDATE]})
    sensor = ProtocolApproval(task_id="await_slo_approvals", step="slo_updates", evidence=[PROPOSAL])
    ask(sensor)
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre", state="failed", note="not before the holidays")
    with pytest.raises(AirflowFailException, match="APR-415"):
        ask(sensor)
    with pytest.raises(ApprovalError, match="APR-431"):
        verified(run)


def test_changed_evidence_is_not_approved(run: Any, slo_approvals: Any) -> None:
    """A proposal that was superseded after the approval has none."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    run.round = 1
    run.publish(PROPOSAL, {"updates": [{**UPDATE, "new_target": "60ms"}]})
    with pytest.raises(ApprovalError, match=rf"APR-433 slo_updates: .*got {PROPOSAL}"):
        verified(run)


def test_the_same_evidence_published_again_stays_approved(run: Any, slo_approvals: Any) -> None:
    """The digest decides, not the entry."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    run.round = 1
    run.publish(PROPOSAL, {"updates": [UPDATE]})
    assert len(verified(run)) == 2


def test_approvals_of_another_step_or_index_do_not_count(run: Any, slo_approvals: Any) -> None:
    """Step and map index are part of what is looked for."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    with pytest.raises(ApprovalError, match="APR-431"):
        verified_approvals(run.cycle(), "plan")
    with pytest.raises(ApprovalError, match="APR-431"):
        verified_approvals(run.cycle(), "slo_updates", map_index=0)


def test_an_act_signed_with_another_key_is_no_approval(run: Any, slo_approvals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record from an Airflow that does not share the key."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    other = {"conn_type": "generic", "login": "k1", "password": "ab" * 32}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps(other))
    with pytest.raises(ApprovalError, match=r"APR-432 .*does not verify"):
        verified(run)


def replace_key(monkeypatch: pytest.MonkeyPatch, retired: dict[str, Any]) -> None:
    """A new key under a new id, and what is kept of the old one."""
    other = {"conn_type": "generic", "login": "k2", "password": "ab" * 32, "extra": {"retired": retired}}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps(other))


def test_a_key_can_be_replaced_while_a_cycle_is_open(run: Any, slo_approvals: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was approved with the old key stays approved, as long as that one is kept with the moment until which it signed."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    replace_key(monkeypatch, {"k1": {"password": "6b" * 32, "until": f"{datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"}})
    assert len(verified(run)) == 2


@pytest.mark.parametrize(
    ("retired", "reason"),
    [
        ({}, "a key that this Airflow does not know"),
        ({"k1": {"password": "6b" * 32, "until": "2025-01-01T00:00:00Z"}}, "after it was retired"),
        ({"k1": {"password": "cd" * 32, "until": "2999-01-01T00:00:00Z"}}, "the signature is not of this Airflow"),
    ],
    ids=["forgotten", "too late", "another key"],
)
def test_a_record_of_a_key_that_is_not_kept_does_not_verify(
    run: Any, slo_approvals: Any, monkeypatch: pytest.MonkeyPatch, retired: dict[str, Any], reason: str
) -> None:
    """The line says which it was."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    replace_key(monkeypatch, retired)
    with pytest.raises(ApprovalError, match=rf"APR-432 .*{reason}"):
        verified(run)


def test_a_malformed_retired_key_stops_reading_and_not_signing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No act is lost over it, and no approval passes; the line shows nothing of a key."""
    replace_key(monkeypatch, {"k1": "6b" * 32})
    assert worker_key().id == "k2"
    with pytest.raises(ApprovalError, match=r"APR-425 Connection perfproof_approvals: retired key 1") as caught:
        worker_ring()
    assert "6b6b" not in str(caught.value) and "abab" not in str(caught.value)


def test_a_record_does_not_say_that_a_deputy_answered_for_somebody_else(run: Any, slo_approvals: Any) -> None:
    """Whom somebody stood in for is part of what is verified."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    forge(run, {**genuine(run, "sre_lead"), "deputy_for": {"id": "demo-owner", "name": "x"}})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified(run)


def test_a_record_of_an_older_version_without_that_word_still_verifies(run: Any, slo_approvals: Any) -> None:
    """A cycle that waited through an upgrade goes on."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    older = genuine(run, "sre_lead")
    del older["deputy_for"]
    forge(run, older)
    assert len(verified(run)) == 2


def genuine(run: Any, role: str) -> dict[str, Any]:
    """A copy of the record that the role's person really gave."""
    return next(copy.deepcopy(body) for body in run.entries("approval.granted") if body["role"] == role)


def test_a_record_with_an_act_of_its_own_making_is_refused(run: Any, slo_approvals: Any) -> None:
    """The signature is over who acted: another actor in the act breaks it."""
    slo_approvals(product_owner="demo-owner")
    record = genuine(run, "product_owner")
    record["role"] = "sre_lead"
    record["person"] = {"id": "demo-sre", "name": "demo-sre"}
    record["act"] = {**record["act"], "actor_id": "demo-sre", "actor_name": "demo-sre", "map_index": 1}
    forge(run, record)
    with pytest.raises(ApprovalError, match="APR-432"):
        verified(run)


def test_a_record_that_answers_no_request_is_refused(run: Any, slo_approvals: Any) -> None:
    """What was asked is part of what was approved."""
    slo_approvals(product_owner="demo-owner")
    forge(run, {**genuine(run, "product_owner"), "role": "sre_lead", "request_sha256": "0" * 64})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified(run)


def test_a_genuine_act_under_another_role_is_refused(run: Any, slo_approvals: Any) -> None:
    """One person does not become two by copying the record."""
    slo_approvals(product_owner="demo-owner")
    forge(run, {**genuine(run, "product_owner"), "role": "sre_lead"})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified(run)


def test_a_genuine_approval_of_one_step_is_none_of_another(run: Any, slo_approvals: Any) -> None:
    """The handoff is not approved by relabelling the record of the SLO updates."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    forge(run, {**genuine(run, "product_owner"), "step": "handoff"})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified_approvals(run.cycle(), "handoff")


def test_a_genuine_approval_is_not_moved_to_other_evidence(run: Any, slo_approvals: Any) -> None:
    """The record's evidence must be what the request showed, not what somebody wrote beside the act."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    run.round = 1
    changed = run.publish(PROPOSAL, {"updates": [{**UPDATE, "new_target": "1ms"}]})
    for index, role in enumerate(("product_owner", "sre_lead")):
        record = {**genuine(run, role), "evidence": [{"name": PROPOSAL, "sha256": changed["sha256"]}]}
        cycle = run.cycle()
        cycle.store.append(
            type=EntryType.APPROVAL_GRANTED, body=record, idem=f"{index}" * 64, time=datetime.now(UTC), actor=Actor(kind="person", id="eve")
        )
    with pytest.raises(ApprovalError, match=r"APR-43[23]"):
        verified(run)


def test_a_record_names_the_person_who_really_acted(run: Any, slo_approvals: Any) -> None:
    """A name beside a genuine act is not believed."""
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    forge(run, {**genuine(run, "sre_lead"), "person": {"id": "somebody", "name": "Somebody Else"}})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified(run)


def test_every_record_of_the_cycle_is_verified_for_a_gate(run: Any, slo_approvals: Any) -> None:
    """All that verify, each with its digest; one that does not is an error, not left out."""
    assert verified_records(run.cycle()) == []
    slo_approvals(product_owner="demo-owner", sre_lead="demo-sre")
    assert [r["role"] for r in verified_records(run.cycle())] == ["product_owner", "sre_lead"]
    forge(run, {**genuine(run, "product_owner"), "act": {"hmac_sha256": "0" * 64}})
    with pytest.raises(ApprovalError, match="APR-432"):
        verified_records(run.cycle())


def test_without_the_connection_the_error_says_how_to_make_the_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours, so that the step halts and is not retried."""
    monkeypatch.delenv("AIRFLOW_CONN_PERFPROOF_APPROVALS")
    with pytest.raises(ApprovalError, match=r"APR-423 Connection perfproof_approvals: .*64 hexadecimal digits"):
        worker_key()


def test_a_password_that_is_no_key_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the message nor in its cause."""
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps({"conn_type": "generic", "login": "k", "password": "hunter2"}))
    with pytest.raises(ApprovalError, match="APR-423") as caught:
        worker_key()
    assert "hunter2" not in str(caught.value)
