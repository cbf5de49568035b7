"""Makes many waits of one that really waits: its rows in Airflow's database, once for each further wait, with a trigger of its own.

    python bench/scale_waits.py EXAMPLE FIRST COUNT      inside the environment of that Airflow

Three tasks run for each wait that Airflow itself makes, which takes two cores the better part of an hour for a thousand; what
1,000 waits cost once they wait does not depend on how they came to. A copy is a run of `scale_wait` with a deferred task and an
`ApprovalTrigger`, and a run of `performance_approvals` with a task that awaits an answer: the triggerer, the scheduler and the
API serve it like any other.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

WAIT, REQUEST = "scale_wait", "performance_approvals"


def copied_id(run_id: str, number: int) -> str:
    """The run id of a copy: as long as the real one, so that questions about many of them are as large."""
    tail = f"-{number:06}"
    return run_id[: -len(tail)] + tail


def copy_waits(example: str, *, first: int, count: int) -> None:
    """Copies the wait of the run `example` as the waits `first` to before `first + count`."""
    from airflow.models import DagRun, TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select

    def rows(session: Any, model: Any, *where: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in session.execute(select(model.__table__).where(*where)).mappings()]

    with create_session() as session:
        own = rows(session, TaskInstance, TaskInstance.dag_id == WAIT, TaskInstance.run_id == example)
        (waiting,) = [row for row in own if row["trigger_id"] is not None]
        real = session.get_one(Trigger, waiting["trigger_id"])
        arguments = real.kwargs
        ((request, map_index),) = arguments["tasks"]
        runs = {
            WAIT: rows(session, DagRun, DagRun.dag_id == WAIT, DagRun.run_id == example)[0],
            REQUEST: rows(session, DagRun, DagRun.dag_id == REQUEST, DagRun.run_id == request)[0],
        }
        asked = rows(session, TaskInstance, TaskInstance.dag_id == REQUEST, TaskInstance.run_id == request)
        forms = {row["ti_id"]: row for row in rows(session, HITLDetail, HITLDetail.ti_id.in_([row["id"] for row in asked]))}
        triggers = []
        for number in range(first, first + count):
            tasks = [[copied_id(request, number), map_index]]
            triggers.append(Trigger(classpath=real.classpath, kwargs={**arguments, "tasks": tasks}))
        session.add_all(triggers)
        session.flush()
        new_runs, new_tasks, new_forms = [], [], []
        for number, trigger in zip(range(first, first + count), triggers, strict=True):
            names = {WAIT: copied_id(example, number), REQUEST: copied_id(request, number)}
            for dag_id, row in runs.items():
                new_runs.append({key: value for key, value in row.items() if key != "id"} | {"run_id": names[dag_id]})
            for row in own:
                trigger_id = None if row["trigger_id"] is None else trigger.id
                new_tasks.append(row | {"id": uuid.uuid4(), "run_id": names[WAIT], "trigger_id": trigger_id})
            for row in asked:
                copy = row | {"id": uuid.uuid4(), "run_id": names[REQUEST]}
                new_tasks.append(copy)
                if row["id"] in forms:
                    new_forms.append(forms[row["id"]] | {"ti_id": copy["id"]})
        for model, made in ((DagRun, new_runs), (TaskInstance, new_tasks), (HITLDetail, new_forms)):
            if made:
                session.execute(insert(model.__table__), made)


if __name__ == "__main__":
    copy_waits(sys.argv[1], first=int(sys.argv[2]), count=int(sys.argv[3]))
