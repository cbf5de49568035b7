"""What is done to the requests of test_approval_attacks.py: each attack with the code that refuses it, and the runs that meet them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from airflow_rig import APPROVALS, Rig, eventually

from perfproof.approvals import Act, Channel, SigningKey, sign
from perfproof.evidence import Actor, Entry, idempotency
from perfproof.moments import stamp

DAG = "rig"
SRE: dict[str, Any] = {"roles": {"sre_lead": ["demo-sre"]}}
EITHER: dict[str, Any] = {"roles": {"sre_lead": ["demo-sre", "second-sre"]}}
SUCCESS: LiteralString = "UPDATE task_instance SET state = 'success' WHERE run_id = %s AND task_id = 'await_plan' RETURNING id"


@dataclass(frozen=True, slots=True)
class Target:
    """A task of a request, and who may answer it."""

    request: str
    role: int
    holder: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What the attackers find: the Airflow, the requests that wait by the name of their run, and the key of the acts."""

    rig: Rig
    requests: Mapping[str, str]
    key: SigningKey

    def act(self, target: Target, *, who: str = "outsider", state: str = "success") -> dict[str, Any]:
        """The signed act of a mark that `who` just made."""
        assert self.rig.mark(who, target.request, state=state, role=target.role) == 200
        stored = self.rig.as_(who).xcom(APPROVALS, target.request, "approve", "act", map_index=target.role)
        return dict(json.loads(stored) if isinstance(stored, str) else stored)

    def leave(self, target: Target, value: Any) -> None:
        """The outsider marks the task, and replaces the act of that mark by `value`."""
        self.act(target)
        self.put(target, value)

    def alter(self, target: Target, **fields: Any) -> None:
        """The outsider marks the task, and edits the act of that mark."""
        self.put(target, {**self.act(target), **fields})

    def put(self, target: Target, value: Any) -> None:
        """The outsider writes over the act."""
        assert self.rig.put_act("outsider", target.request, value, role=target.role) == 200

    def date(self, target: Target, moment: datetime) -> None:
        """What an api-server with a wrong clock would sign when the right person marks the task at `moment`."""
        fields = {name: value for name, value in self.act(target).items() if name != "hmac_sha256"}
        own = {"channel": Channel.MARK, "actor_id": target.holder, "actor_name": target.holder, "time": stamp(moment)}
        self.put(target, sign(Act(**{**fields, **own}), key=self.key))


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def take_away(scene: Scene, target: Target) -> None:
    """The right person marks, and somebody with edit rights deletes the act."""
    scene.act(target, who=target.holder)
    path = f"/api/v2/dags/{APPROVALS}/dagRuns/{target.request}/taskInstances/approve/xcomEntries/act"
    assert scene.rig.as_("outsider").client.delete(path, params={"map_index": target.role}).status_code == 204


def edit_state(scene: Scene, target: Target) -> None:
    """The task is made successful in the database."""
    statement = "UPDATE task_instance SET state = 'success' WHERE run_id = %s AND task_id = 'approve' AND map_index = %s RETURNING id"
    assert len(scene.rig.database(statement, target.request, target.role)) == 1


def overwrite(scene: Scene, target: Target) -> None:
    """The right person approves, and somebody else marks it again with another state before anybody looked."""
    assert scene.rig.mark(target.holder, target.request, role=target.role) == 200
    assert scene.rig.mark("outsider", target.request, state="failed", role=target.role) == 200


def overwrite_rejection(scene: Scene, target: Target) -> None:
    """One who holds the role rejects, and before anybody looked another one who holds it approves."""
    assert scene.rig.mark(target.holder, target.request, state="failed", role=target.role) == 200
    assert scene.rig.mark("second-sre", target.request, role=target.role) == 200


def copy_of_another_role(scene: Scene, target: Target) -> None:
    """The true act of the first role, whose holder approves, is copied to this one."""
    first = replace(target, role=0, holder=holder(0))
    scene.leave(target, scene.act(first, who=first.holder))


def change_evidence(scene: Scene, target: Target) -> None:
    """New evidence while the question stands, and an answer to the old one."""
    store = scene.rig.store(DAG, run("evidence_changed"))
    actor, idem = Actor(kind="task", id="other", auth="A1"), idempotency("plan", "publish again", 0, [])
    store.publish("evidence/plan.txt", b"another plan", idem=idem, time=now(), actor=actor)
    scene.act(target, who=target.holder)


def include(scene: Scene, target: Target, task: str, state: str, what: str) -> None:
    """The outsider marks one task of the request and lets Airflow mark the others with it."""
    path = f"/api/v2/dags/{APPROVALS}/dagRuns/{target.request}/taskInstances/{task}"
    assert scene.rig.as_("outsider").client.patch(path, json={"new_state": state, what: True}).status_code == 200


def mark_whole(scene: Scene, target: Target) -> None:
    """The outsider marks the whole request."""
    assert scene.rig.as_("outsider").mark_run(APPROVALS, target.request, state="success").status_code == 200


def mark_in_bulk(scene: Scene, _target: Target) -> None:
    """The outsider marks several requests in one call."""
    ids = [scene.requests[name] for name in ("bulk_first", "bulk_second")]
    entities = [{"new_state": "success", "task_id": "approve", "map_index": 0, "dag_run_id": id_, "dag_id": APPROVALS} for id_ in ids]
    body = {"actions": [{"action": "update", "entities": entities, "action_on_non_existence": "fail"}]}
    answer = scene.rig.as_("outsider").client.patch("/api/v2/dags/~/dagRuns/~/taskInstances", json=body)
    assert answer.status_code == 200 and len(answer.json()["update"]["success"]) == 2, answer.text


Strike = Callable[[Scene, Target], Any]
# One request asks a role for each of these; the first role's holder approves, which must change nothing for the others.
ON_A_ROLE: dict[str, tuple[str, Strike]] = {
    "act_of_another_role": ("APR-404", copy_of_another_role),
    "act_without_signature": ("APR-401", lambda s, t: s.leave(t, {"actor_id": t.holder, "state": "success", "run_id": t.request})),
    "act_of_another_type": ("APR-401", lambda s, t: s.leave(t, [[t.holder, "success"]])),
    "act_over_64_kib": ("APR-401", lambda s, t: s.alter(t, actor_id=t.holder, note="a" * 70_000)),
    "act_deleted": ("APR-401", take_away),
    "state_edited_in_the_database": ("APR-401", edit_state),
    "act_with_an_unknown_field": ("APR-402", lambda s, t: s.alter(t, superuser=True)),
    "act_with_edited_fields": ("APR-402", lambda s, t: s.alter(t, actor_id=t.holder, actor_name=t.holder)),
    "act_with_a_made_up_signature": ("APR-402", lambda s, t: s.alter(t, actor_id=t.holder, hmac_sha256="0" * 64)),
    "act_of_another_run": ("APR-404", lambda s, t: s.leave(t, s.act(Target(s.requests["twice"], 0, "demo-sre"), who="demo-sre"))),
    "act_before_the_request": ("APR-407", lambda s, t: s.date(t, now() - timedelta(hours=1))),
    "act_in_the_future": ("APR-407", lambda s, t: s.date(t, now() + timedelta(hours=1))),
    "skipped": ("APR-411", lambda s, t: s.act(t, who=t.holder, state="skipped")),
}  # fmt: skip
# These change more than a role, and have a run of their own.
ON_A_RUN: dict[str, tuple[str, Strike]] = {
    "whole_request_marked": ("APR-403", mark_whole),
    "upstream_included": ("APR-403", lambda s, t: include(s, t, "approve", "success", "include_upstream")),
    "downstream_included": ("APR-403", lambda s, t: include(s, t, "publish_request", "failed", "include_downstream")),
    "bulk_first": ("APR-403", mark_in_bulk),
    "bulk_second": ("APR-403", lambda s, t: None),
    "act_after_expiry": ("APR-407", lambda s, t: s.date(t, now() + timedelta(seconds=290))),
}
APPROVED = "a_true_approval"
# Nobody takes back an answer that was given first.
OVERWRITTEN = "approval_overwritten"
ROLES = sorted([APPROVED, OVERWRITTEN, *ON_A_ROLE])
FORGERIES = "forgeries"
WAITING = (
    "twice", "conflicting", "two_marks", "two_forms", "form_after_mark", "mark_after_form", "forged_before_mark", "replayed",
    "cleared", "changed", "await_success", "await_edited", "await_failed", "await_skipped", "await_all", "key_changed", "key_missing",
)  # fmt: skip
OF_TWO = ("conflicting", "two_marks", "two_forms", "form_after_mark")
REJECTED = "rejection_overwritten"


def holder(role: int) -> str:
    """Who holds a role of the forgeries' request."""
    return f"holder-{role:02}"


def run(name: str) -> str:
    """The run of an attack."""
    return f"attack-{name}"


CONFS: dict[str, Mapping[str, Any]] = {
    FORGERIES: {"roles": {role: [holder(number)] for number, role in enumerate(ROLES)}},
    **dict.fromkeys([*ON_A_RUN, "evidence_changed"], SRE),
    **{name: EITHER if name in OF_TWO else SRE for name in WAITING},
    "act_after_expiry": {**SRE, "expires_after_seconds": 240},
    "replayed": {**SRE, "reference": True},
    "changed": {**SRE, "changes": True},
    REJECTED: EITHER,
    "precreated": SRE,
    "unanswered": {**SRE, "expires_after_seconds": 12},
}


def entries(rig: Rig, name: str, kind: str) -> list[Entry]:
    """The entries of a type in the run's log."""
    return rig.store(DAG, run(name)).of_type(kind)


def has_no_effect(rig: Rig, name: str) -> None:
    """Nothing is granted, and the protected step did nothing."""
    assert entries(rig, name, "approval.granted") == []
    assert entries(rig, name, "announce") == []


def becomes(rig: Rig, name: str, task: str, state: str, *, seconds: float = 120, tries: int = 0) -> None:
    """Waits until a task of the run has that state."""

    def reached() -> bool:
        found = next(t for t in rig.as_("requester").tasks(DAG, run(name)) if t["task_id"] == task)
        return bool(found["state"] == state and found["try_number"] >= tries)

    eventually(reached, seconds=seconds, what=f"{task} of {name} is {state}")


def is_granted(rig: Rig, name: str, *, request: str, person: str = "demo-sre") -> Entry:
    """The run's only record, when the protected step has done its work once."""
    becomes(rig, name, "after", "success")
    (record,) = entries(rig, name, "approval.granted")
    assert (record.body["request_id"], record.body["person"]["id"]) == (request, person)
    assert len(entries(rig, name, "announce")) == 1
    return record


def asked_anew(rig: Rig, name: str) -> str:
    """The request of the next round, after somebody cleared the waiting task and what follows."""
    clear_wait(rig, name)
    return rig.settled(DAG, run(name), round_=1)


def clear_wait(rig: Rig, name: str) -> None:
    """Clears the waiting task and what follows."""
    clear(rig, name, "await_plan", downstream=True)


def clear(rig: Rig, name: str, task: str, *, downstream: bool = False) -> None:
    """Clears a task of a run that waits, or of one that is over: before that the scheduler may overwrite what is cleared."""
    admin = rig.as_("requester")
    if rig.state_of(DAG, run(name), "await_plan") != "deferred":
        admin.wait_for_run(DAG, run(name), seconds=120)
    admin.clear(DAG, run(name), [task], downstream=downstream)
