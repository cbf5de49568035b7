"""The capture's Dag as a graph: a cycle is triggered only behind the record of the baseline, and behind the task that decides it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from perfproof_airflow.phases.capture import PROTOCOL_DAG, ask_for_cycle, started_by_schedule

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

WANTED = {"run_id": "drift__demo__i", "conf": {"protocol": "demo", "objective": "x"}}


def test_the_tasks_stand_in_a_row(bag: DagBag) -> None:
    """Nothing is triggered by a capture that is not in the history."""
    dag = bag.dags["baseline_capture"]
    above = {task.task_id.partition(".")[2]: {name.partition(".")[2] for name in task.upstream_task_ids} for task in dag.tasks}
    assert above == {
        "services_of_the_protocol": set(),
        "capture_service": {"services_of_the_protocol"},
        "record_baseline": {"capture_service"},
        "ask_for_cycle": {"record_baseline"},
        "trigger_cycle": {"ask_for_cycle"},
    }
    assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}


def test_the_trigger_is_for_the_protocol_waits_for_nothing_and_resets_nothing(bag: DagBag) -> None:
    """A run that is there stays as it is; a capture does not wait for people."""
    trigger = bag.dags["baseline_capture"].get_task("capture.trigger_cycle")
    assert trigger.trigger_dag_id == PROTOCOL_DAG and PROTOCOL_DAG in bag.dags
    assert (trigger.skip_when_already_exists, trigger.reset_dag_run, trigger.wait_for_completion) == (True, False, False)
    assert trigger.logical_date is None


def test_the_protocol_itself_stays_without_a_schedule(bag: DagBag) -> None:
    """Not scheduled on the captures' asset: a drift is an exception, and the protocol file decides."""
    assert bag.dags[PROTOCOL_DAG].schedule is None


def recorded(**changes: Any) -> dict[str, Any]:
    return {"cycle": WANTED, "earlier_cycles": [], **changes}


def asked(document: dict[str, Any], *, run_type: str = "scheduled", user: str | None = None, running: int = 0) -> Any:
    """The answer of the task, and what it asked Airflow."""
    from airflow.sdk.execution_time.context import set_current_context

    questions: list[dict[str, Any]] = []

    def count(**question: Any) -> int:
        questions.append(question)
        return running

    context: Any = {
        "dag_run": SimpleNamespace(run_type=run_type, triggering_user_name=user),
        "ti": SimpleNamespace(get_dr_count=count),
    }
    with set_current_context(context):
        return ask_for_cycle.function(document), questions


def test_a_drift_asks_for_its_cycle() -> None:
    """Run id and parameters as the record has them."""
    assert asked(recorded()) == (WANTED, [])


def test_without_a_drift_or_the_wish_for_a_cycle_nothing_is_triggered() -> None:
    """Skipped, which is no failure of the capture."""
    with pytest.raises(AirflowSkipException, match=r"captures\.trigger_cycle"):
        asked(recorded(cycle=None))


@pytest.mark.parametrize(("run_type", "user"), [("manual", "alice"), ("backfill", None), ("scheduled", "alice"), ("asset_triggered", None)])
def test_a_capture_that_a_person_started_triggers_nothing(run_type: str, user: str | None) -> None:
    """Airflow would name that person as the one who triggered the cycle, and would not count the approval."""
    with pytest.raises(AirflowSkipException, match="not started by the schedule"):
        asked(recorded(), run_type=run_type, user=user)


def test_one_cycle_waits_at_a_time() -> None:
    """A drift of one metric an hour after that of another finds its place in the intake of the cycle that waits."""
    earlier = ["drift__demo__a", "drift__demo__b"]
    with pytest.raises(AirflowSkipException, match="drift__demo__a"):
        asked(recorded(earlier_cycles=earlier), running=1)
    answer, questions = asked(recorded(earlier_cycles=earlier), running=0)
    assert answer == WANTED
    assert questions == [{"dag_id": PROTOCOL_DAG, "run_ids": earlier, "states": ["queued", "running"]}]


def test_the_type_of_a_run_is_read_as_text_and_as_a_member() -> None:
    """Airflow hands over either."""
    from airflow.utils.types import DagRunType

    assert started_by_schedule(SimpleNamespace(run_type=DagRunType.SCHEDULED, triggering_user_name=None))
    assert not started_by_schedule(SimpleNamespace(run_type=DagRunType.MANUAL, triggering_user_name=None))
