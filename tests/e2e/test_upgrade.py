"""An upgrade while runs wait for approval: component by component, in every mixture on the way, and a whole cycle of the protocol."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow_rig import APPROVALS, REPOSITORY, SHORT_TIMES, Rig, eventually, running_rig
from cycle_stage import running_stage
from two_versions import NEWER, OLDER, Version, newer, older

from perfproof.evidence import EvidenceStore, LocalBackend
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof_demo.airflow_home import AirflowHome
from perfproof_demo.airflow_processes import start_airflow, stop_airflow
from perfproof_demo.approvers import Approvers, Waiting
from perfproof_demo.cycle import DAG, Ending

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(3000)]

CONF = {"roles": {"sre_lead": ["demo-sre"]}}
PROBE = "version_of_tasks"
# The scheduler holds the workers here: in the one order tasks are the last that are new, in the other the first.
COMPONENTS = ("api-server", "dag-processor", "triggerer", "scheduler")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Version, Version]:
    """The older and the newer version, built once."""
    directory = tmp_path_factory.mktemp("versions")
    return older(directory), newer(directory)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Version], None]:
    """Lets what is started of Airflow from now on import a version; the demo's own processes stay as they are."""
    chosen: list[Version] = []
    own = AirflowHome.environment
    monkeypatch.setattr(AirflowHome, "environment", lambda home: {**own(home), "PYTHONPATH": str(chosen[-1].code)})
    return chosen.append


@pytest.fixture
def rig(tmp_path: Path, versions: tuple[Version, Version], switch: Callable[[Version], None]) -> Iterator[Rig]:
    """An Airflow that imports the older version, with one run for each step of the upgrade; each waits for an answer."""
    before, _ = versions
    switch(before)
    tests = REPOSITORY / "tests" / "e2e"
    files = [before.dags / "performance_approvals.py", tests / "rig_dag.py", tests / "version_dag.py"]
    with running_rig(tmp_path / "airflow", dag_files=files, options=SHORT_TIMES) as running:
        admin = running.as_("requester")
        for name in ("rig", APPROVALS, PROBE):
            eventually(lambda name=name: admin.dag(name), seconds=180, what=f"{name} is known")
        for component in COMPONENTS:
            admin.trigger("rig", run_id=f"upgraded-{component}", conf=CONF)
        for component in COMPONENTS:
            running.settled("rig", f"upgraded-{component}")
        yield running


def imported(rig: Rig, run: str) -> tuple[str, str]:
    """Version and file of perfproof in a task's process."""
    admin = rig.as_("requester")
    admin.trigger(PROBE, run_id=run, conf={})
    eventually(lambda: rig.state_of(PROBE, run, "imported") == "success", seconds=180, what=f"{run} tells its version", pause=0.5)
    answer = admin.client.get(f"/api/v2/dags/{PROBE}/dagRuns/{run}/taskInstances/imported/xcomEntries/return_value")
    answer.raise_for_status()
    number, _, file = str(answer.json()["value"]).partition(" ")
    return number, file.strip('"')


def pages_version(rig: Rig) -> str:
    """The version that the api-server's pages name."""
    found = re.search(r"perfproof (\d+\.\d+\.\d+)", rig.as_("requester").client.get("/perfproof/").text)
    return found[1] if found else ""


@pytest.mark.parametrize("order", [COMPONENTS, COMPONENTS[::-1]], ids=["api-server first", "workers first"])
def test_runs_that_wait_go_on_through_a_rolling_upgrade(
    rig: Rig, versions: tuple[Version, Version], switch: Callable[[Version], None], order: tuple[str, ...]
) -> None:
    """After each component that is replaced, one waiting run is approved, goes on and is granted once; no plugin acts twice."""
    before, after = versions
    assert imported(rig, "before") == (OLDER, str(before.code / "perfproof" / "__init__.py"))
    assert pages_version(rig) == OLDER
    switch(after)
    for number, component in enumerate(order):
        rig.crash(component)
        if component == "dag-processor":
            shutil.copy(after.dags / "performance_approvals.py", rig.airflow.home.dags_folder)
        rig.airflow.start(component)
        rig.airflow.wait_until_ready(seconds=600)
        run = f"upgraded-{component}"
        request = rig.request_of("rig", run)
        assert rig.mark("demo-sre", request) == 200
        eventually(lambda run=run: rig.state_of("rig", run, "after") == "success", seconds=240, what=f"{run} goes on", pause=0.5)
        store = rig.store("rig", run)
        (record,) = store.of_type("approval.granted")
        assert (record.body["request_id"], record.body["person"]["id"]) == (request, "demo-sre")
        assert len(store.of_type("approval.requested")) == len(store.of_type("announce")) == 1
        assert rig.codes("rig", run) == []
        assert verify(rig.workspace / ".artifacts" / "performance" / store.run).outcome is not Outcome.TAMPERED
        for waiting in order[number + 1 :]:
            assert rig.state_of("rig", f"upgraded-{waiting}", "await_plan") == "deferred"
    assert imported(rig, "after") == (NEWER, str(after.code / "perfproof" / "__init__.py"))
    assert pages_version(rig) == NEWER


class UpgradingApprovers(Approvers):
    """Answers as the demo's people do; at the first question about `step`, all of Airflow is stopped, replaced and started."""

    step = "slo_updates"
    replace: Callable[[], None]
    upgraded: list[str]

    def act(self, waiting: list[Waiting]) -> None:
        if not self.upgraded and any(question.step == self.step for question in waiting):
            self.upgraded.append(self.step)
            stop_airflow(self.settings)
            type(self).replace()
            start_airflow(self.settings, self.home)
            self.close()
            return
        super().act(waiting)


def test_a_cycle_that_waits_is_finished_by_the_next_version(
    tmp_path: Path, versions: tuple[Version, Version], switch: Callable[[Version], None]
) -> None:
    """Begun by one version, approved and finished under the next; its evidence verifies, and says which version began it."""
    before, after = versions
    switch(before)
    dags = tmp_path / "dags"
    shutil.copytree(before.dags, dags)

    def upgrade() -> None:
        for file in after.dags.glob("*.py"):
            shutil.copy(file, dags)
        switch(after)

    class Answers(UpgradingApprovers):
        replace = staticmethod(upgrade)
        upgraded: ClassVar[list[str]] = []

    with running_stage(tmp_path, options={"core.dags_folder": str(dags)}) as stage:
        ending, evidence = stage.run(Answers)
        assert Answers.upgraded == ["slo_updates"]
        assert ending is Ending.PASSED
        assert verify(evidence).outcome is Outcome.VERIFIED
        assert genesis(evidence)["perfproof"] == OLDER
        with contextlib.closing(stage.demo.api("demo-performance")) as api:
            assert api.run(DAG, stage.run_id)["state"] == "success"


def genesis(evidence: Path) -> dict[str, Any]:
    """What the log of a cycle hangs on."""
    store = EvidenceStore(LocalBackend(evidence.parent), evidence.name)
    document: dict[str, Any] = json.loads(store.get_object(store.entries()[0].prev))
    return document
