"""Keeps the signed act of a form answer, in the transaction of the answer, where a second try of the task finds it.

Needed because of apache/airflow#67287: a task that is answered within about two seconds after it parked can be failed by the
scheduler. Its next try would ask again, and the person's answer would be lost. The task's state store outlives tries.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from perfproof.approvals.rules import DAG_ID, TASK_ID
from perfproof.errors import PerfproofError
from perfproof_airflow.api.caller import Caller, current_caller

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)
ANSWER_KEY = "perfproof_answer"


def listen_for_answers() -> None:
    """Starts listening; called in the api-server only, as often as one likes."""
    from airflow.models.hitl import HITLDetail
    from sqlalchemy import event

    if not event.contains(HITLDetail, "after_update", _after_update):
        event.listen(HITLDetail, "after_update", _after_update)


def _after_update(_mapper: Any, connection: Connection, detail: Any) -> None:
    caller, task_instance = current_caller(), detail.task_instance
    if caller is None or detail.responded_by is None or task_instance is None:
        return
    if (task_instance.dag_id, task_instance.task_id) == (DAG_ID, TASK_ID):
        try:
            keep_answer(connection, detail, caller=caller)
        except PerfproofError:
            # No key, no act: the answer stands in Airflow, and the protocol run will refuse it.
            log.exception("the answer to %s was not signed", task_instance.run_id)


def keep_answer(connection: Connection, detail: Any, *, caller: Caller) -> None:
    """Signs the answer in `detail` and stores it with the task's state, replacing an earlier one."""
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from sqlalchemy import delete, insert, select

    from perfproof_airflow.api.form_act import sign_form_answer
    from perfproof_airflow.api.signing_key import api_server_key

    ti = detail.task_instance
    run = connection.execute(select(DagRun.id, DagRun.conf).where(DagRun.dag_id == ti.dag_id, DagRun.run_id == ti.run_id)).one()
    signed = sign_form_answer(
        ti,
        conf=run.conf,
        actor_id=caller.id,
        actor_name=caller.name,
        chosen=(detail.chosen_options or [""])[0],
        fields=detail.params_input,
        responded_at=detail.responded_at,
        key=api_server_key(),
    )
    table = TaskStateStoreModel.__table__
    scope = {"dag_run_id": run.id, "task_id": ti.task_id, "map_index": ti.map_index, "key": ANSWER_KEY}
    connection.execute(delete(table).where(*(table.c[name] == value for name, value in scope.items())))
    row = {**scope, "dag_id": ti.dag_id, "run_id": ti.run_id, "value": json.dumps(signed), "updated_at": detail.responded_at}
    connection.execute(insert(table).values(row))
