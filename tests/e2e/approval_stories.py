"""Attacks on approvals that take several steps: what is done, and what must hold after each of them.

Each works on runs of its own and waits most of its time, so test_approval_attacks.py tells them all together.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from airflow_rig import APPROVALS, eventually
from approval_attacks import (
    DAG,
    FORGERIES,
    ON_A_ROLE,
    ON_A_RUN,
    ROLES,
    SUCCESS,
    Scene,
    Target,
    asked_anew,
    becomes,
    clear,
    clear_wait,
    entries,
    has_no_effect,
    holder,
    is_granted,
    run,
)  # fmt: skip

STORIES: dict[str, Callable[[Scene], None]] = {}


def story(tell: Callable[[Scene], None]) -> Callable[[Scene], None]:
    """Lets `tell` be told at the same time as the others, by runs of its own; a test of its name says how it ended."""
    STORIES[tell.__name__] = tell
    return tell


@story
def a_request_that_somebody_made_before_under_its_predictable_id_is_not_used(scene: Scene) -> None:
    """Its configuration is another one: void, and the next number is asked."""
    rig = scene.rig
    rig.request_of(DAG, run("precreated"), attempt=2)
    assert [entry.body["code"] for entry in entries(rig, "precreated", "approval.void")] == ["APR-404"]
    has_no_effect(rig, "precreated")


@story
def an_answer_about_evidence_that_changed_meanwhile_does_not_count(scene: Scene) -> None:
    """The question is void, with the code that says so, and the new evidence is asked about."""
    rig = scene.rig
    rig.request_of(DAG, run("evidence_changed"), attempt=2)
    assert [entry.body["code"] for entry in entries(rig, "evidence_changed", "approval.void")] == ["APR-408"]
    assert rig.state_of(DAG, run("evidence_changed"), "await_plan") == "deferred"
    has_no_effect(rig, "evidence_changed")


@story
def an_act_of_an_earlier_attempt_does_not_count_again(scene: Scene) -> None:
    """A true act of the right person, refused for its note, is copied into the next request."""
    rig = scene.rig
    act = scene.act(Target(scene.requests["replayed"], 0, "demo-sre"), who="demo-sre")
    second = rig.settled(DAG, run("replayed"), attempt=2)
    with rig.frozen("triggerer"):
        scene.leave(Target(second, 0, "demo-sre"), act)
    rig.request_of(DAG, run("replayed"), attempt=3)
    assert rig.codes(DAG, run("replayed")) == ["APR-410", "APR-404"]
    assert rig.state_of(DAG, run("replayed"), "await_plan") == "deferred"
    has_no_effect(rig, "replayed")


@story
def at_the_end_the_right_persons_answer_is_accepted_after_every_attack(scene: Scene) -> None:
    """Each question that stood again is answered by who holds the role: one record each, and the run goes on."""
    rig = scene.rig
    attempts = {**dict.fromkeys([*ON_A_RUN, "evidence_changed", "precreated"], 2), "replayed": 3}
    requests = {name: rig.settled(DAG, run(name), attempt=attempt) for name, attempt in attempts.items()}
    forged = rig.request_of(DAG, run(FORGERIES), attempt=2)
    again = [number for number, role in enumerate(ROLES) if role in ON_A_ROLE]
    for position, number in enumerate(again):
        assert rig.mark(holder(number), forged, role=position) == 200
    for request in requests.values():
        assert rig.mark("demo-sre", request, note="commit 3f2a91c") == 200
    for name, request in requests.items():
        is_granted(rig, name, request=request)
    becomes(rig, FORGERIES, "after", "success")
    records = {entry.body["role"]: entry.body["person"]["id"] for entry in entries(rig, FORGERIES, "approval.granted")}
    assert records == {role: holder(number) for number, role in enumerate(ROLES)}


@story
def a_forged_act_before_the_mark_is_no_obstacle(scene: Scene) -> None:
    """It decides nothing while nobody marks, and the true mark takes its place."""
    rig, request = scene.rig, scene.requests["forged_before_mark"]
    forged = {"actor_id": "demo-sre", "state": "success", "hmac_sha256": "0" * 64}
    assert rig.as_("outsider").write_xcom(APPROVALS, request, "approve", "act", forged, map_index=0).status_code == 201
    assert rig.as_("watcher").write_xcom(APPROVALS, request, "approve", "other", forged, map_index=0).status_code == 403
    assert rig.state_of(DAG, run("forged_before_mark"), "await_plan") == "deferred"
    has_no_effect(rig, "forged_before_mark")
    assert rig.mark("demo-sre", request) == 200
    is_granted(rig, "forged_before_mark", request=request)
    assert rig.codes(DAG, run("forged_before_mark")) == []


@story
def a_second_mark_is_refused_by_airflow_and_a_late_one_changes_nothing(scene: Scene) -> None:
    """The same mark twice is 409; another one after the decision leaves record, task and run as they are."""
    rig, request = scene.rig, scene.requests["twice"]
    # It was marked once while the attackers took its act for another run.
    assert rig.mark("demo-sre", request) == 409
    record = is_granted(rig, "twice", request=request)
    assert rig.mark("outsider", request, state="failed") == 200
    assert rig.mark("outsider", request, state="success") == 200
    clear(rig, "twice", "protected")
    becomes(rig, "twice", "protected", "success", tries=2)
    assert [entry.sha256 for entry in entries(rig, "twice", "approval.granted")] == [record.sha256]
    assert rig.codes(DAG, run("twice")) == []


@story
def a_conflicting_second_mark_is_a_rejection_and_stays_one_until_the_wait_is_cleared(scene: Scene) -> None:
    """Approved by one and marked failed by the other before anybody looked: rejected, and the conflict is in the log. Marked success
    after that: still rejected."""
    rig, request = scene.rig, scene.requests["conflicting"]
    with rig.frozen("triggerer"):
        assert rig.mark("demo-sre", request) == 200
        assert rig.mark("second-sre", request, state="failed", note="no") == 200
    becomes(rig, "conflicting", "await_plan", "failed")
    (rejected,) = entries(rig, "conflicting", "approval.rejected")
    assert (rejected.body["person"]["id"], rejected.body["comment"]) == ("second-sre", "no")
    (conflict,) = entries(rig, "conflicting", "approval.conflict")
    assert (conflict.body["code"], conflict.body["actor"]) == ("APR-409", "demo-sre (test)")
    assert rig.mark("demo-sre", request) == 200
    assert rig.state_of(DAG, run("conflicting"), "await_plan") == "failed"
    has_no_effect(rig, "conflicting")
    again = asked_anew(rig, "conflicting")
    assert rig.mark("demo-sre", again) == 200
    is_granted(rig, "conflicting", request=again)
    assert len(entries(rig, "conflicting", "approval.rejected")) == 1


def of_two_answers_at_once_exactly_one_is_recorded(scene: Scene, *, name: str) -> None:
    """Two people who hold the role answer at the same moment: one record, of one whom Airflow answered with 200.

    The other one gets 409 for a mark. Of two forms Airflow 3.3.2 may take both: it checks for an earlier answer on what it
    read before it had the lock.
    """
    rig, request = scene.rig, scene.requests[name]
    people = ("demo-sre", "second-sre")

    def answer(who: str) -> int:
        if name == "two_marks":
            return rig.mark(who, request)
        return rig.as_(who).answer(APPROVALS, request, "approve", option="Approve", map_index=0).status_code

    for who in people:
        assert rig.as_(who).run(APPROVALS, request)
    with ThreadPoolExecutor(2) as threads:
        answers = dict(zip(people, threads.map(answer, people), strict=True))
    print(f"{name}: {answers}")
    taken = [who for who, status in answers.items() if status == 200]
    assert taken and set(answers.values()) <= {200, 409}
    assert name == "two_forms" or len(taken) == 1
    becomes(rig, name, "after", "success")
    (record,) = entries(rig, name, "approval.granted")
    assert record.body["person"]["id"] in taken
    assert len(entries(rig, name, "announce")) == 1


@story
def a_form_answer_after_a_mark_changes_nothing(scene: Scene) -> None:
    """Airflow takes and stores it, although nobody waits for it any more: the mark is the decision."""
    rig, request = scene.rig, scene.requests["form_after_mark"]
    with rig.frozen("triggerer"):
        assert rig.mark("demo-sre", request) == 200
        answer = rig.as_("second-sre").answer(APPROVALS, request, "approve", option="Reject", map_index=0)
    assert answer.status_code == 200
    record = is_granted(rig, "form_after_mark", request=request)
    assert record.body["channel"] == "mark"
    assert entries(rig, "form_after_mark", "approval.rejected") == []


@story
def a_mark_of_somebody_else_after_a_form_answer_never_approves(scene: Scene) -> None:
    """The form's answer is the record, or the mark came over it, is refused, and the question stands again."""
    rig, request = scene.rig, scene.requests["mark_after_form"]
    assert rig.as_("demo-sre").answer(APPROVALS, request, "approve", option="Approve", map_index=0).status_code == 200
    rig.mark("outsider", request)
    found = eventually(
        lambda: entries(rig, "mark_after_form", "approval.granted") or rig.codes(DAG, run("mark_after_form")),
        seconds=60, what="somebody looked at the answer",
    )  # fmt: skip
    print(f"mark after form: {found}")
    if rig.codes(DAG, run("mark_after_form")):
        assert rig.codes(DAG, run("mark_after_form")) == ["APR-403"]
        has_no_effect(rig, "mark_after_form")
        request = rig.settled(DAG, run("mark_after_form"), attempt=2)
        assert rig.mark("demo-sre", request) == 200
    is_granted(rig, "mark_after_form", request=request)


@story
def an_unanswered_request_expires_and_nobody_approved(scene: Scene) -> None:
    """No timeout approves: form and wait fail, and nothing that follows runs."""
    rig = scene.rig
    becomes(rig, "unanswered", "await_plan", "failed")
    assert "APR-412" in rig.as_("requester").log(DAG, run("unanswered"), "await_plan")
    assert [entry.body["code"] for entry in entries(rig, "unanswered", "approval.expired")] == ["APR-412"]
    has_no_effect(rig, "unanswered")
    assert rig.state_of(DAG, run("unanswered"), "protected") == "upstream_failed"


@story
def a_request_made_by_hand_asks_nobody(scene: Scene) -> None:
    """Neither one with defaults that would approve by themselves, nor a copy of a true one under another id."""
    rig, outsider = scene.rig, scene.rig.as_("outsider")
    conf = rig.as_("requester").run(APPROVALS, scene.requests["twice"])["conf"]
    for run_id, content, code in (
        ("by-hand", {"options": ["approve"], "defaults": ["approve"], "response_timeout": 1}, "APR-120"),
        ("copied", conf, "APR-422"),
    ):
        outsider.trigger(APPROVALS, run_id=run_id, conf=content)
        assert outsider.wait_for_run(APPROVALS, run_id, seconds=60)["state"] == "failed"
        assert code in outsider.log(APPROVALS, run_id, "publish_request")
        assert outsider.required_actions(APPROVALS, run_id) == []


@story
def clearing_asks_again_and_what_was_cleared_decides_nothing(scene: Scene) -> None:
    """The approval task, cleared after a mark that nobody saw, waits again; after a cleared wait only the new request counts."""
    rig, old = scene.rig, scene.requests["cleared"]
    with rig.frozen("triggerer"):
        assert rig.mark("demo-sre", old) == 200
        rig.as_("outsider").wait_for_run(APPROVALS, old, seconds=60)
        rig.as_("outsider").clear(APPROVALS, old, ["approve"])
    eventually(lambda: rig.approvals_of(old)[0]["state"] == "awaiting_input", seconds=120, what="it asks again", pause=0.4)
    assert rig.state_of(DAG, run("cleared"), "await_plan") == "deferred"
    has_no_effect(rig, "cleared")
    new = asked_anew(rig, "cleared")
    assert rig.mark("demo-sre", old) == 200
    assert rig.state_of(DAG, run("cleared"), "await_plan") == "deferred"
    has_no_effect(rig, "cleared")
    assert rig.mark("demo-sre", new) == 200
    is_granted(rig, "cleared", request=new)


@story
def evidence_that_its_cleared_task_changes_voids_question_and_approval(scene: Scene) -> None:
    """Before the answer: it is refused, the new content is asked about. After the grant: the protected step refuses."""
    rig, old, admin = scene.rig, scene.requests["changed"], scene.rig.as_("requester")
    clear(rig, "changed", "publish")
    becomes(rig, "changed", "publish", "success", tries=2)
    assert rig.mark("demo-sre", old) == 200
    new = rig.settled(DAG, run("changed"), round_=1)
    has_no_effect(rig, "changed")
    assert [entry.body["code"] for entry in entries(rig, "changed", "approval.void")] == ["APR-408"]
    assert rig.mark("demo-sre", new) == 200
    is_granted(rig, "changed", request=new)
    clear(rig, "changed", "publish")
    becomes(rig, "changed", "publish", "success", tries=3)
    clear(rig, "changed", "protected", downstream=True)
    becomes(rig, "changed", "protected", "failed", tries=2)
    assert "APR-433" in admin.log(DAG, run("changed"), "protected", try_number=2)
    assert len(entries(rig, "changed", "announce")) == 1
    clear_wait(rig, "changed")
    again = rig.settled(DAG, run("changed"), round_=4)
    assert rig.mark("demo-sre", again) == 200
    becomes(rig, "changed", "after", "success")
    assert [e.body["request_id"] for e in entries(rig, "changed", "approval.granted")] == [new, again]


@story
def a_wait_that_somebody_marks_does_not_open_the_protected_step(scene: Scene) -> None:
    """Success by mark or in the database is refused at the step; failed, skipped, or all marked at once, it does not run."""
    rig, outsider = scene.rig, scene.rig.as_("outsider")
    for name, state in (("await_success", "success"), ("await_failed", "failed"), ("await_skipped", "skipped")):
        assert outsider.mark(DAG, run(name), "await_plan", state=state).status_code == 200
    assert len(rig.database(SUCCESS, run("await_edited"))) == 1
    path = f"/api/v2/dags/{DAG}/dagRuns/{run('await_all')}/taskInstances/await_plan"
    assert outsider.client.patch(path, json={"new_state": "success", "include_downstream": True}).status_code == 200
    ends = {"await_success": "failed", "await_edited": "failed", "await_failed": "upstream_failed", "await_skipped": "skipped"}
    for name, state in ends.items():
        becomes(rig, name, "protected", state)
        has_no_effect(rig, name)
    for name in ("await_success", "await_edited"):
        assert "APR-431" in outsider.log(DAG, run(name), "protected")
    assert outsider.wait_for_run(DAG, run("await_all"), seconds=60)["state"] == "success"
    has_no_effect(rig, "await_all")
    names = ("await_success", "await_skipped", "await_all")
    for name in names:
        clear_wait(rig, name)
    again = {name: rig.settled(DAG, run(name), round_=1) for name in names}
    for request in again.values():
        assert rig.mark("demo-sre", request) == 200
    for name, request in again.items():
        is_granted(rig, name, request=request)


for two in ("two_marks", "two_forms"):
    STORIES[f"of_{two}_at_once_exactly_one_is_recorded"] = partial(of_two_answers_at_once_exactly_one_is_recorded, name=two)
