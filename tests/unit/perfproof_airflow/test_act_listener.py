"""The act is written with the change it is about, by the one who made it, and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from perfproof.approvals import Channel, SigningKey, canonical_sha256, read_act
from perfproof.approvals.act import acts_in
from perfproof.errors import ApprovalError
from perfproof_airflow.api import act_listener, answer_listener, signing_key
from perfproof_airflow.api.caller import Caller, _caller

# Airflow imports the test client of Starlette, which warns about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient")
KEY = SigningKey(id="k1", secret=b"k" * 32)
ANN = Caller(id="ann", name="Ann A.")
CONF = {"request_id": "req", "x": 1}
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Airflow's own tables in memory, with one run of `performance_approvals`."""
    from airflow import models
    from airflow.models.base import Base
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    monkeypatch.setattr(signing_key, "api_server_key", lambda: KEY)
    models.import_all_models()
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as opened:
        opened.add(
            DagRun(
                dag_id="performance_approvals",
                run_id="req",
                run_type=DagRunType.MANUAL,
                run_after=NOW,
                conf=CONF,
                triggered_by=DagRunTriggeredByType.TEST,
                state="running",
            )
        )
        opened.flush()
        yield opened
    engine.dispose()


def task_instance(**changes: Any) -> Any:
    fields: dict[str, Any] = {
        "dag_id": "performance_approvals", "run_id": "req", "task_id": "approve", "map_index": 1, "id": "01", "try_number": 2,
        "note": "fine", "dag_run": SimpleNamespace(conf=CONF), "logical_date": None,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def stored_acts(session: Session) -> list[Any]:
    from airflow.models.xcom import XComModel

    return [row.value for row in session.scalars(select(XComModel))]


def test_a_mark_is_stored_as_a_signed_act_and_in_the_audit_log(session: Session) -> None:
    """It names who, what, when, and the digest of what the request showed."""
    from airflow.models.log import Log

    act_listener.write_act(session, task_instance(), caller=ANN, state="success", now=NOW)
    session.flush()
    (stored,) = stored_acts(session)
    act = read_act(stored, key=KEY, where="xcom")
    assert (act.actor_id, act.actor_name, act.state, act.note, act.channel) == ("ann", "Ann A.", "success", "fine", Channel.MARK)
    assert (act.run_id, act.map_index, act.try_number, act.time) == ("req", 1, 2, "2025-02-16T10:00:00Z")
    assert act.conf_sha256 == canonical_sha256(CONF)
    (row,) = session.scalars(select(Log).where(Log.event == "perfproof.act"))
    assert (row.owner, row.run_id, row.task_id) == ("ann", "req", "approve")
    assert read_act(row.extra, key=KEY, where="log") == act


def test_a_true_mark_overwrites_a_forged_entry(session: Session) -> None:
    """Anybody with edit rights can put an XCom there first."""
    from airflow.models.xcom import XComModel

    XComModel.set(
        key="act", value={"forged": True}, dag_id="performance_approvals", task_id="approve", run_id="req", map_index=1, session=session
    )
    act_listener.write_act(session, task_instance(), caller=ANN, state="failed", now=NOW)
    session.flush()
    (stored,) = stored_acts(session)
    assert read_act(stored, key=KEY, where="xcom").state == "failed"


def test_a_later_mark_is_kept_beside_the_first(session: Session) -> None:
    """Whoever may edit tasks must not undo what nobody has looked at yet; forged entries are dropped, and of many the newest."""
    eve = Caller("eve", "Eve E.")
    for caller, state in ((ANN, "success"), (eve, "failed"), (ANN, "success")):
        act_listener.write_act(session, task_instance(), caller=caller, state=state, now=NOW)
        session.flush()
    (stored,) = stored_acts(session)
    found = [read_act(item, key=KEY, where="xcom") for item in acts_in(stored, where="xcom")]
    assert [(act.actor_id, act.state) for act in found] == [("ann", "success"), ("eve", "failed"), ("ann", "success")]
    for _ in range(20):
        act_listener.write_act(session, task_instance(), caller=eve, state="failed", now=NOW)
        session.flush()
    (stored,) = stored_acts(session)
    kept = acts_in(stored, where="xcom")
    assert len(kept) == 16 and read_act(kept[0], key=KEY, where="xcom").actor_id == "ann"


def test_nothing_is_written_without_a_key(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """No act is better than an unsigned one."""

    def missing() -> SigningKey:
        raise ApprovalError(423, where="Connection", what="missing", fix="make it")

    monkeypatch.setattr(signing_key, "api_server_key", missing)
    with pytest.raises(ApprovalError):
        act_listener.write_act(session, task_instance(), caller=ANN, state="success", now=NOW)
    assert stored_acts(session) == []


@pytest.mark.parametrize(
    ("caller", "changes"), [(None, {}), (ANN, {"dag_id": "another"}), (ANN, {"task_id": "publish_request"}), (ANN, {})]
)
def test_only_a_person_who_changes_the_task_of_a_request_leaves_an_act(
    caller: Caller | None, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scheduler and workers fire the same hooks, for every DAG."""
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(act_listener, "write_act", lambda s, ti, *, caller, state, now: written.append((caller.id, state)))
    monkeypatch.setattr("sqlalchemy.orm.object_session", lambda ti: "session")
    token = _caller.set(caller)
    try:
        act_listener.on_task_instance_success(task_instance(**changes))
        act_listener.on_task_instance_failed(task_instance(**changes))
        act_listener.on_task_instance_skipped(task_instance(**changes))
    finally:
        _caller.reset(token)
    wanted = caller is not None and not changes
    assert written == ([("ann", "success"), ("ann", "failed"), ("ann", "skipped")] if wanted else [])


def test_the_hooks_are_registered_with_airflow() -> None:
    """By the names and arguments that Airflow calls them with."""
    from airflow.listeners.listener import get_listener_manager

    from perfproof_airflow.plugin import PerfproofPlugin

    manager = get_listener_manager()
    manager.add_listener(PerfproofPlugin.listeners[0])
    assert manager.pm.is_registered(act_listener)


def form(**changes: Any) -> Any:
    fields: dict[str, Any] = {
        "task_instance": task_instance(), "chosen_options": ["Reject"], "params_input": {"comment": "no"}, "responded_at": NOW,
        "responded_by": {"id": "ann", "name": "Ann A."},
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def kept_answers(session: Session) -> list[Any]:
    from airflow.models.task_state_store import TaskStateStoreModel

    return [json.loads(row.value) for row in session.scalars(select(TaskStateStoreModel))]


def test_a_form_answer_is_kept_where_a_second_try_finds_it(session: Session) -> None:
    """Signed, once, and replaced by a later answer."""
    for chosen in ("Approve", "Reject"):
        answer_listener.keep_answer(session.connection(), form(chosen_options=[chosen]), caller=ANN)
    (kept,) = kept_answers(session)
    act = read_act(kept, key=KEY, where="store")
    assert (act.actor_id, act.decision, act.note, act.channel, act.try_number) == ("ann", "reject", "no", Channel.FORM, 2)
    assert act.conf_sha256 == canonical_sha256(CONF)


@pytest.mark.parametrize(
    ("caller", "detail"), [(None, {}), (ANN, {"responded_by": None}), (ANN, {"task_instance": task_instance(dag_id="another")}), (ANN, {})]
)
def test_only_a_persons_answer_to_a_request_is_kept(session: Session, caller: Caller | None, detail: dict[str, Any]) -> None:
    """Other forms of this Airflow, and time-outs, are none of ours."""
    token = _caller.set(caller)
    try:
        answer_listener._after_update(None, session.connection(), form(**detail))
    finally:
        _caller.reset(token)
    assert len(kept_answers(session)) == (1 if caller is not None and not detail else 0)


def test_listening_twice_is_listening_once() -> None:
    """The middleware may be made more than once."""
    from airflow.models.hitl import HITLDetail
    from sqlalchemy import event

    answer_listener.listen_for_answers()
    answer_listener.listen_for_answers()
    assert event.contains(HITLDetail, "after_update", answer_listener._after_update)
    event.remove(HITLDetail, "after_update", answer_listener._after_update)
    assert not event.contains(HITLDetail, "after_update", answer_listener._after_update)
