"""Writes the act: a listener that sees the task of a request really change its state, in the request that changed it.

It fires in the api-server once per task instance that changed, never for a refused or an ineffective mark, and also in
scheduler, workers and triggerer, where there is no caller and it does nothing. The act goes into the session of the change, so
both are committed or neither is. An error here is logged by Airflow and swallowed: no act, so no approval.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from perfproof_airflow.api.caller import Caller, current_caller

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from perfproof.approvals.act import Act

ACT_KEY = "act"
AUDIT_EVENT = "perfproof.act"


@hookimpl
def on_task_instance_success(task_instance: Any) -> None:
    """A task was marked success."""
    _record(task_instance, state="success")


@hookimpl
def on_task_instance_failed(task_instance: Any) -> None:
    """A task was marked failed."""
    _record(task_instance, state="failed")


@hookimpl
def on_task_instance_skipped(task_instance: Any) -> None:
    """A task was marked skipped."""
    _record(task_instance, state="skipped")


def _record(task_instance: Any, *, state: str) -> None:
    caller = current_caller()
    # First: every task of this Airflow comes here when it ends, and none of them shall import anything for it.
    if caller is None:
        return
    from perfproof.approvals.rules import DAG_ID, TASK_ID

    if getattr(task_instance, "dag_id", None) != DAG_ID or task_instance.task_id != TASK_ID:
        return
    from sqlalchemy.orm import object_session

    session = object_session(task_instance)
    if session is not None:
        write_act(session, task_instance, caller=caller, state=state, now=datetime.now(UTC))


def write_act(session: Session, task_instance: Any, *, caller: Caller, state: str, now: datetime) -> None:
    """Signs the act of `caller` and adds it to `session`: as XCom of the task, which workers read, and to the audit log."""
    from airflow.models.log import Log
    from airflow.models.xcom import XComModel

    from perfproof.approvals.act import Act, Channel, act_text, sign, with_act
    from perfproof.approvals.request import canonical_sha256
    from perfproof.moments import stamp
    from perfproof_airflow.api.signing_key import api_server_key

    key = api_server_key()
    act = Act(
        actor_id=caller.id,
        actor_name=caller.name,
        state=state,
        dag_id=task_instance.dag_id,
        run_id=task_instance.run_id,
        task_id=task_instance.task_id,
        map_index=task_instance.map_index,
        ti_id=str(task_instance.id),
        try_number=task_instance.try_number,
        time=stamp(now),
        note=task_instance.note,
        decision=None,
        channel=Channel.MARK,
        conf_sha256=canonical_sha256(task_instance.dag_run.conf or {}),
        key_id=key.id,
    )
    document = sign(act, key=key)
    XComModel.set(
        key=ACT_KEY,
        value=with_act(_stored(session, act), document, key=key, where=act.run_id),
        dag_id=act.dag_id,
        task_id=act.task_id,
        run_id=act.run_id,
        map_index=act.map_index,
        session=session,
    )
    session.add(
        Log(event=AUDIT_EVENT, task_instance=task_instance, owner=caller.id, owner_display_name=caller.name, extra=act_text(document))
    )


def _stored(session: Session, act: Act) -> Any:
    """What is stored as the act of the same task so far, as the worker would find it; None if there is nothing."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    return session.scalar(
        select(XComModel.value).where(
            XComModel.dag_id == act.dag_id,
            XComModel.task_id == act.task_id,
            XComModel.run_id == act.run_id,
            XComModel.map_index == act.map_index,
            XComModel.key == ACT_KEY,
        )
    )
