"""DAGs of `bench/scale.py`: a cycle that only waits for an approval, and its floor, a bare wait for a bare task.

`scale_wait` is the real approval sensor and, through it, the real `performance_approvals`. `scale_floor` defers on Airflow's own trigger
for an external task (that of ExternalTaskSensor) until somebody marks the stock human-in-the-loop task of `scale_floor_target`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseOperator, dag, get_current_context, task
from airflow.sdk.exceptions import TaskDeferred

from perfproof.approvals import APPROVAL, Asked, Note, Question
from perfproof.config import Person
from perfproof.evidence import Actor, Attempt, EntryType, EvidenceStore, LocalBackend, idempotency
from perfproof.run_key import run_key
from perfproof_airflow import settings
from perfproof_airflow.sensors.approval import ApprovalSensor

POLL_SECONDS = 1.0
MANY = 5_000
ACTOR = Actor(kind="task", id="scale", auth="A1")
SRE = Asked(role="sre_lead", label="SRE Lead", people=(Person(id="demo-sre", name="demo-sre (test)"),))
LIMITS: dict[str, Any] = {
    "schedule": None, "catchup": False, "is_paused_upon_creation": False, "max_active_runs": MANY, "max_active_tasks": MANY,
}  # fmt: skip


def store_of(context: Any) -> EvidenceStore:
    """The evidence of the run, opened."""
    dag_run = context["dag_run"]
    store = EvidenceStore(LocalBackend(settings.evidence_root()), run_key(dag_run.dag_id, dag_run.run_id))
    store.open_run(genesis={"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}, time=datetime.now(UTC), actor=ACTOR)
    return store


class WaitForPlan(ApprovalSensor):
    """Asks one role one question."""

    def open_store(self, context: Any) -> EvidenceStore:
        return store_of(context)

    def build_question(self, context: Any) -> Question:
        dag_run = context["dag_run"]
        return Question(
            run=run_key(dag_run.dag_id, dag_run.run_id), dag_id=dag_run.dag_id, run_id=dag_run.run_id, step=self.step, map_index=-1,
            round=0, question="Do you approve this plan?", options=APPROVAL, roles=(SRE,), evidence=(), shown={"plan": dag_run.run_id},
            note=Note.OPTIONAL, forbidden=(dag_run.triggering_user_name or "",),
        )  # fmt: skip


class BareWait(BaseOperator):
    """Defers until the target task of the run that the configuration names succeeded, and succeeds itself."""

    def execute(self, context: Any) -> None:
        """Defers."""
        from airflow.providers.standard.triggers.external_task import WorkflowTrigger

        trigger = WorkflowTrigger(
            external_dag_id="scale_floor_target", external_task_ids=["approve"], run_ids=[context["dag_run"].conf["target"]],
            failed_states=["failed"], skipped_states=[], allowed_states=["success"], poke_interval=POLL_SECONDS,
        )  # fmt: skip
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: dict[str, Any]) -> str:
        """Nothing is left to do."""
        del context
        return str(event["status"])


@dag(**LIMITS)
def scale_wait() -> None:
    """One approval, and what comes after it: a task that the scheduler itself ends."""
    WaitForPlan(task_id="await_plan", step="plan", poll_seconds=POLL_SECONDS) >> EmptyOperator(task_id="after")


@dag(**LIMITS)
def scale_floor_target() -> None:
    """What is marked for the floor."""
    HITLOperator(task_id="approve", subject="approve", options=["Approve", "Reject"], response_timeout=timedelta(days=7))


@dag(**LIMITS)
def scale_floor() -> None:
    """Waits for the mark, and does nothing else."""
    BareWait(task_id="await_plan") >> EmptyOperator(task_id="after")


@dag(**LIMITS)
def scale_cycle() -> None:
    """A cycle in small: evidence, a question about it, and what comes after the answer; `seconds` of work in the first task."""

    @task
    def publish() -> str:
        context = get_current_context()
        store, number = store_of(context), (context["dag_run"].conf or {})["content"]
        name = "evidence/plan.txt"
        store.publish(name, str(number).encode(), idem=idempotency("plan", "publish", 0, []), time=datetime.now(UTC), actor=ACTOR)
        return name

    @task
    def finish() -> None:
        context = get_current_context()
        store, ti = store_of(context), context["ti"]
        attempt = Attempt(ti.dag_id, ti.task_id, -1, ti.try_number, str(ti.id))
        body = {"outcome": store.read("evidence/plan.txt").decode()}
        store.append(
            type=EntryType.RUN_CLOSED, body=body, idem=idempotency("end", "finish", 0, []), time=datetime.now(UTC), actor=ACTOR,
            attempt=attempt,
        )  # fmt: skip

    publish() >> WaitForPlan(task_id="await_plan", step="plan", poll_seconds=POLL_SECONDS) >> finish()


scale_wait()
scale_floor_target()
scale_floor()
scale_cycle()
