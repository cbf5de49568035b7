"""The task that people see: what it asks, and what an answer leaves behind."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from perfproof.approvals import (
    APPROVAL,
    Asked,
    Evidence,
    KeyRing,
    Note,
    Question,
    Request,
    RetiredKey,
    SigningKey,
    open_request,
    read_act,
    sign,
)
from perfproof.config import Person
from perfproof.config.people import Deputy
from perfproof.errors import ApprovalError
from perfproof_airflow.operators import approve
from perfproof_airflow.operators.approve import ApproveOperator

KEY = SigningKey(id="k1", secret=b"k" * 32)
QUESTION = Question(
    run="run-0123456789abcdef",
    dag_id="performance_optimization",
    run_id="run",
    step="implementation",
    map_index=0,
    round=0,
    question="{{ 7 * 7 }} deployed?",
    options=APPROVAL,
    roles=(Asked("task_owner", "Owner of the task", (Person("ann", "Ann A."), Person("bea", "Bea B."))),),
    evidence=(Evidence("optimization-plan.json", "a" * 64),),
    shown={},
    note=Note.CHANGE_REFERENCE,
)


def request(now: datetime | None = None) -> Request:
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    return open_request(QUESTION, attempt=1, roles=("task_owner",), log_size=3, log_head="b" * 64, now=moment, expires_after_days=7)


class Ti(SimpleNamespace):
    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Kept(dict[str, Any]):
    """The task's state store."""

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.fixture
def upserts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **fields: found.append(fields))
    monkeypatch.setattr(approve, "worker_key", lambda: KEY)
    monkeypatch.setattr(approve, "worker_ring", lambda: KeyRing(KEY))
    return found


def context(asked: Request, *, try_number: int = 1, kept: Kept | None = None, **changes: Any) -> Any:
    ti = Ti(
        dag_id="performance_approvals", run_id=asked.request_id, task_id="approve", map_index=0, id="01", try_number=try_number, pushed={}
    )
    dag_run = SimpleNamespace(run_id=changes.get("run_id", asked.request_id), conf=changes.get("conf", asked.conf()))
    return {"ti": ti, "task_instance": ti, "dag_run": dag_run, "task_state_store": Kept() if kept is None else kept}


def operator() -> ApproveOperator:
    return ApproveOperator(task_id="approve", role="task_owner", role_label="Owner of the task")


def event(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "chosen_options": ["Approve"],
        "params_input": {"comment": "commit 3f2a91c"},
        "responded_at": datetime(2025, 2, 16, 10, 0, tzinfo=UTC),
        "responded_by_user": {"id": "ann", "name": "Ann A."},
        "timedout": False,
    }
    return {**fields, **changes}


def test_it_parks_with_the_requests_form_for_the_people_of_the_role(upserts: list[dict[str, Any]]) -> None:
    """Options, respondents, note and deadline come from the request, and nothing of it is rendered as a template."""
    with pytest.raises(TaskAwaitingInput) as parked:
        operator().execute(context(request()))
    (form,) = upserts
    assert form["options"] == ["Approve", "Reject"]
    assert [user["id"] for user in form["assigned_users"]] == ["ann", "bea"]
    assert form["defaults"] is None
    assert "7 \\* 7" in form["body"]
    assert form["params"]["comment"]["schema"]["title"].startswith("Change reference")
    assert timedelta(days=6, hours=23) < parked.value.timeout <= timedelta(days=7)
    assert not ApproveOperator.template_fields


def test_the_form_accepts_deputies_of_the_requests_days(upserts: list[dict[str, Any]]) -> None:
    """Dora stands in tomorrow, Dan stood in last month."""
    now = datetime.now(UTC).replace(microsecond=0)
    days = {"dora": now + timedelta(days=1), "dan": now - timedelta(days=30)}
    deputies = tuple(Deputy(name, name.title(), "ann", f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d}") for name, day in days.items())
    question = dataclasses.replace(QUESTION, roles=(dataclasses.replace(QUESTION.roles[0], deputies=deputies),))
    asked = open_request(question, attempt=1, roles=("task_owner",), log_size=3, log_head="b" * 64, now=now, expires_after_days=7)
    with pytest.raises(TaskAwaitingInput):
        operator().execute(context(asked))
    assert upserts[0]["assigned_users"] == [{"id": w, "name": n} for w, n in (("ann", "Ann A."), ("bea", "Bea B."), ("dora", "Dora"))]


def test_an_answer_becomes_the_signed_act_of_the_person(upserts: list[dict[str, Any]]) -> None:
    """As Airflow authenticated them, at the time they answered."""
    asked = request()
    found = context(asked)
    operator().execute_complete(found, event())
    act = read_act(found["ti"].pushed["act"], key=KEY, where="xcom")
    assert (act.actor_id, act.decision, act.note, act.time) == ("ann", "approve", "commit 3f2a91c", "2025-02-16T10:00:00Z")
    assert (act.run_id, act.map_index, act.conf_sha256, act.state) == (asked.request_id, 0, asked.sha256, "success")


def test_a_rejection_is_stored_and_shows_red(upserts: list[dict[str, Any]]) -> None:
    """The act is there before the task fails, and it is not retried."""
    found = context(request())
    with pytest.raises(AirflowFailException, match="rejected by Ann"):
        operator().execute_complete(found, event(chosen_options=["Reject"]))
    act = read_act(found["ti"].pushed["act"], key=KEY, where="xcom")
    assert (act.decision, act.state) == ("reject", "failed")


@pytest.mark.parametrize(
    "answer",
    [
        event(responded_by_user=None),
        event(chosen_options=[]),
        event(chosen_options=["Maybe"]),
        event(chosen_options=["Approve", "Reject"]),
        {"error": "timed out", "error_type": "timeout"},
    ],
)
def test_what_no_person_decided_leaves_no_act(upserts: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    """A timeout approves nothing."""
    found = context(request())
    with pytest.raises(AirflowFailException):
        operator().execute_complete(found, answer)
    assert found["ti"].pushed == {}


def test_an_expired_request_is_not_put_again(upserts: list[dict[str, Any]]) -> None:
    """Cleared after its time: red, no form."""
    with pytest.raises(AirflowFailException, match="expired"):
        operator().execute(context(request(datetime.now(UTC) - timedelta(days=8))))
    assert upserts == []


@pytest.mark.parametrize("change", [{"conf": {}}, {"conf": None}, {"run_id": "made-by-hand"}])
def test_a_run_made_by_hand_asks_nobody(upserts: list[dict[str, Any]], change: dict[str, Any]) -> None:
    """Only protocol runs ask."""
    with pytest.raises(AirflowFailException, match="APR-"):
        operator().execute(context(request(), **change))
    assert upserts == []


def kept_answer(asked: Request, **changes: Any) -> dict[str, Any]:
    """What the api-server kept of an answer to the first try."""
    found = context(asked)
    approve_act = ApproveOperator(task_id="approve", role="task_owner", role_label="x")
    approve_act.execute_complete(found, event())
    act = read_act(found["ti"].pushed["act"], key=KEY, where="xcom")
    return sign(dataclasses.replace(act, **changes), key=KEY)


def test_the_answer_to_a_failed_try_is_taken_over(upserts: list[dict[str, Any]]) -> None:
    """The scheduler lost the first try; the person is not asked twice."""
    asked = request()
    kept = Kept(perfproof_answer=kept_answer(asked))
    found = context(asked, try_number=2, kept=kept)
    operator().execute(found)
    assert read_act(found["ti"].pushed["act"], key=KEY, where="xcom").actor_id == "ann"
    assert upserts == [] and kept == {}


@pytest.mark.parametrize("change", [{"conf_sha256": "0" * 64}, {"run_id": "other"}, {"map_index": 3}, {"try_number": 2}])
def test_a_kept_answer_to_something_else_is_not_taken_over(upserts: list[dict[str, Any]], change: dict[str, Any]) -> None:
    """Another request, another role, or this very try: asked properly."""
    asked = request()
    found = context(asked, try_number=2, kept=Kept(perfproof_answer=kept_answer(asked, **change)))
    with pytest.raises(TaskAwaitingInput):
        operator().execute(found)


def test_an_answer_that_was_kept_before_the_key_was_replaced_is_taken_over(
    upserts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the old key stands among the retired ones."""
    asked = request()
    kept = Kept(perfproof_answer=kept_answer(asked))
    ring = KeyRing(SigningKey("k2", b"x" * 32), (RetiredKey(KEY, datetime.now(UTC)),))
    monkeypatch.setattr(approve, "worker_ring", lambda: ring)
    found = context(asked, try_number=2, kept=kept)
    operator().execute(found)
    assert read_act(found["ti"].pushed["act"], key=ring, where="xcom").actor_id == "ann"


def test_without_its_keys_a_second_try_keeps_the_answer(upserts: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails, and finds the answer when the Connection is mended; nobody is asked twice."""

    def malformed() -> KeyRing:
        raise ApprovalError(425, where="Connection", what="malformed", fix="mend it")

    asked = request()
    kept = Kept(perfproof_answer=kept_answer(asked))
    monkeypatch.setattr(approve, "worker_ring", malformed)
    with pytest.raises(ApprovalError, match="APR-425"):
        operator().execute(context(asked, try_number=2, kept=kept))
    assert "perfproof_answer" in kept and upserts == []


def test_a_forged_kept_answer_is_ignored(upserts: list[dict[str, Any]]) -> None:
    """The state store can be written by others too."""
    asked = request()
    forged = {**kept_answer(asked), "actor_id": "bea"}
    with pytest.raises(TaskAwaitingInput):
        operator().execute(context(asked, try_number=2, kept=Kept(perfproof_answer=forged)))


def test_a_kept_answer_is_dropped_when_it_was_used(upserts: list[dict[str, Any]]) -> None:
    """So that a cleared task asks anew."""
    asked = request()
    kept = Kept(perfproof_answer=kept_answer(asked))
    operator().execute_complete(context(asked, kept=kept), event())
    assert kept == {}
