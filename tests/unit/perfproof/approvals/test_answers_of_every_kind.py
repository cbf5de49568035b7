"""Every way to answer a request or to interfere with it has one outcome: granted, rejected, or refused with its code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import (
    APPROVAL,
    GATE_DECISION,
    Act,
    Asked,
    Channel,
    Decision,
    Evidence,
    Granted,
    KeyRing,
    Question,
    Refused,
    Rejected,
    Request,
    RetiredKey,
    SigningKey,
    examine,
    open_request,
    read_key,
    sign,
)
from perfproof.config import Person
from perfproof.config.people import Deputy
from perfproof.errors import ApprovalError
from perfproof.moments import stamp

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
ANSWERED, LOOKED_AT = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
KEY, OLD = SigningKey("k2", b"k" * 32), SigningKey("k1", b"o" * 32)
DORA = Deputy("dora", "Dora", "ann", "2026-12-02", "2026-12-03")
QUESTION = Question(
    run="run-0123456789abcdef",
    dag_id="performance_optimization",
    run_id="run",
    step="plan",
    map_index=-1,
    round=0,
    question="Approve?",
    options=APPROVAL,
    roles=(
        Asked("product_owner", "Product Owner", (Person("ann", "Ann A."), Person("bea", "Bea B.")), (DORA,)),
        Asked("sre_lead", "SRE Lead", (Person("sam", "Sam S."), Person("ann", "Ann A."))),
    ),
    evidence=(Evidence("plan", "a" * 64),),
    shown={"x": 1},
    forbidden=("bea",),
)


def ask(attempt: int = 1, **changes: Any) -> Request:
    return open_request(
        dataclasses.replace(QUESTION, **changes),
        attempt=attempt, roles=("product_owner", "sre_lead"), log_size=3, log_head="b" * 64, now=NOW, expires_after_days=7,
    )  # fmt: skip


REQUEST = ask()
GATE = ask(options=GATE_DECISION)


def act(request: Request = REQUEST, *, key: SigningKey = KEY, **changes: Any) -> dict[str, Any]:
    """What is stored when Ann marks the product owner's task success without a note."""
    fields: dict[str, Any] = {
        "actor_id": "ann", "actor_name": "ann", "state": "success", "dag_id": "performance_approvals", "run_id": request.request_id,
        "task_id": "approve", "map_index": 0, "ti_id": "01", "try_number": 1, "time": stamp(ANSWERED), "note": None, "decision": None,
        "channel": Channel.MARK, "conf_sha256": request.sha256, "key_id": key.id,
    }  # fmt: skip
    return sign(Act(**{**fields, **changes}), key=key)


def form(decision: Any, request: Request = REQUEST, **changes: Any) -> dict[str, Any]:
    """What is stored when Ann answers the form."""
    return act(request, channel=Channel.FORM, decision=decision, **changes)


def raw(**changes: Any) -> dict[str, Any]:
    """An act with fields that no `Act` can hold, under a true signature: only who has the key could make one."""
    import hashlib
    import hmac

    import rfc8785

    document = {name: value for name, value in act().items() if name != "hmac_sha256"} | changes
    return document | {"hmac_sha256": hmac.new(KEY.secret, rfc8785.dumps(document), hashlib.sha256).hexdigest()}


def judge(stored: object, request: Request = REQUEST, **changes: Any) -> Granted | Rejected | Refused:
    arguments: dict[str, Any] = {
        "role": "product_owner", "key": KEY, "question": request.question, "records": (), "now": LOOKED_AT,
    }  # fmt: skip
    return examine(request, stored_act=stored, **{**arguments, **changes})


def record(stored: dict[str, Any], request: Request = REQUEST, role: str = "product_owner") -> Any:
    """The record of an answer that counts."""
    outcome = judge(stored, request, role=role)
    assert isinstance(outcome, Granted)
    return outcome.record


def outcome_of(found: Granted | Rejected | Refused) -> str:
    if isinstance(found, Refused):
        return found.code
    return "rejected" if isinstance(found, Rejected) else str(found.decision)


def retired(until: datetime) -> KeyRing:
    return KeyRing(KEY, (RetiredKey(OLD, until),))


DECEMBER_2, DECEMBER_4 = datetime(2026, 12, 2, tzinfo=UTC), datetime(2026, 12, 4, tzinfo=UTC)
LONG_AGO = dataclasses.replace(REQUEST, requested_at=NOW - timedelta(days=8), expires_at=NOW - timedelta(days=1))
DEADLINE, OTHER = NOW + timedelta(days=7), (Evidence("plan", "c" * 64),)
Case = tuple[str, Callable[[], Granted | Rejected | Refused], str]
CASES: list[Case] = [
    # Marks
    ("marked success", lambda: judge(act()), "approve"),
    ("marked success with a note", lambda: judge(act(note="fine")), "approve"),
    ("marked failed", lambda: judge(act(state="failed")), "rejected"),
    ("marked failed with words of approval", lambda: judge(act(state="failed", note="approve")), "rejected"),
    ("marked success with words of rejection", lambda: judge(act(note="reject")), "approve"),
    ("marked skipped", lambda: judge(act(state="skipped")), "APR-411"),
    ("marked with a state that Airflow does not offer", lambda: judge(act(state="removed")), "APR-411"),
    ("marked together with the whole run", lambda: judge(act(map_index=1), role="sre_lead"), "approve"),
    ("ended by nobody", lambda: judge(None), "APR-401"),
    # The form
    ("form: Approve", lambda: judge(form("approve")), "approve"),
    ("form: Reject", lambda: judge(form("reject", state="failed")), "rejected"),
    ("form: Reject, although the task shows success", lambda: judge(form("reject")), "rejected"),
    ("form: `Approve `", lambda: judge(form("approve ")), "APR-411"),
    ("form: `APPROVED!`", lambda: judge(form("APPROVED!")), "APR-411"),
    ("form: `Approve`, not as an act writes it", lambda: judge(form("Approve")), "APR-411"),
    ("form: pending", lambda: judge(form("pending")), "APR-411"),
    ("form: nothing", lambda: judge(form("")), "APR-411"),
    ("form: an option of another question", lambda: judge(form("retry")), "APR-411"),
    ("form: a list", lambda: judge(raw(decision=["approve"])), "APR-401"),
    ("form: true", lambda: judge(raw(decision=True)), "APR-401"),
    ("form: of a channel that there is not", lambda: judge(raw(channel="mail")), "APR-401"),
    # Who
    ("a person without the role", lambda: judge(act(actor_id="eve", actor_name="Eve")), "APR-403"),
    ("a person without the role rejects", lambda: judge(act(actor_id="eve", actor_name="Eve", state="failed")), "APR-403"),
    ("a person of another role", lambda: judge(act(actor_id="sam", actor_name="sam")), "APR-403"),
    ("who calls himself like a person of the role", lambda: judge(act(actor_id="eve", actor_name="Ann A.")), "APR-403"),
    ("the id in another case", lambda: judge(act(actor_id="Ann", actor_name="Ann A.")), "APR-403"),
    ("the name of the role as a person", lambda: judge(act(actor_id="product_owner", actor_name="Product Owner")), "APR-403"),
    ("a forbidden person", lambda: judge(act(actor_id="bea", actor_name="bea")), "APR-405"),
    ("a forbidden person rejects", lambda: judge(act(actor_id="bea", actor_name="bea", state="failed")), "APR-405"),
    ("a forbidden person by the form", lambda: judge(form("approve", actor_id="bea", actor_name="Bea B.")), "APR-405"),
    ("two roles, one person", lambda: judge(act(), records=[record(act(map_index=1), role="sre_lead")]), "APR-406"),
    ("two roles, two people", lambda: judge(act(), records=[record(act(map_index=1, actor_id="sam"), role="sre_lead")]), "approve"),
    ("a deputy on his days", lambda: judge(act(actor_id="dora", time=stamp(DECEMBER_2)), now=DECEMBER_2), "approve"),
    ("a deputy before his days", lambda: judge(act(actor_id="dora")), "APR-403"),
    ("a deputy after his days", lambda: judge(act(actor_id="dora", time=stamp(DECEMBER_4)), now=DECEMBER_4), "APR-403"),
    ("a deputy rejects after his days",
        lambda: judge(act(actor_id="dora", time=stamp(DECEMBER_4), state="failed"), now=DECEMBER_4), "APR-403"),
    # Twice, late, elsewhere
    ("the form answered after a mark: the mark is what is stored", lambda: judge(act(), records=[record(act())]), "approve"),
    ("a second mark of the same decision", lambda: judge(act(try_number=2), records=[record(act())]), "approve"),
    ("a second decision that contradicts the first", lambda: judge(form("waiver", GATE, note="the peak is over until spring"), GATE,
        records=[record(act(GATE, note="halt"), GATE)]), "APR-409"),
    ("rejected after it was approved", lambda: judge(act(state="failed"), records=[record(act())]), "APR-409"),
    ("answered after the expiry", lambda: judge(act(time=stamp(DEADLINE + timedelta(seconds=1))), now=NOW + timedelta(days=8)), "APR-407"),
    ("answered in the last second", lambda: judge(act(time=stamp(DEADLINE)), now=NOW + timedelta(days=8)), "approve"),
    ("a request that expired long ago", lambda: judge(act(LONG_AGO), LONG_AGO), "APR-407"),
    ("dated before the request", lambda: judge(act(time=stamp(NOW - timedelta(minutes=6)))), "APR-407"),
    ("dated in the future", lambda: judge(act(time=stamp(LOOKED_AT + timedelta(minutes=6)))), "APR-407"),
    ("an act of another request", lambda: judge(act(ask(step="handoff"))), "APR-404"),
    ("an act of another attempt", lambda: judge(act(ask(attempt=2))), "APR-404"),
    ("an act of another round", lambda: judge(act(ask(round=1))), "APR-404"),
    ("an act of another run", lambda: judge(act(ask(run="run-fedcba9876543210"))), "APR-404"),
    ("an act of the other role's task", lambda: judge(act(map_index=1)), "APR-404"),
    ("an act of another task", lambda: judge(act(task_id="publish_request")), "APR-404"),
    ("an act of another DAG", lambda: judge(act(dag_id="performance_optimization")), "APR-404"),
    ("the request was changed after it was made", lambda: judge(act(conf_sha256="0" * 64)), "APR-404"),
    ("a role that is not asked", lambda: judge(act(), role="security"), "APR-404"),
    ("the evidence changed", lambda: judge(act(), question=dataclasses.replace(QUESTION, evidence=OTHER)), "APR-408"),
    ("what is shown changed", lambda: judge(act(), question=dataclasses.replace(QUESTION, shown={"x": 2})), "APR-408"),
    # What is stored
    ("an edited act: another person", lambda: judge({**act(actor_id="eve"), "actor_id": "ann"}), "APR-402"),
    ("an edited act: another decision", lambda: judge({**form("reject"), "decision": "approve"}), "APR-402"),
    ("an edited act: another time", lambda: judge({**act(), "time": stamp(LOOKED_AT)}), "APR-402"),
    ("an act with one more field", lambda: judge({**act(), "role": "product_owner"}), "APR-402"),
    ("an act without its signature", lambda: judge({k: v for k, v in act().items() if k != "hmac_sha256"}), "APR-401"),
    ("an act with an empty signature", lambda: judge({**act(), "hmac_sha256": ""}), "APR-402"),
    ("an act that no one can sign, with an empty signature", lambda: judge({**act(), "note": "\ud800", "hmac_sha256": ""}), "APR-402"),
    ("an act of a later version", lambda: judge(raw(version=2)), "APR-402"),
    ("the act as text", lambda: judge(json.dumps(act())), "approve"),
    ("the act as text in text", lambda: judge(json.dumps(json.dumps(act()))), "APR-401"),
    ("a number", lambda: judge(7), "APR-401"),
    ("a list of acts", lambda: judge([act()]), "APR-401"),
    ("half an act", lambda: judge(json.dumps(act())[:-20]), "APR-401"),
    ("an act with duplicate keys", lambda: judge(json.dumps(act())[:-1] + ', "actor_id": "ann"}'), "APR-401"),
    ("an act with NaN", lambda: judge(json.dumps(act()).replace('"try_number": 1', '"try_number": NaN')), "APR-401"),
    ("an act with NaN, as a document", lambda: judge({**act(), "try_number": float("nan")}), "APR-402"),
    ("an act with text for a number", lambda: judge(raw(try_number="1")), "APR-401"),
    ("an act of more than 64 KiB", lambda: judge(act(note="n" * (1 << 16))), "APR-401"),
    ("text of more than 64 KiB", lambda: judge(" " * (1 << 16) + json.dumps(act())), "APR-401"),
    # Keys
    ("another key under the id of ours", lambda: judge(act(key=SigningKey("k2", b"x" * 32))), "APR-402"),
    ("an unknown key", lambda: judge(act(key=OLD)), "APR-402"),
    ("a retired key, in time", lambda: judge(act(key=OLD), key=retired(ANSWERED)), "approve"),
    ("a retired key, too late", lambda: judge(act(key=OLD), key=retired(ANSWERED - timedelta(seconds=1))), "APR-402"),
    ("the current key beside a retired one", lambda: judge(act(), key=retired(NOW)), "approve"),
    # Gates
    ("gate: retry in the note", lambda: judge(act(GATE, note="retry"), GATE), "retry"),
    ("gate: halt in the note", lambda: judge(act(GATE, note="halt: not now"), GATE), "halt"),
    ("gate: waiver with reasons", lambda: judge(act(GATE, note="waiver: the peak is over until spring"), GATE), "waiver"),
    ("gate: waiver without reasons", lambda: judge(form("waiver", GATE), GATE), "APR-410"),
    ("gate: marked success without a note", lambda: judge(act(GATE), GATE), "APR-411"),
    ("gate: marked failed", lambda: judge(act(GATE, state="failed", note="halt"), GATE), "APR-411"),
    ("gate: approve", lambda: judge(form("approve", GATE), GATE), "APR-411"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_way_to_answer_or_interfere_has_its_outcome(found: Callable[[], Granted | Rejected | Refused], expected: str) -> None:
    """Nothing is an error of the program, and what decides nothing says why in a sentence."""
    outcome = found()
    assert outcome_of(outcome) == expected
    if isinstance(outcome, Refused):
        assert len(outcome.reason) > 20 and "\n" not in outcome.reason


def test_every_refusal_that_an_act_can_meet_is_among_the_cases() -> None:
    """A new code needs its case."""
    codes = {expected for _, _, expected in CASES if expected.startswith("APR-")}
    assert codes == {f"APR-{number}" for number in range(401, 412)}
    assert {str(decision) for decision in Decision} - {"reject"} <= {expected for _, _, expected in CASES}


def test_without_a_key_nothing_is_judged() -> None:
    """Not an answer that is refused: a fault of the installation."""
    with pytest.raises(ApprovalError, match="APR-423"):
        judge(act(), key=read_key(login=None, password=None))


def test_an_unknown_key_says_that_it_is_unknown() -> None:
    """So that a rotation that forgot the old key is understood."""
    outcome = judge(act(key=OLD))
    assert isinstance(outcome, Refused) and "a key that this Airflow does not know" in outcome.reason
