"""Who stands in for whom, on which days: as a request carries it, as a form names it, as the rules count it, as a record says it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import (
    APPROVAL,
    Act,
    Asked,
    Channel,
    Evidence,
    Granted,
    Question,
    Refused,
    Rejected,
    Request,
    SigningKey,
    examine,
    open_request,
    read_request,
    sign,
)
from perfproof.approvals.shown import body, subject
from perfproof.config import Person
from perfproof.config.people import Deputy, Role
from perfproof.errors import ApprovalError
from perfproof.moments import stamp

KEY = SigningKey("k1", b"k" * 32)
ASKED_AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ANN, BEA, SAM = Person("ann", "Ann A."), Person("bea", "Bea B."), Person("sam", "Sam S.")
DORA = Deputy(id="dora", name="Dora D.", stands_for="ann", first_day="2026-12-01", last_day="2026-12-03")
QUESTION = Question(
    run="run-0123456789abcdef",
    dag_id="performance_optimization",
    run_id="run",
    step="plan",
    map_index=-1,
    round=0,
    question="Approve?",
    options=APPROVAL,
    roles=(Asked("product_owner", "Product Owner", (ANN, BEA), (DORA,)), Asked("sre_lead", "SRE Lead", (SAM,))),
    evidence=(Evidence("plan", "a" * 64),),
    shown={},
)


def ask(**changes: Any) -> Request:
    return open_request(
        dataclasses.replace(QUESTION, **changes),
        attempt=1, roles=("product_owner", "sre_lead"), log_size=3, log_head="b" * 64, now=ASKED_AT, expires_after_days=7,
    )  # fmt: skip


def only_ann(*deputies: Deputy) -> tuple[Asked, ...]:
    return (Asked("product_owner", "Product Owner", (ANN,), deputies or (DORA,)), QUESTION.roles[1])


def answer(request: Request, who: str, moment: datetime, *, role: str = "product_owner", records: Any = (), **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "actor_id": who, "actor_name": who, "state": "success", "dag_id": "performance_approvals", "run_id": request.request_id,
        "task_id": "approve", "map_index": request.map_index_of(role), "ti_id": "01", "try_number": 1, "time": stamp(moment),
        "note": None, "decision": None, "channel": Channel.MARK, "conf_sha256": request.sha256, "key_id": "k1",
    }  # fmt: skip
    act = sign(Act(**{**fields, **changes}), key=KEY)
    return examine(request, role=role, stored_act=act, key=KEY, question=request.question, records=records, now=moment)


def refusal(outcome: Granted | Rejected | Refused) -> tuple[str, str]:
    assert isinstance(outcome, Refused), outcome
    return outcome.code, outcome.reason


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        ("2026-11-30T23:59:59Z", False),
        ("2026-12-01T00:00:00Z", True),
        ("2026-12-02T12:00:00Z", True),
        ("2026-12-03T23:59:59Z", True),
        ("2026-12-04T00:00:00Z", False),
    ],
)
def test_a_deputy_counts_on_his_days_and_on_no_other(moment: str, counts: bool) -> None:
    """Both days included, in UTC; a refusal names the days."""
    outcome = answer(ask(), "dora", datetime.fromisoformat(moment))
    if counts:
        assert isinstance(outcome, Granted)
    else:
        code, reason = refusal(outcome)
        assert code == "APR-403" and "2026-12-01 to 2026-12-03" in reason and moment in reason


def test_the_record_says_who_answered_and_for_whom() -> None:
    """And null for who holds the role."""
    outcome = answer(ask(), "dora", datetime(2026, 12, 2, tzinfo=UTC))
    assert isinstance(outcome, Granted)
    assert outcome.record["person"] == {"id": "dora", "name": "Dora D."}
    assert outcome.record["deputy_for"] == {"id": "ann", "name": "Ann A."}
    own = answer(ask(), "ann", datetime(2026, 12, 2, tzinfo=UTC))
    assert isinstance(own, Granted) and own.record["deputy_for"] is None


def test_a_deputy_rejects_as_well() -> None:
    """Within the days; outside of them nobody is stopped by somebody without the role."""
    assert isinstance(answer(ask(), "dora", datetime(2026, 12, 2, tzinfo=UTC), state="failed"), Rejected)
    assert refusal(answer(ask(), "dora", datetime(2026, 12, 5, tzinfo=UTC), state="failed"))[0] == "APR-403"


def test_a_deputy_of_one_role_is_nobody_in_another() -> None:
    """Standing in is for a role."""
    assert refusal(answer(ask(), "dora", datetime(2026, 12, 2, tzinfo=UTC), role="sre_lead"))[0] == "APR-403"


def test_a_deputy_does_not_answer_for_two_roles() -> None:
    """Dora stands in for Sam too, and two roles need two people."""
    also = dataclasses.replace(DORA, stands_for="sam")
    request = ask(roles=(QUESTION.roles[0], Asked("sre_lead", "SRE Lead", (SAM,), (also,))))
    moment = datetime(2026, 12, 2, tzinfo=UTC)
    first = answer(request, "dora", moment)
    assert isinstance(first, Granted)
    assert refusal(answer(request, "dora", moment, role="sre_lead", records=[first.record]))[0] == "APR-406"


@pytest.mark.parametrize("forbidden", ["dora", "Dora"])
def test_a_deputy_who_asked_for_it_does_not_approve_it(forbidden: str) -> None:
    """As anybody."""
    assert refusal(answer(ask(forbidden=(forbidden,)), "dora", datetime(2026, 12, 2, tzinfo=UTC)))[0] == "APR-405"


@pytest.mark.parametrize("forbidden", ["ann", "ANN", "Ann A."])
def test_a_deputy_of_the_only_holder_does_not_answer_what_that_holder_asked_for(forbidden: str) -> None:
    """Else the requester would have chosen who answers."""
    code, reason = refusal(answer(ask(roles=only_ann(), forbidden=(forbidden,)), "dora", datetime(2026, 12, 2, tzinfo=UTC)))
    assert code == "APR-405" and "stands in for the only holder" in reason


def test_a_deputy_answers_on_his_own_where_somebody_else_holds_the_role_too() -> None:
    """Ann asked, Bea holds the role as well: Dora is as free as Bea. With both of them excluded she is not."""
    moment = datetime(2026, 12, 2, tzinfo=UTC)
    assert isinstance(answer(ask(forbidden=("ann",)), "dora", moment), Granted)
    assert refusal(answer(ask(forbidden=("ann", "bea")), "dora", moment))[0] == "APR-405"


def test_a_request_carries_its_deputies_under_its_digest() -> None:
    """Through JSON and back; other days, another deputy or none are another request, about the same subject."""
    request = ask()
    assert read_request(json.loads(json.dumps(request.conf())), where="run") == request
    others = [only_ann(), only_ann(dataclasses.replace(DORA, last_day="2026-12-04")), only_ann(dataclasses.replace(DORA, id="dan"))]
    assert len({request.sha256, *(ask(roles=roles).sha256 for roles in others)}) == 4
    assert {ask(roles=roles).question.subject_sha256 for roles in others} == {request.question.subject_sha256}


def test_a_request_without_deputies_reads_as_it_did_before_there_were_any() -> None:
    """A request that waits through an upgrade keeps its digest."""
    plain = Asked("product_owner", "Product Owner", (ANN,))
    assert plain.document() == {"role": "product_owner", "label": "Product Owner", "people": [{"id": "ann", "name": "Ann A."}]}


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "20261201", "2026-12-01T00:00:00"])
def test_days_that_are_none_make_no_request(day: str) -> None:
    """Only what a protocol run wrote is read, and it wrote days."""
    conf = ask().conf()
    conf["roles"][0]["deputies"][0]["first_day"] = day
    with pytest.raises(ApprovalError, match="APR-421"):
        read_request(conf, where="run")


def test_the_form_names_the_deputies_of_its_days_with_whom_they_stand_in_for() -> None:
    """Dora; not Dan, whose days begin after the request has expired."""
    dan = Deputy(id="dan", name="Dan <b>D.", stands_for="ann", first_day="2026-12-07", last_day="2026-12-09")
    request = ask(roles=only_ann(DORA, dan))
    text = body(request, role="product_owner").replace("\\", "")
    assert "for Ann A., Dora D. (deputy of Ann A., 2026-12-01 to 2026-12-03)" in text and "Dan" not in text
    assert subject(request, role="product_owner").endswith("waits for ann, dora")


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        ("2026-11-01", "2026-11-28", False),
        ("2026-11-01", "2026-11-29", True),
        ("2026-12-06", "2026-12-31", True),
        ("2026-12-07", "2026-12-31", False),
        ("2026-11-01", "2026-12-31", True),
    ],
)
def test_who_may_answer_at_some_time_of_the_request_is_who_the_form_accepts(first: str, last: str, named: bool) -> None:
    """Open from 2026-11-29 to 2026-12-06."""
    asked = only_ann(dataclasses.replace(DORA, first_day=first, last_day=last))[0]
    found = asked.respondents(start=ASKED_AT, end=ASKED_AT + timedelta(days=7))
    assert [who.id for who in found] == (["ann", "dora"] if named else ["ann"])


def test_a_role_says_who_may_answer_at_a_moment() -> None:
    """For everybody who checks a record later."""
    role = Role("Product Owner", (ANN,), (DORA,))
    inside, outside = datetime(2026, 12, 3, 23, 59, tzinfo=UTC), datetime(2026, 12, 4, tzinfo=UTC)
    assert [role.may_answer(who, at=inside) for who in ("ann", "dora", "eve")] == [True, True, False]
    assert [role.may_answer(who, at=outside) for who in ("ann", "dora", "eve")] == [True, False, False]
