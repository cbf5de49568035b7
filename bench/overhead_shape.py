"""A DAG file with the shape of ours: the same groups, tasks, mappings, edges, trigger rules and parameters, and tasks that do nothing.

It is written out from our own DAG, so the shapes cannot differ. Mapped tasks are expanded over literal lists, so nothing is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADER = """\
from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param, TaskGroup, task


def nothing() -> None:
    return None


def nothing_of(value: int) -> None:
    return None


with DAG({dag_id!r}, schedule=None, start_date=datetime(2025, 1, 1), catchup=False, is_paused_upon_creation=False, params={params}):
    made = {{}}
"""
# One task and no parameters: the least that a DAG file can be.
LEAST = """\
from airflow.sdk import DAG, task

with DAG("least", schedule=None):
    @task
    def nothing() -> None:
        return None

    nothing()
"""


def empty_twin(dag: Any, *, dag_id: str, mapped: Mapping[str, int], with_params: bool = True) -> str:
    """The source of the file. `mapped` says how many instances a mapped task has; one if it is not named."""
    params = "{" + ", ".join(f"{name!r}: {_param(dag.params.get_param(name))}" for name in dag.params) + "}" if with_params else "{}"
    lines = [HEADER.format(dag_id=dag_id, params=params)]
    groups = sorted({task_id.rpartition(".")[0] for task_id in dag.task_ids} - {""})
    lines += [f"    group_{group} = TaskGroup({group!r})\n" for group in groups]
    for task in dag.topological_sort():
        group, _, name = task.task_id.rpartition(".")
        inside = f", task_group=group_{group}" if group else ""
        made = f"task(task_id={name!r}, trigger_rule={task.trigger_rule.value!r}{inside})"
        if hasattr(task, "partial_kwargs"):
            limit = task.partial_kwargs.get("max_active_tis_per_dagrun")
            made = made[:-1] + (f", max_active_tis_per_dagrun={limit})" if limit else ")")
            made += f"(nothing_of).expand(value={list(range(mapped.get(task.task_id, 1)))})"
        else:
            made += "(nothing)()"
        lines.append(f"    made[{task.task_id!r}] = {made}\n")
    for task in dag.topological_sort():
        lines += [f"    made[{upstream!r}] >> made[{task.task_id!r}]\n" for upstream in sorted(task.upstream_task_ids)]
    return "".join(lines)


def _param(param: Any) -> str:
    schema = {name: value for name, value in param.schema.items() if isinstance(value, str | int | bool | list | dict)}
    return f"Param({param.value!r}, **{schema!r})"


def our_dag(path: Path) -> Any:
    """The DAG in `path`, as Airflow's processor loads it. Needs AIRFLOW_HOME to be set before."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(path)
    if bag.import_errors or path.stem not in bag.dags:
        raise SystemExit(f"{path} cannot be imported: {bag.import_errors}")
    return bag.dags[path.stem]
