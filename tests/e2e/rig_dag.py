"""A DAG of the tests: evidence, a question about it, a protected step that verifies the answer, and what comes after it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from perfproof.approvals import APPROVAL, GATE_DECISION, Asked, Evidence, Note, Question
from perfproof.config import Person
from perfproof.errors import PerfproofError
from perfproof.evidence import Actor, Attempt, Entry, EntryType, EvidenceStore, LocalBackend, idempotency
from perfproof.run_key import run_key
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.protected import verified_approvals
from perfproof_airflow.sensors.approval import ApprovalSensor

ACTOR = Actor(kind="task", id="rig", auth="A1")
LABELS = {"product_owner": "Product Owner", "sre_lead": "SRE Lead"}
PLAN = "evidence/plan.txt"


class HoldingStore(EvidenceStore):
    """Stops before it commits an entry of the type that the file `holds/<run id>` names, until the file is gone.

    It says in `holds/<run id>.<pid>` that it has stopped: there a test kills, in a window that is else a few milliseconds wide.
    """

    hold: Path

    def append(
        self,
        *,
        type: EntryType | str,  # noqa: A002  the name in the log
        body: Mapping[str, Any],
        idem: str,
        time: datetime,
        actor: Actor,
        attempt: Attempt | None = None,
    ) -> Entry:
        """The entry, when nothing holds it back."""
        wait_for(self.hold, what=str(type))
        return super().append(type=type, body=body, idem=idem, time=time, actor=actor, attempt=attempt)


def wait_for(hold: Path, *, what: str) -> None:
    """Returns when the file does not exist or names something else."""
    while hold.exists() and hold.read_text() == what:
        hold.with_name(f"{hold.name}.{os.getpid()}").write_text(str(os.getppid()))
        time.sleep(0.1)


def store_of(context: Any) -> EvidenceStore:
    """The evidence of the rig's run."""
    dag_run = context["dag_run"]
    store = HoldingStore(LocalBackend(settings.evidence_root()), run_key(dag_run.dag_id, dag_run.run_id))
    store.hold = settings.workspace_root() / "holds" / dag_run.run_id
    return store


class RigApproval(ApprovalSensor):
    """Asks what the run's configuration says, about the evidence as it is now."""

    def execute(self, context: Any) -> dict[str, Any]:
        self.expires_after_days = float(context["dag_run"].conf.get("expires_after_seconds", 7 * 86400)) / 86400
        return super().execute(context)

    def open_store(self, context: Any) -> EvidenceStore:
        return store_of(context)

    def build_question(self, context: Any) -> Question:
        dag_run = context["dag_run"]
        conf = dag_run.conf
        live = store_of(context).live(PLAN)
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
                Asked(role=role, label=LABELS.get(role, role), people=tuple(Person(id=p, name=f"{p} (test)") for p in people))
                # A database may keep the keys of a configuration in an order of its own.
                for role, people in sorted(conf["roles"].items())
            ),
            evidence=(Evidence(name=PLAN, sha256=live.body["sha256"]),) if live else (),
            shown={"plan": {"id": "PLAN-1", "gain": 40.5}, "tasks": ["OPT-001", "OPT-002"]},
            note=Note.CHANGE_REFERENCE if conf.get("reference") else Note.OPTIONAL,
            forbidden=(dag_run.triggering_user_name or "",),
        )


@dag(schedule=None, catchup=False, is_paused_upon_creation=False, max_active_runs=100, max_active_tasks=100)
def rig() -> None:
    @task
    def publish() -> list[dict[str, str]]:
        context = get_current_context()
        dag_run, store = context["dag_run"], store_of(context)
        conf = dag_run.conf or {}
        now, round_ = datetime.now(UTC), dag_run.clear_number or 0
        store.open_run(genesis={"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}, time=now, actor=ACTOR)
        content = str(conf.get("content", "plan"))
        if conf.get("changes"):
            content = f"{content}, version {round_}"
        reference = store.publish(PLAN, content.encode(), idem=idempotency("plan", "publish", round_, []), time=now, actor=ACTOR)
        return [reference.as_dict()]

    @task
    def protected() -> None:
        """Does what needs the approval, once it has verified the records again."""
        context = get_current_context()
        conf, store = context["dag_run"].conf or {}, store_of(context)
        # What is read of a cycle is its store; the rig has no protocol file.
        cycle = cast(Cycle, SimpleNamespace(store=store))
        try:
            if not conf.get("gate"):
                verified_approvals(cycle, "plan", roles=list(conf["roles"]))
        except PerfproofError as error:
            raise AirflowFailException(str(error)) from None
        idem = idempotency("effect", "protected", context["dag_run"].clear_number or 0, [])
        store.append(type=EntryType.ANNOUNCE, body={"effect": "done"}, idem=idem, time=datetime.now(UTC), actor=ACTOR)

    @task
    def after(outcome: dict[str, Any]) -> str:
        return str(outcome["decision"])

    await_plan = RigApproval(task_id="await_plan", step="plan", evidence=publish(), poll_seconds=1.0)
    await_plan >> protected() >> after(await_plan.output)


rig()
