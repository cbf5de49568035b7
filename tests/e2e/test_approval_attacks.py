"""Attacks on approvals in a real Airflow, each through the REST API as a person who may do that there, or in its database.

All runs start together and wait; then everybody strikes while nobody looks; then each test says what became of one attack. What
other people's marks, forged copies of a true act, self-approval and two roles of one person do stands in test_approvals.py.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from airflow_rig import APPROVALS, PEOPLE, REPOSITORY, Rig, eventually, running_rig
from approval_attacks import (
    APPROVED,
    CONFS,
    DAG,
    FORGERIES,
    ON_A_ROLE,
    ON_A_RUN,
    OVERWRITTEN,
    REJECTED,
    ROLES,
    Scene,
    Target,
    asked_anew,
    becomes,
    change_evidence,
    clear,
    entries,
    has_no_effect,
    holder,
    is_granted,
    now,
    overwrite,
    overwrite_rejection,
    run,
)  # fmt: skip
from approval_stories import STORIES

from perfproof.approvals import SigningKey
from perfproof.moments import stamp
from perfproof.run_key import run_key
from perfproof_demo.airflow_home import KEY_CONNECTION, User

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Airflow for the whole file."""
    files = [REPOSITORY / "dags" / "performance_approvals.py", REPOSITORY / "tests" / "e2e" / "rig_dag.py"]
    people = (*PEOPLE, *(User(holder(number), "user") for number in range(len(ROLES))))
    with running_rig(tmp_path_factory.mktemp("airflow"), dag_files=files, people=people) as running:
        admin = running.as_("requester")
        eventually(lambda: admin.dag(DAG) and admin.dag(APPROVALS), seconds=60, what="both DAGs are known")
        yield running


@pytest.fixture(scope="module")
def scene(rig: Rig) -> Scene:
    """Every run of the file waits for its answer; then all attacks of the tables were made, before anybody looked."""
    taken = f"{run_key(DAG, run('precreated'))}__plan__-1__r0a1"
    rig.as_("outsider").trigger(APPROVALS, run_id=taken, conf={"request_id": taken, "options": ["approve"]})
    for person in PEOPLE:
        # The stories share these people, and two of them must not log in at once.
        assert rig.as_(person.name).client
    admin = rig.as_("requester")
    for name, conf in CONFS.items():
        admin.trigger(DAG, run_id=run(name), conf=conf)
    names = [name for name in CONFS if name not in ("precreated", "unanswered")]
    requests = {name: rig.request_of(DAG, run(name), seconds=120) for name in names}
    rig.settled(DAG, run(names[-1]))
    found = Scene(rig, requests, rig.signing_key())
    with rig.frozen("triggerer"):
        for number, role in enumerate(ROLES):
            if role in ON_A_ROLE:
                ON_A_ROLE[role][1](found, Target(requests[FORGERIES], number, holder(number)))
        overwrite(found, Target(requests[FORGERIES], ROLES.index(OVERWRITTEN), holder(ROLES.index(OVERWRITTEN))))
        overwrite_rejection(found, Target(requests[REJECTED], 0, "demo-sre"))
        for name, (_, strike) in ON_A_RUN.items():
            strike(found, Target(requests[name], 0, "demo-sre"))
        change_evidence(found, Target(requests["evidence_changed"], 0, "demo-sre"))
    return found


@pytest.mark.parametrize("role", ON_A_ROLE)
def test_an_attack_on_a_role_is_refused_with_its_own_code_and_the_run_still_waits(scene: Scene, role: str) -> None:
    """Nothing is granted for the role, the refusal is in the log in short, and the question stands again."""
    rig = scene.rig
    again = rig.request_of(DAG, run(FORGERIES), attempt=2)
    refused = [entry.body for entry in entries(rig, FORGERIES, "approval.refused") if entry.body["role"] == role]
    assert [body["code"] for body in refused] == [ON_A_ROLE[role][0]]
    assert len(refused[0]["found"] or "") <= 2000
    assert sorted(entry.body["role"] for entry in entries(rig, FORGERIES, "approval.granted")) == sorted([APPROVED, OVERWRITTEN])
    assert role in [task["rendered_map_index"] for task in rig.approvals_of(again)]
    assert rig.state_of(DAG, run(FORGERIES), "await_plan") == "deferred"
    assert entries(rig, FORGERIES, "announce") == []


def test_a_later_mark_takes_no_answer_back(scene: Scene) -> None:
    """The first answer that counts stands: an approval over which an outsider marked, a rejection over which somebody approved."""
    rig = scene.rig
    rig.request_of(DAG, run(FORGERIES), attempt=2)
    (granted,) = [entry.body for entry in entries(rig, FORGERIES, "approval.granted") if entry.body["role"] == OVERWRITTEN]
    assert granted["person"]["id"] == holder(ROLES.index(OVERWRITTEN))
    becomes(rig, REJECTED, "await_plan", "failed")
    (rejected,) = entries(rig, REJECTED, "approval.rejected")
    assert rejected.body["person"]["id"] == "demo-sre"
    has_no_effect(rig, REJECTED)


@pytest.mark.parametrize("name", ON_A_RUN)
def test_an_attack_on_a_request_is_refused_with_its_own_code_and_the_run_still_waits(scene: Scene, name: str) -> None:
    """Nothing is granted, the refusal is in the log, and the question stands again."""
    rig = scene.rig
    rig.request_of(DAG, run(name), attempt=2)
    assert rig.codes(DAG, run(name)) == [ON_A_RUN[name][0]]
    assert rig.state_of(DAG, run(name), "await_plan") == "deferred"
    has_no_effect(rig, name)


@pytest.fixture(scope="module")
def told(scene: Scene) -> Mapping[str, Future[None]]:
    """How every story ended; they wait most of their time, so they are told together."""
    with ThreadPoolExecutor(len(STORIES)) as threads:
        return {name: threads.submit(tell, scene) for name, tell in STORIES.items()}


@pytest.mark.parametrize("name", STORIES)
def test_an_attack_that_takes_several_steps_decides_nothing(told: Mapping[str, Future[None]], name: str) -> None:
    """The story of that name, with what must hold in it."""
    told[name].result()


def change_key(rig: Rig, key: SigningKey, *, retired: SigningKey | None = None) -> None:
    """Another key in the Connection, as an administrator changes it; `retired` signed until now."""
    old = {retired.id: {"password": retired.secret.hex(), "until": stamp(now())}} if retired else {}
    body = {
        "connection_id": KEY_CONNECTION, "conn_type": "generic", "login": key.id, "password": key.secret.hex(),
        "extra": json.dumps({"retired": old}) if old else None,
    }  # fmt: skip
    answer = rig.as_("requester").client.patch(f"/api/v2/connections/{KEY_CONNECTION}", json=body)
    assert answer.status_code == 200, answer.text


def test_a_changed_key_refuses_what_the_old_one_signed(scene: Scene) -> None:
    """A mark before it that nobody saw is refused and asked again; old records verify again when the old key is kept as a retired one."""
    rig, admin = scene.rig, scene.rig.as_("requester")
    second = SigningKey(id="second", secret=secrets.token_bytes(32))
    with rig.frozen("triggerer"):
        assert rig.mark("demo-sre", scene.requests["key_changed"]) == 200
        change_key(rig, second)
    again = rig.settled(DAG, run("key_changed"), attempt=2)
    assert rig.codes(DAG, run("key_changed")) == ["APR-402"]
    has_no_effect(rig, "key_changed")
    clear(rig, "forged_before_mark", "protected")
    assert rig.mark("demo-sre", again) == 200
    is_granted(rig, "key_changed", request=again)
    becomes(rig, "forged_before_mark", "protected", "failed", tries=2)
    assert "APR-432" in admin.log(DAG, run("forged_before_mark"), "protected", try_number=2)
    assert len(entries(rig, "forged_before_mark", "announce")) == 1
    change_key(rig, second, retired=scene.key)
    clear(rig, "forged_before_mark", "protected", downstream=True)
    becomes(rig, "forged_before_mark", "after", "success")
    assert len(entries(rig, "forged_before_mark", "announce")) == 2
    change_key(rig, scene.key)


def test_without_a_key_nothing_is_granted(scene: Scene) -> None:
    """The mark leaves no act, the wait fails and names the code; with the key again, the cleared wait asks anew."""
    rig, request, admin = scene.rig, scene.requests["key_missing"], scene.rig.as_("requester")
    assert admin.client.delete(f"/api/v2/connections/{KEY_CONNECTION}").status_code == 204
    assert rig.mark("demo-sre", request) == 200
    becomes(rig, "key_missing", "await_plan", "failed")
    assert "APR-423" in admin.log(DAG, run("key_missing"), "await_plan")
    has_no_effect(rig, "key_missing")
    key = scene.key
    body = {"connection_id": KEY_CONNECTION, "conn_type": "generic", "login": key.id, "password": key.secret.hex()}
    assert admin.client.post("/api/v2/connections", json=body).status_code == 201
    again = asked_anew(rig, "key_missing")
    assert rig.mark("demo-sre", again) == 200
    is_granted(rig, "key_missing", request=again)
