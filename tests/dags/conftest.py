"""The DAG files loaded once, by absolute path, with an Airflow home that is set before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

_home = tempfile.mkdtemp(prefix="perfproof-airflow-dags-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


class Flow:
    """A DAG as a graph: who stands before whom, and what must have succeeded before a task can."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag
        self.upstream: dict[str, set[str]] = {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}
        self.downstream: dict[str, set[str]] = {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}
        self.rule: dict[str, str] = {task.task_id: task.trigger_rule.value for task in dag.tasks}

    def above(self, task_id: str) -> set[str]:
        """Every task that has ended before `task_id` starts."""
        return _closure(task_id, self.upstream)

    def below(self, task_id: str) -> set[str]:
        """Every task that starts after `task_id` has ended."""
        return _closure(task_id, self.downstream)

    def needed_by(self, task_id: str, *, through: frozenset[str] = frozenset()) -> set[str]:
        """Every task without whose success `task_id` cannot succeed.

        A task that runs when all is done needs nobody's success, except those of `through`, which check what stands before them.
        """
        strict = {name for name, rule in self.rule.items() if rule == "all_success"} | through
        return _closure(task_id, {name: above if name in strict else set() for name, above in self.upstream.items()})


def _closure(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in edges[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


@pytest.fixture(scope="session")
def dag_files() -> list[Path]:
    """The files of dags/."""
    return sorted((Path(__file__).resolve().parents[2] / "dags").glob("*.py"))


@pytest.fixture(scope="session")
def bag(dag_files: list[Path]) -> DagBag:
    """The DAGs as Airflow's processor loads them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_files[0].parent)


@pytest.fixture(scope="session")
def flow(bag: DagBag) -> Flow:
    """The graph of `performance_optimization`."""
    return Flow(bag.dags["performance_optimization"])
