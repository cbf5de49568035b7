"""A request as people must see it, and why somebody may not answer it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import GATE_DECISION, Asked, Evidence, Note
from perfproof.config import Person
from perfproof.cycles.approvals import approval_documents, can_answer
from perfproof.evidence import EntryType

NOW = datetime(2025, 2, 16, 12, 0, tzinfo=UTC)
OWNER = Asked("product_owner", "Product Owner", (Person("ann", "Ann"),))


def last(cycle: Any) -> dict[str, Any]:
    return approval_documents(cycle.entries)[-1]


def roles(found: dict[str, Any]) -> dict[str, str]:
    return {role["role"]: role["state"] for role in found["roles"]}


def may(found: dict[str, Any], who: str, at: datetime = NOW) -> tuple[bool, str, str | None]:
    return can_answer(found, person_id=who, person_name=who.title(), at=at)


def test_an_open_request_says_what_is_asked_of_whom_and_where_to_mark(cycle: Any) -> None:
    """Question, options, evidence with digest and whether it is still live, people and deputies, the task of each role."""
    plan = cycle.publish("optimization-plan.json")
    request = cycle.ask(evidence=(Evidence("optimization-plan.json", plan),), words="Approve the plan?")
    found = last(cycle)
    assert (found["state"], found["question"], found["options"]) == ("open", "Approve the plan?", ["approve", "reject"])
    assert found["evidence"] == [{"name": "optimization-plan.json", "sha256": plan, "live": True}]
    assert found["facts"] == [{"name": "objective", "value": "Make it fast"}]
    assert roles(found) == {"product_owner": "open", "sre_lead": "open"}
    assert found["roles"][1]["mark"] == {
        "dag_id": "performance_approvals", "run_id": request.request_id, "task_id": "approve", "map_index": 1,
    }  # fmt: skip
    assert found["roles"][1]["deputies"][0]["stands_for"] == "sam"
    assert "mark this task success" in found["how"]
    assert found["forbidden"] == ["tim"]
    assert json.loads(json.dumps(found)) == found


def test_evidence_that_was_replaced_since_is_not_live(cycle: Any) -> None:
    """Whoever looks sees that they would decide on an old version."""
    old = cycle.publish("optimization-plan.json")
    cycle.ask(evidence=(Evidence("optimization-plan.json", old),))
    cycle.round = 1
    cycle.publish("optimization-plan.json")
    assert last(cycle)["evidence"][0]["live"] is False


def test_answers_are_shown_with_who_when_and_how(cycle: Any) -> None:
    """Decided when everybody has answered."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann", comment="agreed")
    assert roles(last(cycle)) == {"product_owner": "granted", "sre_lead": "open"}
    entry = cycle.answer(request, "sre_lead", "sam")
    found = last(cycle)
    assert found["state"] == "decided"
    answer = found["roles"][0]["answer"]
    assert (answer["person"], answer["comment"], answer["assurance"]) == ({"id": "ann", "name": "Ann"}, "agreed", "A1")
    assert found["roles"][1]["answer"]["seq"] == entry.seq


def test_a_refused_answer_is_shown_with_code_and_words_and_the_request_after_it_asks_again(cycle: Any) -> None:
    """The first is replaced; a role that answered it is not asked again, and its answer is there."""
    first = cycle.ask()
    cycle.answer(first, "product_owner", "ann")
    cycle.refuse(first, "sre_lead", code="APR-410", reason="the note must hold the change reference")
    cycle.ask(attempt=2, asked=("sre_lead",))
    before, now = approval_documents(cycle.entries)
    assert (before["state"], roles(before)["sre_lead"]) == ("replaced", "refused")
    (refusal,) = before["roles"][1]["refusals"]
    assert (refusal["code"], refusal["reason"], refusal["person_name"]) == ("APR-410", "the note must hold the change reference", "Eve")
    owner, sre = now["roles"]
    assert (owner["asked"], owner["state"], owner["mark"], owner["answer"]["person"]["id"]) == (False, "granted", None, "ann")
    assert (sre["asked"], sre["state"], sre["mark"]["map_index"]) == (True, "open", 0)


@pytest.mark.parametrize(("kind", "state"), [("approval.expired", "expired"), ("approval.void", "void")])
def test_a_request_that_ended_without_an_answer_says_how(cycle: Any, kind: str, state: str) -> None:
    """Nobody answered, or it cannot be answered any more."""
    request = cycle.ask(roles=(OWNER,))
    cycle.refuse(request, "product_owner", kind=kind)
    assert (last(cycle)["state"], roles(last(cycle))) == (state, {"product_owner": state})


def test_a_rejected_request_asks_nobody_any_more(cycle: Any) -> None:
    """The other role's state is closed, not open."""
    request = cycle.ask()
    cycle.answer(request, "product_owner", "ann", "reject")
    assert (last(cycle)["state"], roles(last(cycle))) == ("rejected", {"product_owner": "rejected", "sre_lead": "closed"})


def test_reminders_are_counted_for_the_roles_that_they_went_to(cycle: Any) -> None:
    """Two reminders and an escalation, about one of two roles."""
    request = cycle.ask()
    body = {"request_id": request.request_id, "roles": ["sre_lead"], "covers": [1]}
    for kind in (EntryType.APPROVAL_REMINDED, EntryType.APPROVAL_REMINDED, EntryType.APPROVAL_ESCALATED):
        cycle.add(kind, body, task="t")
    owner, sre = last(cycle)["roles"]
    assert (owner["reminders"], owner["escalated"]) == (0, False)
    assert (sre["reminders"], sre["escalated"]) == (2, True)


def test_a_request_that_cannot_be_read_says_so_and_nobody_may_answer_it(cycle: Any) -> None:
    """A forged body is shown as one."""
    cycle.add(EntryType.APPROVAL_REQUESTED, {"request_id": "x", "step": "plan", "request": {"asked": ["a"]}}, task="t")
    found = last(cycle)
    assert found["unreadable"]
    assert may(found, "ann") == (False, found["unreadable"], None)


def test_who_holds_a_role_may_answer_in_it(cycle: Any) -> None:
    """The role is named."""
    cycle.ask()
    assert may(last(cycle), "ann") == (True, "Ann may answer as Product Owner", "product_owner")
    assert may(last(cycle), "sam")[2] == "sre_lead"


def test_who_holds_no_role_is_told_who_does(cycle: Any) -> None:
    """Everybody who could is named, of every open role."""
    cycle.ask()
    allowed, why, role = may(last(cycle), "eve")
    assert (allowed, role) == (False, None)
    assert "does not hold the role Product Owner" in why
    assert "Ann" in why
    assert "Sam" in why


def test_who_triggered_the_cycle_may_not_answer_even_with_the_role(cycle: Any) -> None:
    """The rule is that of the act itself."""
    tim = Asked("product_owner", "Product Owner", (Person("tim", "Tim"), Person("ann", "Ann")))
    cycle.ask(roles=(tim,))
    allowed, why, _ = may(last(cycle), "tim")
    assert not allowed
    assert "asked for this or owns it" in why


def test_nobody_answers_for_two_roles(cycle: Any) -> None:
    """Whoever answered as one is told so for the other."""
    both = (OWNER, Asked("sre_lead", "SRE Lead", (Person("ann", "Ann"), Person("sam", "Sam"))))
    request = cycle.ask(roles=both)
    cycle.answer(request, "product_owner", "ann")
    allowed, why, _ = may(last(cycle), "ann")
    assert not allowed
    assert "the roles need two people" in why
    assert may(last(cycle), "sam")[0]


def test_a_deputy_may_answer_on_their_days_only(cycle: Any) -> None:
    """From the 16th to the 17th."""
    cycle.ask()
    assert may(last(cycle), "dee")[0]
    late = may(last(cycle), "dee", NOW + timedelta(days=3))
    assert not late[0]
    assert "deputy" in late[1]


def test_after_the_expiry_nobody_may_answer(cycle: Any) -> None:
    """The log need not have said so yet."""
    cycle.ask()
    allowed, why, _ = may(last(cycle), "ann", NOW + timedelta(days=8))
    assert not allowed
    assert "expired" in why


def test_a_decided_request_is_not_answered_again(cycle: Any) -> None:
    """Whoever holds the role."""
    request = cycle.ask(roles=(OWNER,))
    cycle.answer(request, "product_owner", "ann")
    assert may(last(cycle), "ann") == (False, "the request is decided", None)


@pytest.mark.parametrize("note", [Note.OPTIONAL, Note.CHANGE_REFERENCE])
def test_what_the_note_must_hold_keeps_nobody_from_answering(cycle: Any, note: Note) -> None:
    """Only person and moment are asked about."""
    cycle.ask(note=note)
    assert may(last(cycle), "ann")[0]


def test_a_gate_decision_is_answered_by_the_same_rules(cycle: Any) -> None:
    """Its options are others."""
    cycle.gate(3, "FAIL")
    cycle.ask("gate_3_decision", options=GATE_DECISION, task="optimization.gate_3_decision")
    assert may(last(cycle), "ann")[0]
    assert not may(last(cycle), "tim")[0]


def test_hostile_words_stay_data(cycle: Any) -> None:
    """In the question and in a refusal."""
    words = "<img src=x onerror=alert(1)>\n> quoted"
    request = cycle.ask(words=words)
    cycle.refuse(request, "sre_lead", reason=words)
    found = last(cycle)
    assert found["question"] == words
    assert found["roles"][1]["refusals"][0]["reason"] == words
