"""Crashes around an approval in a real Airflow: of who turns an answer into a record, and of each component during the wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from airflow_rig import APPROVALS, REPOSITORY, SHORT_TIMES, Rig, eventually, running_rig

from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof_demo.airflow_home import COMPONENTS

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]

DAG = "rig"
CONF = {"roles": {"sre_lead": ["demo-sre"]}}
RECORD = "approval.granted"
UNAPPROVED = "killed-unapproved"
# Killed alone, and all at once as by a restart of the machine.
CRASHES: Mapping[str, tuple[str, ...]] = {**{name: (name,) for name in COMPONENTS}, "everything": tuple(COMPONENTS)}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Airflow with short times for the whole file; each run waits for its answer."""
    files = [REPOSITORY / "dags" / "performance_approvals.py", REPOSITORY / "tests" / "e2e" / "rig_dag.py"]
    with running_rig(tmp_path_factory.mktemp("airflow"), dag_files=files, options=SHORT_TIMES) as running:
        admin = running.as_("requester")
        eventually(lambda: admin.dag(DAG) and admin.dag(APPROVALS), seconds=60, what="both DAGs are known")
        (running.workspace / "holds").mkdir()
        runs = [UNAPPROVED, *(f"killed-{name}" for name in ("task", "supervisor", *CRASHES))]
        for run in runs:
            admin.trigger(DAG, run_id=run, conf=CONF)
        for run in runs:
            running.settled(DAG, run)
        yield running


def is_granted_once(rig: Rig, run: str, request: str) -> None:
    """Waits until the run went on, with one record of one request."""
    eventually(lambda: rig.state_of(DAG, run, "after") == "success", seconds=180, what=f"{run} goes on", pause=0.5)
    store = rig.store(DAG, run)
    (record,) = store.of_type("approval.granted")
    assert (record.body["request_id"], record.body["person"]["id"]) == (request, "demo-sre")
    assert len(store.of_type("approval.requested")) == len(store.of_type("announce")) == 1
    assert rig.codes(DAG, run) == []
    assert verify(rig.workspace / ".artifacts" / "performance" / store.run).outcome is not Outcome.TAMPERED


def stopped_at(hold: Path, *, but: int = 0) -> tuple[int, int]:
    """Process and parent of a task that stopped before the record, another one than `but`."""

    def found() -> list[Path]:
        return [path for path in hold.parent.glob(f"{hold.name}.*") if path.suffix != f".{but}" and path.read_text()]

    path: Path = eventually(found, seconds=120, what=f"a task stops before the record of {hold.name}")[0]
    return int(path.suffix[1:]), int(path.read_text())


@pytest.mark.parametrize("victim", ["task", "supervisor"])
def test_an_answer_is_recorded_once_although_its_worker_was_killed_before_the_record(rig: Rig, victim: str) -> None:
    """SIGKILL between the person's act and the log entry: no record then, and exactly one after the retry.

    A killed supervisor leaves its task running. Both tries then write at the same moment, and there is still one record.
    """
    run = f"killed-{victim}"
    request = rig.request_of(DAG, run)
    hold = rig.workspace / "holds" / run
    hold.write_text(RECORD)
    assert rig.mark("demo-sre", request, note="looks right") == 200
    task, supervisor = stopped_at(hold)
    start = time.monotonic()
    try:
        psutil.Process(task if victim == "task" else supervisor).kill()
        stopped_at(hold, but=task)
        assert rig.store(DAG, run).of_type("approval.granted") == []
        assert rig.state_of(DAG, run, "after") is None
        hold.unlink()
        is_granted_once(rig, run, request)
        print(f"{victim} killed before the record: {time.monotonic() - start:.1f} s until the run went on")
        eventually(lambda: not psutil.pid_exists(task) or ended(task), seconds=60, what="the killed try's process is gone")
    finally:
        hold.unlink(missing_ok=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(task).kill()
    tries = next(t["try_number"] for t in rig.as_("requester").tasks(DAG, run) if t["task_id"] == "await_plan")
    assert tries == 2


def ended(pid: int) -> bool:
    """Whether the process is a zombie or gone."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("name", CRASHES)
def test_an_answer_outlives_a_crash_and_what_nobody_approved_still_waits(rig: Rig, name: str) -> None:
    """Given while a component is dead, or when the api-server is there again: granted once. The other run waits as before."""
    run, killed = f"killed-{name}", CRASHES[name]
    request = rig.request_of(DAG, run)
    (asked,) = rig.store(DAG, UNAPPROVED).of_type("approval.requested")
    rig.crash(*killed)
    start = time.monotonic()
    if "api-server" not in killed:
        assert rig.mark("demo-sre", request) == 200
    for component in killed:
        rig.airflow.start(component)
    if "api-server" in killed:
        rig.airflow.wait_until_ready()
        assert rig.mark("demo-sre", request) == 200
    is_granted_once(rig, run, request)
    print(f"{name} killed: {time.monotonic() - start:.1f} s until the run went on")
    rig.airflow.wait_until_ready()
    waiting = rig.store(DAG, UNAPPROVED)
    assert waiting.of_type("approval.granted") == []
    assert [entry.sha256 for entry in waiting.of_type("approval.requested")] == [asked.sha256]
    assert rig.state_of(DAG, UNAPPROVED, "await_plan") == "deferred"
    assert [task["state"] for task in rig.approvals_of(asked.body["request_id"])] == ["awaiting_input"]


def test_at_the_end_what_waited_through_every_crash_is_approved(rig: Rig) -> None:
    """Its one request, asked before the first crash, takes the answer."""
    request = rig.request_of(DAG, UNAPPROVED)
    assert rig.mark("demo-sre", request) == 200
    is_granted_once(rig, UNAPPROVED, request)
