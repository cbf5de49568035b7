"""One command's work: the demo target, an Airflow, one protocol run with its approvals, and the account of how it went."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from perfproof.artifacts import BASELINE_JSON
from perfproof.config import load_protocol
from perfproof.evidence import EntryType
from perfproof.run_key import run_key
from perfproof.strict import read_json
from perfproof_airflow.commands.run import DAG, Ending
from perfproof_airflow.rest import AirflowApi
from perfproof_demo.airflow_home import AirflowHome
from perfproof_demo.airflow_processes import airflow_home, airflow_processes, signing_connection, start_airflow, trust_root
from perfproof_demo.approvers import Approvers, Waiting
from perfproof_demo.database import start_database
from perfproof_demo.deployment import current, ensure_running, parse_optimizations, rollback
from perfproof_demo.errors import DemoError
from perfproof_demo.inputs import write_inputs
from perfproof_demo.monitoring import check_metrics, start_metrics
from perfproof_demo.processes import running_pid
from perfproof_demo.progress import Progress, open_store, phase_seconds, tell
from perfproof_demo.settings import DEFAULT_PORT_BASE, OPTIMIZATION_IDS, DemoSettings, Side
from perfproof_demo.traffic import renew_lease, start_traffic, undisturbed_since

EVIDENCE = Path(".artifacts") / "performance"
POLL_SECONDS = 1.0
LEASE_SECONDS = 3.0
# The approvals before the baseline take longer than this, so nothing is waited for twice.
HISTORY_MARGIN_SECONDS = -5.0
RESUME_MARGIN_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What this demo run shows."""

    optimization: str
    approve: str

    @property
    def deployed(self) -> tuple[str, ...]:
        """What the engineer deploys."""
        return tuple(parse_optimizations(self.optimization.split("+")))

    @property
    def considered(self) -> list[str]:
        """The ids that the plan considers. A change that changes nothing is planned as the default is."""
        names = self.deployed or ("index", "batch")
        return [id_ for id_, optimization in OPTIMIZATION_IDS.items() if optimization in names]


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo in `workspace`, with its home in `.demo` and its evidence in `.artifacts`; DAGs come from `repository`."""

    settings: DemoSettings
    workspace: Path
    repository: Path
    home: AirflowHome

    @classmethod
    def of(cls, settings: DemoSettings, *, workspace: Path, repository: Path) -> Demo:
        """The demo of a checkout; tests keep the workspace apart from it."""
        protocols = settings.home / "protocols"
        home = airflow_home(settings, workspace=workspace, dags_folder=repository / "dags", protocols=protocols)
        signed = replace(home, connections={**home.connections, **signing_connection(settings)})
        return cls(settings, workspace, repository, signed)

    @property
    def state_file(self) -> Path:
        """Which run is under way; it outlives a crash."""
        return self.settings.home / "cycle.json"

    def start(self) -> None:
        """Starts what is missing: Airflow beside the target, since both take their time."""
        failure: list[BaseException] = []

        def airflow() -> None:
            try:
                start_airflow(self.settings, self.home)
            except BaseException as error:
                failure.append(error)

        check_metrics(self.settings, airflow_runs=any(state.alive for state in airflow_processes(self.settings)))
        start_database(self.settings)
        self._write_protocol()
        thread = threading.Thread(target=airflow, daemon=True)
        resumed = self._waits_for_baseline()
        if not resumed:
            thread.start()
        for side in Side:
            ensure_running(self.settings, side)
        source = start_metrics(self.settings)
        tell(f"telemetry: {source.words}, {source.url}")
        if running_pid(self.settings, "traffic") is None:
            # Before the users come: the report's own probes would make them step aside for a load test.
            write_inputs(self.settings, now=datetime.now(UTC))
        start_traffic(self.settings)
        if resumed:
            # The scheduler would go on at once, and measure the gap that the crash has left in the telemetry.
            self._wait_for_history(margin=RESUME_MARGIN_SECONDS)
            thread.start()
        while thread.is_alive():
            renew_lease(self.settings)
            thread.join(LEASE_SECONDS)
        if failure:
            raise failure[0]

    def _write_protocol(self) -> None:
        """The protocol file as shipped, with this demo's ports if they were moved."""
        text = (self.repository / "include" / "protocols" / "demo.yaml").read_text()
        for side in Side:
            shipped = DEFAULT_PORT_BASE + (1 if side is Side.BASELINE else 2)
            text = text.replace(f"port: {shipped}", f"port: {self.settings.port(f'shop-{side}')}")
        target = self.settings.home / "protocols" / "demo.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def begin(self, choice: Choice) -> dict[str, Any]:
        """Triggers a new cycle as the performance engineer, or finds the one that a crash interrupted."""
        with contextlib.closing(self.api("demo-performance")) as api:
            return self._interrupted(api) or self._trigger(api, choice)

    def _trigger(self, api: AirflowApi, choice: Choice) -> dict[str, Any]:
        baseline = current(self.settings, Side.BASELINE)
        candidate = current(self.settings, Side.CANDIDATE)
        if baseline and candidate and candidate.build != baseline.build:
            rollback(self.settings)
        self._wait_for_history(margin=HISTORY_MARGIN_SECONDS)
        run_id = f"demo__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        state = {"run_id": run_id, "optimization": choice.optimization, "approve": choice.approve, "ended": False}
        self._save(state)
        _wait_for_dag(api)
        api.trigger(DAG, run_id=run_id, conf={"optimizations": choice.considered})
        return state

    def _wait_for_history(self, *, margin: float) -> None:
        """A baseline needs recorded traffic: waits until the demo's users have been there for its whole window.

        They step aside for a load test, so right after a cycle its own silence would be captured as the service's throughput.
        """
        protocol = load_protocol((self.settings.home / "protocols" / "demo.yaml").read_bytes(), where="demo.yaml")
        ready = undisturbed_since(self.settings) + protocol.baseline.window_seconds + margin
        if ready > time.time():
            tell(f"letting the shop's users go on for {ready - time.time():.0f} s, so that there is a baseline to capture")
        while time.time() < ready:
            renew_lease(self.settings)
            time.sleep(min(LEASE_SECONDS, max(0.1, ready - time.time())))

    def _waits_for_baseline(self) -> bool:
        """Whether a crash interrupted a cycle before its baseline was captured."""
        try:
            state: dict[str, Any] = read_json(self.state_file.read_bytes(), where=str(self.state_file))
        except FileNotFoundError:
            return False
        store = open_store(self.workspace / EVIDENCE, run_key(DAG, state["run_id"]))
        return not state["ended"] and store.live(BASELINE_JSON) is None

    def _interrupted(self, api: AirflowApi) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = read_json(self.state_file.read_bytes(), where=str(self.state_file))
        except FileNotFoundError:
            return None
        if state["ended"]:
            return None
        try:
            run = api.run(DAG, state["run_id"])
        except httpx.HTTPStatusError:
            return None
        tell(f"going on with the interrupted run {state['run_id']} ({state['optimization']}), which is {run['state']}")
        if run["state"] == "failed":
            api.clear(DAG, state["run_id"], [], only_failed=True)
        return state

    def _save(self, state: dict[str, Any]) -> None:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        new = self.state_file.with_suffix(".new")
        new.write_text(json.dumps(state) + "\n")
        new.replace(self.state_file)

    def api(self, user: str) -> AirflowApi:
        """The API as one of the demo's people."""
        return AirflowApi(self.home.url, user, self.home.password(user))

    def follow(self, state: dict[str, Any], *, print_line: Callable[[str], None] = tell, answers: type[Approvers] = Approvers) -> Ending:
        """Shows the run until it is over, lets the approvers act, and writes down that it ended."""
        run_id, manual = state["run_id"], state["approve"] == "manual"
        key = run_key(DAG, run_id)
        deployed = Choice(state["optimization"], state["approve"]).deployed
        with contextlib.ExitStack() as open_:
            reader = open_.enter_context(contextlib.closing(self.api("demo-performance")))
            approvers = open_.enter_context(contextlib.closing(answers(self.settings, self.home, reader, deployed, print_line)))
            progress = Progress(open_store(self.workspace / EVIDENCE, key), print_line)
            shown: set[tuple[str, int]] = set()
            while True:
                renew_lease(self.settings)
                run = reader.run(DAG, run_id)
                progress.show_tasks(reader.tasks(DAG, run_id))
                progress.show_log()
                if run["state"] in ("success", "failed"):
                    break
                waiting = approvers.waiting(key)
                if manual:
                    self._invite(waiting, shown, deployed)
                else:
                    approvers.act(waiting)
                time.sleep(POLL_SECONDS)
            self._save({**state, "ended": True})
            return self._account(reader, run_id, key)

    def _invite(self, waiting: list[Waiting], shown: set[tuple[str, int]], deployed: tuple[str, ...]) -> None:
        for question in waiting:
            if (question.run_id, question.map_index) in shown:
                continue
            shown.add((question.run_id, question.map_index))
            tell(f"waits for {' or '.join(question.people)}: {question.step}")
            tell(f"  open {self.home.url}/dags/performance_approvals/runs/{question.run_id} and mark the task success")
            if question.step == "implementation":
                tell(f"  first deploy: .venv/bin/perfproof-demo deploy --optimization {'+'.join(deployed) or 'none'}")
            if question.step == "rollback":
                tell("  first roll back: .venv/bin/perfproof-demo rollback")

    def people(self) -> None:
        """Prints the address of the UI and who can log in."""
        tell(f"Airflow: {self.home.url}")
        for user in self.home.users:
            tell(f"  {user.name:<16} {self.home.password(user.name)}   ({user.role})")

    def _account(self, reader: AirflowApi, run_id: str, key: str) -> Ending:
        store = open_store(self.workspace / EVIDENCE, key)
        tasks = reader.tasks(DAG, run_id)
        directory = EVIDENCE / key
        tell("")
        tell("time of each phase:")
        for group, seconds in phase_seconds(tasks):
            tell(f"  {group:<22} {seconds:6.0f} s")
        outcomes = _gate_outcomes(store)
        tell("gates:")
        for entry in store.of_type(EntryType.GATE_EVALUATED):
            tell(f"  gate {entry.body['gate']}  {entry.body['name']:<28} {entry.body['outcome']}")
        live = store.live_all()
        if "optimization-validation-report.json" in live:
            report = read_json(store.read("optimization-validation-report.json"), where="optimization-validation-report.json")
            before, after, gain = report["baseline"], report["optimized"], report["improvement"]["percentage"]
            tell(f"{report['target_metric']}: {before['value']:g} -> {after['value']:g} {before['unit']}")
            tell(f"improvement {gain} % ({report['verdict']['label']}), regressions {report['regression_count']}")
        if "PERFORMANCE-REPORT.md" in live:
            tell(f"report: {directory / 'PERFORMANCE-REPORT.md'} and .html")
        tell(f"evidence: {directory}")
        trust = trust_root(self.settings).relative_to(self.workspace)
        tell(f"check it: .venv/bin/perfproof verify {directory} --trust {trust}")
        closed = bool(store.of_type(EntryType.RUN_CLOSED))
        succeeded = reader.run(DAG, run_id)["state"] == "success"
        if succeeded and closed:
            ending = Ending.WAIVED if "WAIVED" in outcomes else Ending.PASSED
        else:
            decisions = [entry.body["decision"] for entry in store.of_type(EntryType.DECISION_RECORDED)]
            ending = Ending.HALTED if decisions[-1:] == ["halt"] else Ending.FAILED
        tell(f"the cycle {ending.name.lower()}")
        return ending


def _gate_outcomes(store: Any) -> set[str]:
    outcomes = {entry.body["outcome"] for entry in store.of_type(EntryType.GATE_EVALUATED)}
    return outcomes | {"WAIVED" for _ in store.of_type(EntryType.WAIVER_GRANTED)}


def _wait_for_dag(api: AirflowApi, *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if api.dag(DAG) is not None and api.dag("performance_approvals") is not None:
            return
        errors = api.import_errors()
        if errors:
            raise DemoError(161, where="dags", what="a DAG file cannot be imported", got=errors[0]["stack_trace"][-300:], fix="correct it")
        time.sleep(0.5)
    raise DemoError(162, where="dags", what=f"Airflow did not read the DAG files in {seconds:g} s", fix="read .demo/airflow/logs")
