"""Several acts on one task: the first that counts decides, whatever comes after it."""

from __future__ import annotations

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
    SigningKey,
    open_request,
    sign,
)
from perfproof.approvals.act import MAX_ACTS, acts_in, with_act
from perfproof.approvals.rules import Outcome, examine_all
from perfproof.config import Person
from perfproof.moments import stamp

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
KEY, OTHER = SigningKey("k1", b"k" * 32), SigningKey("k1", b"x" * 32)
QUESTION = Question(
    run="run-0123456789abcdef", dag_id="d", run_id="r", step="plan", map_index=-1, round=0, question="Approve?", options=APPROVAL,
    roles=(Asked("sre", "SRE", (Person("ann", "Ann"), Person("sam", "Sam"))),), evidence=(Evidence("plan", "a" * 64),), shown={},
)  # fmt: skip
REQUEST = open_request(QUESTION, attempt=1, roles=("sre",), log_size=3, log_head="b" * 64, now=NOW, expires_after_days=7)


def act(who: str, state: str = "success", *, key: SigningKey = KEY) -> dict[str, Any]:
    return sign(
        Act(
            actor_id=who,
            actor_name=who,
            state=state,
            dag_id="performance_approvals",
            run_id=REQUEST.request_id,
            task_id="approve",
            map_index=0,
            ti_id="01",
            try_number=1,
            time=stamp(NOW + timedelta(hours=1)),
            note=None,
            decision=None,
            channel=Channel.MARK,
            conf_sha256=REQUEST.sha256,
            key_id=key.id,
        ),
        key=key,
    )


def decided(stored: object) -> Outcome:
    return examine_all(REQUEST, role="sre", stored=stored, key=KEY, question=QUESTION, records=(), now=NOW + timedelta(hours=2))


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("acts", "kind", "person"),
    [
        ([act("ann"), act("eve", "failed")], Granted, "ann"),
        ([act("ann"), act("sam")], Granted, "ann"),
        ([act("ann", "failed"), act("sam")], Rejected, "ann"),
        ([act("ann"), act("sam", "failed")], Rejected, "sam"),
        ([act("ann"), act("ann", "failed"), act("ann")], Rejected, "ann"),
        ([act("eve"), act("sam")], Granted, "sam"),
        ([act("ann", key=OTHER), act("sam", "failed")], Rejected, "sam"),
    ],
)
def test_the_first_act_that_counts_decides(acts: list[Any], kind: type, person: str, *, as_text: bool) -> None:
    """As the api-server stores them (text) and as a worker does (a list); one who rejects is heard first."""
    outcome = decided(json.dumps(acts) if as_text else acts)
    assert isinstance(outcome.found, kind) and not isinstance(outcome.found, Refused)
    assert isinstance(outcome.act, dict) and outcome.act["actor_id"] == person
    assert outcome.found.record["person"]["id"] == person


@pytest.mark.parametrize(
    ("stored", "code"),
    [
        ([act("eve"), act("eve", "failed")], "APR-403"),
        (act("eve"), "APR-403"),
        (None, "APR-401"),
        ([], "APR-401"),
        ([["ann", "success"]], "APR-401"),
        ("[1, 2", "APR-401"),
        ("[NaN]", "APR-401"),
        ([act("ann", key=OTHER)], "APR-402"),
    ],
)
def test_where_none_counts_the_newest_says_why(stored: object, code: str) -> None:
    """Nothing, garbage, and people without the role."""
    found = decided(stored).found
    assert isinstance(found, Refused) and found.code == code


def test_who_decided_otherwise_is_named() -> None:
    """Each act that would have counted and says something else."""
    both = decided([act("ann"), act("sam", "failed"), act("eve", "failed"), act("sam")])
    assert [(refused.code, refused.actor) for refused, _ in both.conflicts] == [("APR-409", "Ann"), ("APR-409", "Sam")]
    assert decided([act("ann"), act("sam")]).conflicts == ()


def test_an_act_that_is_added_takes_nothing_back() -> None:
    """One act is stored as it is; more as a list, without what nobody signed, and the first sixteen of many."""
    first, second = act("ann"), act("eve", "failed")
    assert with_act(None, first, key=KEY, where="x") == first
    assert with_act({"forged": True}, first, key=KEY, where="x") == first
    assert with_act([first], second, key=KEY, where="x") == [first, second]
    assert with_act(json.dumps(first), second, key=KEY, where="x") == [first, second]
    assert with_act([act("sam", key=OTHER), first], second, key=KEY, where="x") == [first, second]
    stored: Any = None
    for _ in range(MAX_ACTS + 5):
        stored = with_act(stored, first if stored is None else second, key=KEY, where="x")
    assert len(stored) == MAX_ACTS and acts_in(stored, where="x")[0] == first
