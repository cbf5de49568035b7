"""Who may decide what, when: every rule with the act that breaks it and nothing else."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import (
    GATE_DECISION,
    Act,
    Asked,
    Channel,
    Decision,
    Evidence,
    Granted,
    Note,
    Question,
    Refused,
    Rejected,
    Request,
    SigningKey,
    examine,
    open_request,
    sign,
)
from perfproof.config import Person
from perfproof.moments import stamp

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
KEY = SigningKey(id="k1", secret=b"k" * 32)
OWNER = Asked("product_owner", "Product Owner", (Person("ann", "Ann A."), Person("bea", "Bea B.")))
SRE = Asked("sre_lead", "SRE Lead", (Person("sam", "Sam S."), Person("ann", "Ann A.")))
QUESTION = Question(
    run="run-0123456789abcdef",
    dag_id="performance_optimization",
    run_id="run",
    step="plan",
    map_index=-1,
    round=0,
    question="Approve?",
    options=(Decision.APPROVE, Decision.REJECT),
    roles=(OWNER, SRE),
    evidence=(Evidence("plan", "a" * 64),),
    shown={"x": 1},
    forbidden=("olga",),
)


def ask(**changes: Any) -> Request:
    return open_request(
        dataclasses.replace(QUESTION, **changes),
        attempt=1, roles=("product_owner", "sre_lead"), log_size=3, log_head="b" * 64, now=NOW, expires_after_days=7,
    )  # fmt: skip


def act(request: Request, **changes: Any) -> dict[str, Any]:
    """What the api-server stores when Ann marks the first task success an hour after the request."""
    fields: dict[str, Any] = {
        "actor_id": "ann",
        "actor_name": "ann",
        "state": "success",
        "dag_id": "performance_approvals",
        "run_id": request.request_id,
        "task_id": "approve",
        "map_index": 0,
        "ti_id": "01",
        "try_number": 1,
        "time": stamp(NOW + timedelta(hours=1)),
        "note": None,
        "decision": None,
        "channel": Channel.MARK,
        "conf_sha256": request.sha256,
        "key_id": "k1",
    }
    return sign(Act(**{**fields, **changes}), key=KEY)


def judge(request: Request, stored: object, **changes: Any) -> Granted | Rejected | Refused:
    arguments: dict[str, Any] = {
        "role": "product_owner", "key": KEY, "question": request.question, "records": (), "now": NOW + timedelta(hours=2),
    }  # fmt: skip
    return examine(request, stored_act=stored, **{**arguments, **changes})


def code(outcome: Granted | Rejected | Refused) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


def test_a_mark_by_who_holds_the_role_approves() -> None:
    """The record binds person, request, moment, evidence and the signed act."""
    request = ask()
    outcome = judge(request, act(request, note="fine"))
    assert isinstance(outcome, Granted) and outcome.decision is Decision.APPROVE
    record = outcome.record
    assert record["person"] == {"id": "ann", "name": "Ann A."}
    assert (record["role"], record["role_label"], record["comment"]) == ("product_owner", "Product Owner", "fine")
    assert record["decided_at"] == "2025-02-16T11:00:00Z"
    assert record["evidence"] == [{"name": "plan", "sha256": "a" * 64}]
    assert (record["request_sha256"], record["assurance"], record["channel"]) == (request.sha256, "A1", "mark")
    assert record["act"] == act(request, note="fine")


def test_marked_failed_or_rejected_in_the_form_is_a_rejection() -> None:
    """Either way the run does not go on."""
    request = ask()
    for stored in (act(request, state="failed", note="no"), act(request, decision="reject", channel=Channel.FORM, note="no")):
        outcome = judge(request, stored)
        assert isinstance(outcome, Rejected)
        assert (outcome.record["decision"], outcome.record["comment"]) == ("reject", "no")


def test_no_act_and_a_forged_act_decide_nothing() -> None:
    """A successful task without an act is what everybody with edit rights can make."""
    request = ask()
    assert code(judge(request, None)) == "APR-401"
    assert code(judge(request, {**act(request), "actor_id": "bea"})) == "APR-402"


def test_a_person_without_the_role_is_refused_and_named() -> None:
    """Also when they reject: nobody else stops a run."""
    request = ask()
    for state in ("success", "failed"):
        outcome = judge(request, act(request, actor_id="eve", actor_name="Eve", state=state))
        assert code(outcome) == "APR-403"
        assert isinstance(outcome, Refused) and outcome.actor == "Eve" and "Ann A." in outcome.reason


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "another__plan__-1__r0a1"},
        {"dag_id": "mine"},
        {"task_id": "publish_request"},
        {"map_index": 1},
        {"conf_sha256": "0" * 64},
    ],
)
def test_an_act_on_something_else_is_refused(change: dict[str, Any]) -> None:
    """A true act, replayed for another run, task, role or configuration."""
    request = ask()
    assert code(judge(request, act(request, **change))) == "APR-404"


def test_a_role_that_was_not_asked_is_refused() -> None:
    """The request of a single role says nothing about the other."""
    request = dataclasses.replace(ask(), roles=("sre_lead",))
    assert code(judge(request, act(request))) == "APR-404"


def test_who_asked_or_owns_it_does_not_approve_it() -> None:
    """By id or by name, in any case, also when it became known after the request was made."""
    request = ask(forbidden=("Ann",))
    assert code(judge(request, act(request))) == "APR-405"
    request = ask()
    later = dataclasses.replace(request.question, forbidden=("ann",))
    assert code(judge(request, act(request), question=later)) == "APR-405"


def test_one_person_does_not_answer_for_two_roles() -> None:
    """Ann holds both, and has answered as SRE lead."""
    request = ask()
    earlier = judge(request, act(request, map_index=1), role="sre_lead")
    assert isinstance(earlier, Granted)
    assert code(judge(request, act(request), records=[earlier.record])) == "APR-406"
    assert isinstance(judge(request, act(request, actor_id="bea", actor_name="bea"), records=[earlier.record]), Granted)


@pytest.mark.parametrize(
    ("offset", "refused"),
    [
        (timedelta(seconds=-301), True),
        (timedelta(seconds=-299), False),
        (timedelta(days=7), False),
        (timedelta(days=7, seconds=1), True),
    ],
)
def test_only_an_answer_between_request_and_expiry_counts(offset: timedelta, refused: bool) -> None:
    """With five minutes for clocks that differ at the start, none at the end."""
    request = ask()
    outcome = judge(request, act(request, time=stamp(NOW + offset)), now=NOW + timedelta(days=8))
    assert isinstance(outcome, Refused) is refused
    if refused:
        assert code(outcome) == "APR-407"


def test_an_answer_from_the_future_is_refused() -> None:
    """The clock of the api-server is wrong, and the record would be too."""
    request = ask()
    assert code(judge(request, act(request, time=stamp(NOW + timedelta(hours=3))))) == "APR-407"


def test_evidence_that_changed_after_the_question_voids_the_answer() -> None:
    """The person decided on something else."""
    request = ask()
    for change in ({"evidence": (Evidence("plan", "c" * 64),)}, {"shown": {"x": 2}}, {"evidence": ()}):
        assert code(judge(request, act(request), question=dataclasses.replace(request.question, **change))) == "APR-408"


def test_a_second_decision_for_a_role_does_not_replace_the_first() -> None:
    """Bea waives after Ann has asked to halt."""
    request = ask(options=GATE_DECISION)
    first = judge(request, act(request, note="halt"))
    assert isinstance(first, Granted)
    second = act(request, actor_id="bea", actor_name="bea", note="waiver: because it is only a demonstration")
    assert code(judge(request, second, records=[first.record])) == "APR-409"


@pytest.mark.parametrize(
    ("note", "counts"), [(None, False), ("done", False), ("commit 3f2a91c", True), ("PR #7", True), ("CHG-1044", True)]
)
def test_an_implementation_needs_its_change_reference(note: str | None, counts: bool) -> None:
    """Whatever a reference is called, it has a digit in it."""
    request = ask(note=Note.CHANGE_REFERENCE)
    outcome = judge(request, act(request, note=note))
    assert isinstance(outcome, Granted) is counts
    if not counts:
        assert code(outcome) == "APR-410"


def test_a_rejection_needs_no_change_reference() -> None:
    """There is no change to refer to."""
    request = ask(note=Note.CHANGE_REFERENCE)
    assert isinstance(judge(request, act(request, state="failed")), Rejected)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("retry", (Decision.RETRY, "")),
        (" Retry: the generator was busy", (Decision.RETRY, "the generator was busy")),
        ("halt - not this week", (Decision.HALT, "not this week")),
        ("WAIVER: the peak is over until spring", (Decision.WAIVER, "the peak is over until spring")),
        ("waiver: too short", "APR-410"),
        ("waiver", "APR-410"),
        ("waivers are for others, honestly they are", "APR-411"),
        ("please retry", "APR-411"),
        ("", "APR-411"),
        (None, "APR-411"),
        ("approve", "APR-411"),
    ],
)
def test_the_note_of_a_mark_decides_about_a_gate(note: str | None, expected: tuple[Decision, str] | str) -> None:
    """The first word is the decision, the rest its reason; anything else is not clear."""
    request = ask(options=GATE_DECISION)
    outcome = judge(request, act(request, note=note))
    if isinstance(expected, str):
        assert code(outcome) == expected
    else:
        assert isinstance(outcome, Granted)
        assert (outcome.decision, outcome.record["comment"]) == expected


def test_the_form_decides_about_a_gate_and_a_waiver_still_needs_its_reason() -> None:
    """The chosen option is the decision, the comment its reason."""
    request = ask(options=GATE_DECISION)
    form = {"channel": Channel.FORM, "decision": "waiver"}
    assert code(judge(request, act(request, **form, note=None))) == "APR-410"
    outcome = judge(request, act(request, **form, note="the peak is over until spring"))
    assert isinstance(outcome, Granted) and outcome.decision is Decision.WAIVER


@pytest.mark.parametrize("change", [{"state": "skipped"}, {"decision": "maybe"}, {"decision": "retry"}])
def test_what_is_neither_approval_nor_rejection_is_not_clear(change: dict[str, Any]) -> None:
    """Skipped is not approved."""
    request = ask()
    assert code(judge(request, act(request, **change))) == "APR-411"


def test_a_gate_task_marked_failed_is_not_clear() -> None:
    """It could mean halt or retry."""
    request = ask(options=GATE_DECISION)
    assert code(judge(request, act(request, state="failed", note="halt"))) == "APR-411"
