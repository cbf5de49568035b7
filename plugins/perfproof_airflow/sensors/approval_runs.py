"""The runs of `performance_approvals` as a task sees them: open one, read its states, read an act."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from perfproof.errors import ApprovalError

if TYPE_CHECKING:
    from perfproof.approvals.request import Request


def open_run(request: Request) -> bool:
    """Triggers the run of `request`; True also if it exists with the same configuration, False if with another one.

    Anybody with the right to trigger may have taken the id before, so an existing run counts only by its configuration.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import DagRunResult, ErrorResponse, GetDagRun, TriggerDagRun

    from perfproof.approvals.request import canonical_sha256
    from perfproof.approvals.rules import DAG_ID

    comms = task_runner.SUPERVISOR_COMMS
    try:
        answer = comms.send(TriggerDagRun(dag_id=DAG_ID, run_id=request.request_id, logical_date=None, conf=request.conf()))
    except AirflowRuntimeError as error:
        answer = error.error
    if not isinstance(answer, ErrorResponse):
        return True
    if answer.error != ErrorType.DAGRUN_ALREADY_EXISTS:
        raise ApprovalError(
            414, where=request.request_id, what="the request cannot be opened", got=f"{answer.error} {answer.detail}",
            fix=f"check that the DAG {DAG_ID} is there and not paused, then clear this task",
        )  # fmt: skip
    existing = comms.send(GetDagRun(dag_id=DAG_ID, run_id=request.request_id))
    return isinstance(existing, DagRunResult) and canonical_sha256(existing.conf or {}) == request.sha256


def read_states(run_ids: Collection[str]) -> Mapping[str, Mapping[str, str | None]]:
    """States of the tasks that ask, by run; a run that does not exist is not in it."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    from perfproof.approvals.rules import DAG_ID, TASK_ID

    answer = task_runner.SUPERVISOR_COMMS.send(GetTaskStates(dag_id=DAG_ID, task_ids=[TASK_ID], run_ids=sorted(run_ids)))
    if not isinstance(answer, TaskStatesResult):
        raise ConnectionError(f"no task states: {answer}")
    return answer.task_states


def read_act_of(request: Request, *, role: str) -> Any:
    """What is stored as the act of `role`: from the api-server JSON text, from a worker a document, None if there is none."""
    from airflow.sdk.execution_time.xcom import XCom

    from perfproof.approvals.rules import DAG_ID, TASK_ID
    from perfproof_airflow.api.act_listener import ACT_KEY

    try:
        return XCom.get_one(key=ACT_KEY, dag_id=DAG_ID, task_id=TASK_ID, run_id=request.request_id, map_index=request.map_index_of(role))
    except (TypeError, ValueError, ImportError, KeyError, AttributeError):
        # Somebody stored a value that is no document: it is no act either.
        return None
