"""The kill matrix in small, for every change: task, supervisor, scheduler and triggerer die in one Airflow, and a checker looks afterwards.

`make chaos` kills every part in every phase of real cycles; see docs/chaos.md.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from airflow_rig import APPROVALS, REPOSITORY, SHORT_TIMES, Rig, eventually, running_rig

sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))

from invariants import Scene, as_done, findings
from witness import Mark, Witness, references_in

from perfproof.run_key import run_key

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WORK, WAIT = "kill_smoke", "rig"
TIMES = {
    **SHORT_TIMES,
    "scheduler.task_instance_heartbeat_timeout": "10",
    "scheduler.orphaned_tasks_check_interval": "3",
    "scheduler.scheduler_health_check_threshold": "6",
    "triggerer.triggerer_health_check_threshold": "6",
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Airflow with short times."""
    files = [REPOSITORY / "dags" / "performance_approvals.py", *(REPOSITORY / "tests" / "e2e" / f"{n}_dag.py" for n in (WORK, WAIT))]
    options = {**TIMES, "perfproof.protocols_dir": str(REPOSITORY / "include" / "protocols")}
    with running_rig(tmp_path_factory.mktemp("airflow"), dag_files=files, options=options) as running:
        admin = running.as_("requester")
        eventually(lambda: all(admin.dag(name) for name in (WORK, WAIT, APPROVALS)), seconds=120, what="the DAGs are known")
        (running.workspace / "holds").mkdir()
        yield running


def process_of(hold: Path) -> tuple[int, int]:
    """Process and parent of the task that stopped at `hold`."""

    def found() -> list[Path]:
        return [path for path in hold.parent.glob(f"{hold.name}.*") if path.read_text()]

    path = eventually(found, seconds=120, what=f"a task stops at {hold.name}")[0]
    return int(path.suffix[1:]), int(path.read_text())


def scene(rig: Rig, dag: str, run: str, witness: Witness) -> Scene:
    """What the checker asks of a run."""
    admin = rig.as_("requester")
    tasks = admin.tasks(dag, run)
    done = [(t["task_id"], t["map_index"]) for t in tasks if t["state"] == "success"]
    references = {key: references_in(admin.xcom(dag, run, key[0], map_index=key[1])) for key in done}
    secrets = [rig.airflow.home.password(user.name) for user in rig.airflow.home.users]
    directory = rig.workspace / ".artifacts" / "performance" / run_key(dag, run)
    return Scene(directory, witness, done=as_done(tasks, references), secrets=secrets)


def test_nothing_is_lost_when_task_supervisor_scheduler_and_triggerer_die(rig: Rig) -> None:
    """Each run converges by itself; what was acknowledged is there, once; the approval counts, and what came before the kill stays."""
    admin, holds = rig.as_("requester"), rig.workspace / "holds"
    runs = {"task-dies": WORK, "supervisor-dies": WORK, "waits": WAIT}
    for run in ("task-dies", "supervisor-dies"):
        (holds / run).touch()
        admin.trigger(WORK, run_id=run)
    admin.trigger(WAIT, run_id="waits", conf={"roles": {"sre_lead": ["demo-sre"]}})
    request = rig.settled(WAIT, "waits")
    victims = {run: process_of(holds / run) for run in ("task-dies", "supervisor-dies")}
    witnesses = {run: Witness() for run in runs}
    for run, dag in runs.items():
        witnesses[run].observe(rig.store(dag, run).entries())
    for run in victims:
        (holds / run).unlink()
        (holds / f"{run}.{victims[run][0]}").unlink()
    psutil.Process(victims["task-dies"][0]).kill()
    psutil.Process(victims["supervisor-dies"][1]).kill()
    # Its task lives on without it, and may write once more than it is allowed to.
    rig.crash("scheduler", "triggerer")
    status = rig.mark("demo-sre", request, note="agreed")
    witnesses["waits"].marks.append(Mark(request, "sre_lead", "demo-sre", status))
    for component in ("scheduler", "triggerer"):
        rig.airflow.start(component)
    for run, dag in runs.items():
        assert admin.wait_for_run(dag, run, seconds=300)["state"] == "success", run
        assert findings(scene(rig, dag, run, witnesses[run]), ended=True) == []
    published = [entry.body["name"] for entry in rig.store(WORK, "supervisor-dies").of_type("artifact.published")]
    assert published == ["evidence/protocol.yaml", "evidence/first.txt", "evidence/second.txt"]
    assert len(rig.store(WAIT, "waits").of_type("approval.granted")) == 1
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(victims["supervisor-dies"][0]).kill()
