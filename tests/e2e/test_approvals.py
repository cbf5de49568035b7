"""Approvals in a real Airflow: who can decide, how, and what happens to everything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow_rig import APPROVALS, REPOSITORY, Rig, eventually, running_rig

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DAG = "rig"
SRE = {"roles": {"sre_lead": ["demo-sre"]}}
BOTH = {"roles": {"product_owner": ["demo-owner"], "sre_lead": ["demo-sre"]}}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Airflow for the whole file."""
    files = [REPOSITORY / "dags" / "performance_approvals.py", REPOSITORY / "tests" / "e2e" / "rig_dag.py"]
    options = {"triggerer.triggerer_health_check_threshold": "10"}
    with running_rig(tmp_path_factory.mktemp("airflow"), dag_files=files, options=options) as running:
        admin = running.as_("requester")
        eventually(lambda: admin.dag(DAG) and admin.dag(APPROVALS), seconds=60, what="both DAGs are known")
        yield running


@pytest.fixture(scope="module")
def runs(rig: Rig) -> dict[str, str]:
    """All runs of this file, started together: each test follows one of them."""
    confs: dict[str, dict[str, Any]] = {
        "mark": SRE, "bulk": SRE, "form": SRE, "reject": SRE, "reject_form": SRE, "forged": SRE, "late": SRE, "whole": SRE, "raced": SRE,
        "two": BOTH,
        "same": {"roles": {"product_owner": ["demo-owner"], "sre_lead": ["demo-owner", "demo-sre"]}},
        "waiver": {**SRE, "gate": True},
        "reference": {**SRE, "reference": True},
    }  # fmt: skip
    admin = rig.as_("requester")
    started = {name: admin.trigger(DAG, run_id=f"test-{name}", conf=conf)["dag_run_id"] for name, conf in confs.items()}
    started["self"] = rig.as_("demo-sre").trigger(DAG, run_id="test-self", conf=SRE)["dag_run_id"]
    # The seconds that are measured are those of an Airflow at rest, not of one that starts these runs.
    for run_id in started.values():
        rig.request_of(DAG, run_id)
    return started


def succeeds(rig: Rig, run_id: str, *, seconds: float = 30) -> float:
    """Seconds until the waiting task of the run is successful: printed where they matter, asserted nowhere, since machines differ."""
    start = time.monotonic()
    eventually(lambda: rig.state_of(DAG, run_id, "await_plan") == "success", seconds=seconds, what=f"{run_id} succeeds", pause=0.1)
    return time.monotonic() - start


def test_a_viewer_changes_nothing_and_the_right_person_approves_with_one_mark(rig: Rig, runs: dict[str, str]) -> None:
    """A viewer gets 403 and leaves no trace; the person who holds the role is recorded within seconds."""
    request = rig.settled(DAG, runs["mark"])
    assert rig.mark("watcher", request) == 403
    assert rig.as_("watcher").answer(APPROVALS, request, "approve", option="Approve", map_index=0).status_code == 403
    assert rig.mark("demo-sre", request, note="looks right") == 200
    waited = succeeds(rig, runs["mark"])
    print(f"mark to success: {waited:.1f} s")
    store = rig.store(DAG, runs["mark"])
    (record,) = store.of_type("approval.granted")
    assert record.body["person"] == {"id": "demo-sre", "name": "demo-sre (test)"}
    assert (record.body["decision"], record.body["comment"], record.body["channel"]) == ("approve", "looks right", "mark")
    assert rig.codes(DAG, runs["mark"]) == []
    assert len(rig.as_("requester").event_logs(event="perfproof.act", run_id=request)) == 1
    eventually(lambda: rig.state_of(DAG, runs["mark"], "after") == "success", seconds=20, what="the next task runs")
    outcome = rig.as_("requester").xcom(DAG, runs["mark"], "await_plan")
    assert outcome["decision"] == "approve"
    assert store.read(outcome["records"][0]["name"])


def test_a_bulk_mark_approves(rig: Rig, runs: dict[str, str]) -> None:
    """Marking several tasks at once yields the same record, although Airflow's audit log does not see it."""
    request = rig.settled(DAG, runs["bulk"])
    answer = rig.as_("demo-sre").mark_many(APPROVALS, request, [{"task_id": "approve", "map_index": 0, "note": "in bulk"}], state="success")
    assert answer.status_code == 200
    waited = succeeds(rig, runs["bulk"])
    print(f"bulk mark to success: {waited:.1f} s")
    (record,) = rig.store(DAG, runs["bulk"]).of_type("approval.granted")
    assert (record.body["person"]["id"], record.body["comment"]) == ("demo-sre", "in bulk")


def test_marking_the_whole_request_approves(rig: Rig, runs: dict[str, str]) -> None:
    """It marks its tasks too, by the same person."""
    request = rig.settled(DAG, runs["whole"])
    assert rig.as_("demo-sre").mark_run(APPROVALS, request, state="success").status_code == 200
    succeeds(rig, runs["whole"])
    (record,) = rig.store(DAG, runs["whole"]).of_type("approval.granted")
    assert record.body["person"]["id"] == "demo-sre"


def test_a_form_answer_approves_and_only_the_respondent_can_give_it(rig: Rig, runs: dict[str, str]) -> None:
    """The Required Action form is the same act in another channel."""
    request = rig.settled(DAG, runs["form"])
    assert rig.as_("outsider").answer(APPROVALS, request, "approve", option="Approve", map_index=0).status_code == 403
    (form,) = rig.as_("demo-sre").required_actions(APPROVALS, request)
    assert form["options"] == ["Approve", "Reject"]
    assert "<b>" not in form["body"] and "evidence/plan.txt" in form["body"]
    answer = rig.as_("demo-sre").answer(APPROVALS, request, "approve", option="Approve", map_index=0, fields={"comment": "by form"})
    assert answer.status_code == 200
    waited = succeeds(rig, runs["form"])
    print(f"form answer to success: {waited:.1f} s")
    (record,) = rig.store(DAG, runs["form"]).of_type("approval.granted")
    assert (record.body["person"]["id"], record.body["comment"], record.body["channel"]) == ("demo-sre", "by form", "form")


@pytest.mark.parametrize("channel", ["reject", "reject_form"])
def test_a_rejection_fails_the_run(rig: Rig, runs: dict[str, str], channel: str) -> None:
    """Marked failed, or rejected in the form: the task fails at once, the next one does not run, the record says who."""
    request = rig.settled(DAG, runs[channel])
    if channel == "reject":
        assert rig.mark("demo-sre", request, state="failed", note="too risky") == 200
    else:
        fields = {"comment": "too risky"}
        assert rig.as_("demo-sre").answer(APPROVALS, request, "approve", option="Reject", map_index=0, fields=fields).status_code == 200
    run = rig.as_("requester").wait_for_run(DAG, runs[channel], seconds=30)
    assert run["state"] == "failed"
    assert rig.state_of(DAG, runs[channel], "after") == "upstream_failed"
    (record,) = rig.store(DAG, runs[channel]).of_type("approval.rejected")
    assert (record.body["person"]["id"], record.body["comment"]) == ("demo-sre", "too risky")
    assert rig.store(DAG, runs[channel]).of_type("approval.granted") == []


def test_a_forged_act_and_a_person_without_the_role_are_refused_and_the_question_stands_again(rig: Rig, runs: dict[str, str]) -> None:
    """What an edit right can do to the approval task decides nothing; each try is recorded and asked again."""
    outsider = rig.as_("outsider")
    first = rig.request_of(DAG, runs["forged"])
    assert rig.mark("outsider", first) == 200
    refused = eventually(lambda: rig.request_of(DAG, runs["forged"], attempt=2, seconds=60), seconds=60, what="asked again")
    assert rig.codes(DAG, runs["forged"]) == ["APR-403"]
    act = outsider.xcom(APPROVALS, first, "approve", "act", map_index=0)
    forged = {**_document(act), "actor_id": "demo-sre", "actor_name": "demo-sre", "run_id": refused}
    # The state first, so that a true act is there; then the forgery takes its place before the sensor looks.
    assert rig.mark("outsider", refused) == 200
    path = f"/api/v2/dags/{APPROVALS}/dagRuns/{refused}/taskInstances/approve/xcomEntries/act"
    assert outsider.client.patch(path, json={"value": forged, "map_index": 0}).status_code == 200
    third = rig.settled(DAG, runs["forged"], attempt=3)
    assert rig.codes(DAG, runs["forged"]) == ["APR-403", "APR-402"]
    assert rig.state_of(DAG, runs["forged"], "await_plan") == "deferred"
    assert rig.mark("demo-sre", third) == 200
    succeeds(rig, runs["forged"])
    (record,) = rig.store(DAG, runs["forged"]).of_type("approval.granted")
    assert (record.body["request_id"], record.body["attempt"]) == (third, 3)


def test_nobody_approves_a_run_that_they_triggered(rig: Rig, runs: dict[str, str]) -> None:
    """The person holds the role, but asked for it: refused, and still open."""
    request = rig.settled(DAG, runs["self"])
    assert rig.mark("demo-sre", request) == 200
    rig.request_of(DAG, runs["self"], attempt=2)
    assert rig.codes(DAG, runs["self"]) == ["APR-405"]
    assert rig.store(DAG, runs["self"]).of_type("approval.granted") == []


def test_two_roles_need_both_and_only_the_refused_one_is_asked_again(rig: Rig, runs: dict[str, str]) -> None:
    """One role's record stays; the other role gets a new request of its own."""
    request = rig.settled(DAG, runs["two"])
    assert rig.mark("demo-owner", request, role=0) == 200
    assert rig.mark("outsider", request, role=1) == 200
    again = rig.settled(DAG, runs["two"], attempt=2)
    tasks = [t for t in rig.as_("requester").tasks(APPROVALS, again) if t["task_id"] == "approve"]
    assert [t["rendered_map_index"] for t in tasks] == ["SRE Lead"]
    assert rig.state_of(DAG, runs["two"], "await_plan") == "deferred"
    assert rig.mark("demo-sre", again) == 200
    succeeds(rig, runs["two"])
    records = {entry.body["role"]: entry.body["person"]["id"] for entry in rig.store(DAG, runs["two"]).of_type("approval.granted")}
    assert records == {"product_owner": "demo-owner", "sre_lead": "demo-sre"}


def test_one_person_does_not_answer_for_two_roles(rig: Rig, runs: dict[str, str]) -> None:
    """Holding both roles is allowed, answering for both is not."""
    request = rig.settled(DAG, runs["same"])
    both = [{"task_id": "approve", "map_index": index} for index in (0, 1)]
    assert rig.as_("demo-owner").mark_many(APPROVALS, request, both, state="success").status_code == 200
    again = rig.settled(DAG, runs["same"], attempt=2)
    assert rig.codes(DAG, runs["same"]) == ["APR-406"]
    assert rig.mark("demo-sre", again) == 200
    succeeds(rig, runs["same"])


def test_a_gate_is_waived_with_a_justification_and_a_change_is_approved_with_its_reference(rig: Rig, runs: dict[str, str]) -> None:
    """Without the words the mark is refused and says which words; with them it counts."""
    gate, change = rig.settled(DAG, runs["waiver"]), rig.settled(DAG, runs["reference"])
    assert rig.mark("demo-sre", gate) == 200
    assert rig.mark("demo-sre", change, note="done") == 200
    gate, change = rig.settled(DAG, runs["waiver"], attempt=2), rig.settled(DAG, runs["reference"], attempt=2)
    assert rig.codes(DAG, runs["waiver"]) == ["APR-411"]
    assert rig.codes(DAG, runs["reference"]) == ["APR-410"]
    assert rig.mark("demo-sre", gate, note="waiver: the peak is over until the next quarter") == 200
    assert rig.mark("demo-sre", change, note="commit 3f2a91c") == 200
    succeeds(rig, runs["waiver"])
    succeeds(rig, runs["reference"])
    assert rig.as_("requester").xcom(DAG, runs["waiver"], "await_plan")["decision"] == "waiver"
    (record,) = rig.store(DAG, runs["waiver"]).of_type("approval.granted")
    assert record.body["comment"] == "the peak is over until the next quarter"


def test_a_cleared_wait_with_unchanged_evidence_does_not_ask_again(rig: Rig, runs: dict[str, str]) -> None:
    """The record in the evidence store answers, not the task of Airflow."""
    admin = rig.as_("requester")
    admin.clear(DAG, runs["mark"], ["await_plan"], downstream=True)

    def ran_again() -> bool:
        task = next(t for t in admin.tasks(DAG, runs["mark"]) if t["task_id"] == "await_plan")
        return bool(task["try_number"] == 2 and task["state"] == "success")

    eventually(ran_again, seconds=30, what="the cleared task ran and succeeded")
    assert len(rig.store(DAG, runs["mark"]).of_type("approval.requested")) == 1


def test_a_mark_while_the_triggerer_is_dead_counts(rig: Rig, runs: dict[str, str]) -> None:
    """Killed, marked, started anew: nothing is lost."""
    request = rig.settled(DAG, runs["late"])
    rig.airflow.kill("triggerer")
    assert rig.mark("demo-sre", request) == 200
    rig.airflow.start("triggerer")
    succeeds(rig, runs["late"], seconds=90)


def test_an_answer_whose_task_was_failed_by_the_scheduler_is_taken_over_by_the_next_try(rig: Rig, runs: dict[str, str]) -> None:
    """apache/airflow#67287: what the scheduler does when it loses track of an answered task, done here on purpose."""
    request = rig.settled(DAG, runs["raced"])
    rig.airflow.kill("scheduler")
    fields = {"comment": "before the race"}
    answer = rig.as_("demo-sre").answer(APPROVALS, request, "approve", option="Approve", map_index=0, fields=fields)
    assert answer.status_code == 200
    rig.python(RACE.format(run_id=request))
    rig.airflow.start("scheduler")
    succeeds(rig, runs["raced"], seconds=90)
    store = rig.store(DAG, runs["raced"])
    (record,) = store.of_type("approval.granted")
    assert (record.body["person"]["id"], record.body["comment"], record.body["channel"]) == ("demo-sre", "before the race", "form")
    assert len(store.of_type("approval.requested")) == 1
    assert rig.codes(DAG, runs["raced"]) == []


RACE = """
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

with create_session() as session:
    ti = session.scalar(select(TaskInstance).where(TaskInstance.run_id == "{run_id}", TaskInstance.task_id == "approve"))
    ti.state = "queued"
    ti.handle_failure(error="finished with state success, but the task instance's state attribute is queued", session=session)
"""


def _document(stored: Any) -> dict[str, Any]:
    import json

    return dict(json.loads(stored) if isinstance(stored, str) else stored)
