"""Who signed what: roles, persons and digests, apart from any document that shows them."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.gates.sign_offs import is_person, missing_sign_offs, records_by_role


def missing(cycle: Any, kit: Any, records: Any) -> list[str]:
    """What is missing for the SLO proposal of the cycle."""
    digest = kit.reference("evidence/slo-proposal.json", cycle.proposal)["sha256"]
    return missing_sign_offs(records, step="slo_updates", digest=digest, roles=kit.ROLES)


def test_two_people_in_their_roles_are_enough(cycle: Any, kit: Any) -> None:
    """Nothing is missing."""
    assert missing(cycle, kit, cycle.approvals) == []


@pytest.mark.parametrize(
    ("name", "person_id", "answer"),
    [
        ("Ada Okoro", "ada", True),
        ("Product Owner", "ada", False),
        ("product_owner", "ada", False),
        ("PRODUCT-OWNER", "ada", False),
        (" product  owner ", "ada", False),
        ("Ada Okoro", "sre_lead", False),
        ("", "ada", False),
        ("Ada Okoro", " ", False),
        (None, "ada", False),
        ("Ada Okoro", None, False),
        (["Ada"], "ada", False),
    ],
)
def test_a_person_has_a_name_and_an_id_that_are_no_roles(kit: Any, name: Any, person_id: Any, answer: bool) -> None:
    """However a role's name is spelt, it is not a person."""
    assert is_person(name, person_id=person_id, roles=kit.ROLES) is answer


def test_somebody_who_does_not_hold_the_role_has_not_signed(cycle: Any, kit: Any) -> None:
    """A record under the right role by another person counts for nothing, and is named."""
    records = [cycle.approvals[0], cycle.approval("sre_lead", person={"id": "eve", "name": "Eve Fox"})]
    assert missing(cycle, kit, records) == ["no approval of the SRE Lead: 'Eve Fox' is nobody who holds the role"]


def test_an_unknown_role_adds_nothing(cycle: Any, kit: Any) -> None:
    """Records of roles that are not required are ignored."""
    stranger = {**cycle.approvals[0], "role": "intern"}
    assert missing(cycle, kit, [*cycle.approvals, stranger]) == []
    assert missing(cycle, kit, [stranger]) == ["no approval of the Product Owner", "no approval of the SRE Lead"]


def test_the_last_record_of_a_role_counts(cycle: Any, kit: Any) -> None:
    """A rejection after an approval takes it back, an approval after a rejection stands."""
    approved, rejected = cycle.approvals[0], cycle.approval("product_owner", decision="reject")
    digest = kit.reference("evidence/slo-proposal.json", cycle.proposal)["sha256"]
    for records, signed in (([approved, rejected], []), ([rejected, approved], ["product_owner"])):
        assert list(records_by_role(records, step="slo_updates", digest=digest, roles=kit.ROLES)) == signed


def test_without_a_digest_nothing_is_bound(cycle: Any, kit: Any) -> None:
    """Evidence without a digest matches no missing digest."""
    record = cycle.approval("product_owner", evidence=[{"name": "evidence/slo-proposal.json"}])
    assert records_by_role([record], step="slo_updates", digest=None, roles=kit.ROLES) == {}


def test_one_person_in_two_roles_is_one_signature(cycle: Any, kit: Any) -> None:
    """Two roles need two people, however the id is spelt."""
    holder = kit.ROLES["product_owner"]
    roles = {"product_owner": holder, "sre_lead": holder}
    records = [cycle.approvals[0], {**cycle.approvals[0], "role": "sre_lead"}]
    digest = kit.reference("evidence/slo-proposal.json", cycle.proposal)["sha256"]
    assert missing_sign_offs(records, step="slo_updates", digest=digest, roles=roles) == ["ada signed for two roles"]
