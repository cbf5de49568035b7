"""Fifty protocol runs at once in a real Airflow: each with evidence, question and decision of its own, and nothing mixed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from airflow_rig import APPROVALS, REPOSITORY, Rig, eventually, running_rig

from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.run_key import run_key

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]

DAG = "rig"
RUNS = 50
PEOPLE = ("demo-sre", "second-sre", "demo-owner")


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what it publishes, who may answer, and how that person answers."""

    number: int

    @property
    def run(self) -> str:
        """Its run id; some are prefixes of others."""
        return f"many-{self.number}"

    @property
    def content(self) -> str:
        """Its evidence."""
        return f"plan {self.number}"

    @property
    def person(self) -> str:
        """Who may answer."""
        return PEOPLE[self.number % len(PEOPLE)]

    @property
    def rejected(self) -> bool:
        """Every seventh is."""
        return self.number % 7 == 3

    @property
    def note(self) -> str:
        """What the person writes."""
        return f"decision about run {self.number}"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Airflow."""
    files = [REPOSITORY / "dags" / "performance_approvals.py", REPOSITORY / "tests" / "e2e" / "rig_dag.py"]
    with running_rig(tmp_path_factory.mktemp("airflow"), dag_files=files) as running:
        admin = running.as_("requester")
        eventually(lambda: admin.dag(DAG) and admin.dag(APPROVALS), seconds=60, what="both DAGs are known")
        yield running


def test_fifty_runs_at_once_do_not_mix(rig: Rig) -> None:
    """Every log holds its own evidence, request and decision and nothing else, and verifies."""
    plans = [Plan(number) for number in range(1, RUNS + 1)]
    admin = rig.as_("requester")
    start = time.monotonic()
    for plan in plans:
        admin.trigger(DAG, run_id=plan.run, conf={"content": plan.content, "roles": {"sre_lead": [plan.person]}})
    requests = {plan.run: rig.request_of(DAG, plan.run, seconds=300) for plan in plans}
    rig.settled(DAG, plans[-1].run)
    for person in PEOPLE:
        assert rig.as_(person).client
    waiting = time.monotonic() - start

    def answer(plan: Plan) -> int:
        return rig.mark(plan.person, requests[plan.run], state="failed" if plan.rejected else "success", note=plan.note)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(answer, plans)) == [200] * RUNS
    for plan in plans:
        assert admin.wait_for_run(DAG, plan.run, seconds=300)["state"] == ("failed" if plan.rejected else "success")
    print(f"{RUNS} runs: all waited after {waiting:.0f} s, all were over after {time.monotonic() - start:.0f} s")
    for plan in plans:
        check(rig, plan, requests[plan.run])


def check(rig: Rig, plan: Plan, request: str) -> None:
    """The log of one run."""
    store = rig.store(DAG, plan.run)
    key = run_key(DAG, plan.run)
    digest = hashlib.sha256(plan.content.encode()).hexdigest()
    entries = store.entries()
    assert {entry.run for entry in entries} == {key}
    assert store.read("evidence/plan.txt") == plan.content.encode()
    (asked,) = store.of_type("approval.requested")
    assert (asked.body["request_id"], asked.body["request"]["run_id"]) == (request, plan.run)
    (decided,) = store.of_type("approval.granted", "approval.rejected")
    assert str(decided.type) == ("approval.rejected" if plan.rejected else "approval.granted")
    assert decided.body["run"] == key
    assert (decided.body["person"]["id"], decided.body["comment"]) == (plan.person, plan.note)
    assert decided.body["evidence"] == [{"name": "evidence/plan.txt", "sha256": digest}]
    assert decided.body["request_sha256"] == asked.body["request_sha256"]
    published = [entry.body["name"] for entry in store.of_type("artifact.published")]
    assert published == ["evidence/plan.txt", f"approvals/{request}.sre_lead.json"]
    assert len(store.of_type("announce")) == (0 if plan.rejected else 1)
    assert len(entries) == (5 if plan.rejected else 6)
    found = verify(rig.workspace / ".artifacts" / "performance" / key)
    assert found.outcome is not Outcome.TAMPERED, found.findings
