"""A DAG of the tests: evidence, a question about it, and what must only happen after everybody approved."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, get_current_context, task

from perfproof.approvals import APPROVAL, GATE_DECISION, Asked, Evidence, Note, Question
from perfproof.config import Person
from perfproof.evidence import Actor, EvidenceStore, LocalBackend, idempotency
from perfproof.run_key import run_key
from perfproof_airflow import settings
from perfproof_airflow.sensors.approval import ApprovalSensor

ACTOR = Actor(kind="task", id="rig", auth="A1")
LABELS = {"product_owner": "Product Owner", "sre_lead": "SRE Lead"}


def store_of(context: Any) -> EvidenceStore:
    """The evidence of the rig's run."""
    dag_run = context["dag_run"]
    return EvidenceStore(LocalBackend(settings.evidence_root()), run_key(dag_run.dag_id, dag_run.run_id))


class RigApproval(ApprovalSensor):
    """Asks what the run's configuration says."""

    def open_store(self, context: Any) -> EvidenceStore:
        return store_of(context)

    def build_question(self, context: Any) -> Question:
        dag_run = context["dag_run"]
        conf = dag_run.conf
        return Question(
            run=run_key(dag_run.dag_id, dag_run.run_id),
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            step=self.step,
            map_index=-1,
            round=dag_run.clear_number or 0,
            question="Do you approve this <b>plan</b>?",
            options=GATE_DECISION if conf.get("gate") else APPROVAL,
            roles=tuple(
                Asked(role=role, label=LABELS[role], people=tuple(Person(id=p, name=f"{p} (test)") for p in people))
                for role, people in conf["roles"].items()
            ),
            evidence=tuple(Evidence(name=e["name"], sha256=e["sha256"]) for e in self.evidence),
            shown={"plan": {"id": "PLAN-1", "gain": 40.5}, "tasks": ["OPT-001", "OPT-002"]},
            note=Note.CHANGE_REFERENCE if conf.get("reference") else Note.OPTIONAL,
            forbidden=(dag_run.triggering_user_name or "",),
        )


@dag(schedule=None, catchup=False, is_paused_upon_creation=False, max_active_runs=50)
def rig() -> None:
    @task
    def publish() -> list[dict[str, str]]:
        from datetime import UTC, datetime

        context = get_current_context()
        dag_run, store = context["dag_run"], store_of(context)
        now = datetime.now(UTC)
        store.open_run(genesis={"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}, time=now, actor=ACTOR)
        content = str(dag_run.conf.get("content", "plan")).encode()
        reference = store.publish("evidence/plan.txt", content, idem=idempotency("plan", "publish", 0, []), time=now, actor=ACTOR)
        return [reference.as_dict()]

    @task
    def after(outcome: dict[str, Any]) -> str:
        return str(outcome["decision"])

    evidence = publish()
    await_plan = RigApproval(task_id="await_plan", step="plan", evidence=evidence, poll_seconds=1.0)
    after(await_plan.output)


rig()
