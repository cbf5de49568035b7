"""What a cycle costs beside a Dag of the same shape whose tasks do nothing: in one Airflow, in turns, by the clock of Airflow itself.

Telemetry comes from a server of recorded answers. Load, profiler and fault answer at once with recordings, and every approval is answered
at once by a signed act (`overhead_recorded`): so nothing is waited for, and nothing has to be subtracted. Everything else runs: the
scheduler, a process for each task, evidence with its fsyncs, the judge, Great Expectations.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from overhead_parse import OURS, REPOSITORY
from overhead_service import HOST, recorded_service
from overhead_shape import empty_twin, our_dag
from overhead_table import Line
from paired import Ratio, ratio_of

OWN, EMPTY = "performance_optimization", "empty_shape"
REQUESTER = "guide-trigger"
GOAL_CYCLE, GOAL_GATE = 1.3, 1.2
GATES = ("intake_and_baseline.gate_1", "diagnostics.gate_2", "optimization.gate_3", "governance.gate_4")
SECONDS = 1800.0
LOCAL_SETTINGS = """\
import sys

if "scheduler" in sys.argv:
    sys.path.insert(0, {bench!r})
    import overhead_recorded
    import perfproof_airflow.preload

    overhead_recorded.install(candidate_port={candidate})
"""
# `perfproof init`, as docs/getting-started.md calls it.
INIT = (
    "mine", "--path", "GET /orders/{id:1-900}", "--metric-query",
    'orders_latency_p95=1000 * histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket{instance="$instance"}[$window])))',
    "--owner", "guide-engineer:an engineer", "--role", "product_owner=guide-product:a product owner",
    "--role", "sre_lead=guide-sre:an SRE lead", "--role", "security=guide-security:a security officer",
    "--scrape-seconds", "1", "--fault-proxy", "15433", "--change", "Look orders up by customer",
)  # fmt: skip


@dataclass
class Pair:
    """A run of ours and one of the empty shape, which followed each other."""

    seconds: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, dict[str, float]] = field(default_factory=dict)


def lines(*, pairs: int) -> list[Line]:
    """The ratios of a gate's task, of all tasks, and of the whole cycle."""
    found = list(_measured(pairs))
    whole = ratio_of([p.seconds[OWN] for p in found], [p.seconds[EMPTY] for p in found])
    gates = ratio_of([p.tasks[OWN][gate] for p in found for gate in GATES], [p.tasks[EMPTY][gate] for p in found for gate in GATES])
    work = ratio_of([sum(p.tasks[OWN].values()) for p in found], [sum(p.tasks[EMPTY].values()) for p in found])
    slow = _slowest(found)
    sys.stderr.write("".join(f"  {name}: {ratio.median:.2f}\n" for name, ratio in slow))
    return [
        Line("a gate's task, from its start to its end, over the task at the same place that does nothing", gates, GOAL_GATE),
        Line("a whole cycle on recorded telemetry with instant answers, over a Dag of the same shape with empty tasks", whole, GOAL_CYCLE),
        Line("the same, only the seconds in which tasks ran", work),
    ]


def _slowest(found: Sequence[Pair]) -> list[tuple[str, Ratio]]:
    names = [name for name in found[0].tasks[OWN] if name in found[0].tasks[EMPTY]]
    each = [(name, ratio_of([p.tasks[OWN][name] for p in found], [p.tasks[EMPTY][name] for p in found])) for name in names]
    return sorted(each, key=lambda one: -one[1].median)


def _measured(pairs: int) -> Iterator[Pair]:
    with recorded_service() as ports, running_airflow(ports) as api:
        # Not counted: what is imported, compiled and cached the first time.
        for dag_id in (OWN, EMPTY):
            run_of(api, dag_id, f"first-{dag_id}")
        for number in range(pairs):
            pair = Pair()
            for dag_id in (OWN, EMPTY) if number % 2 == 0 else (EMPTY, OWN):
                pair.seconds[dag_id], pair.tasks[dag_id] = run_of(api, dag_id, f"pair-{number}-{dag_id}")
            sys.stderr.write(f"pair {number}: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in pair.seconds.items()) + "\n")
            yield pair


def run_of(api: Any, dag_id: str, run_id: str) -> tuple[float, dict[str, float]]:
    """Seconds from the run's start to its end, and of each of its tasks; mapped ones together."""
    conf = {"protocol": "mine", "optimizations": ["OPT-001"]} if dag_id == OWN else {}
    api.trigger(dag_id, run_id=run_id, conf=conf)
    run = api.wait_for_run(dag_id, run_id, seconds=SECONDS)
    tasks = api.tasks(dag_id, run_id)
    if run["state"] != "success":
        failed = [task for task in tasks if task["state"] == "failed"]
        log = (
            api.log(dag_id, run_id, failed[0]["task_id"], try_number=failed[0]["try_number"], map_index=failed[0]["map_index"])
            if failed
            else ""
        )
        raise SystemExit(f"{run_id} {run['state']}: {[task['task_id'] for task in failed]}\n{log[-6000:]}")
    found: dict[str, float] = {}
    for task in tasks:
        if task["start_date"] and task["end_date"]:
            found[task["task_id"]] = found.get(task["task_id"], 0.0) + between(task)
    return between(run), found


def between(record: Mapping[str, Any]) -> float:
    """Seconds from start to end."""
    start, end = (datetime.fromisoformat(record[name]) for name in ("start_date", "end_date"))
    return (end - start).total_seconds()


@contextmanager
def running_airflow(ports: Mapping[str, int]) -> Iterator[Any]:
    """The REST API of an Airflow with both Dags, whose scheduler has imported ours and answers with recordings."""
    from perfproof_airflow.rest import AirflowApi
    from perfproof_demo.airflow_home import AirflowHome, RunningAirflow, User, free_port

    with tempfile.TemporaryDirectory(prefix="perfproof-bench-") as name:
        root = Path(name)
        workspace, dags = root / "workspace", root / "dags"
        for directory in (workspace / "run", dags):
            directory.mkdir(parents=True)
        sides = [argument for side in ("baseline", "candidate") for argument in (f"--{side}", f"{HOST}:{ports[side]}")]
        command = [str(Path(sys.executable).with_name("perfproof")), "init", *INIT, *sides, "--workspace", str(workspace)]
        subprocess.run(command, cwd=workspace, check=True, stdout=subprocess.DEVNULL)
        os.environ |= {"AIRFLOW_HOME": str(root / "parse"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        mapped = {
            "prerequisites.await_prerequisite_approvals": 3,
            "intake_and_baseline.collect_telemetry": 5,
            "diagnostics.run_load_tests": 3,
        }
        (dags / f"{EMPTY}.py").write_text(empty_twin(our_dag(OURS), dag_id=EMPTY, mapped=mapped))
        for file in (REPOSITORY / "dags").glob("performance_*.py"):
            shutil.copy(file, dags)
        home = AirflowHome(
            root=root / "airflow", dags_folder=dags, users=(User(REQUESTER, "admin"),), port=free_port(),
            options={"perfproof.workspace": str(workspace), "dag_processor.min_file_process_interval": "3600"},
            connections={"perfproof_prometheus": {"conn_type": "http", "schema": "http", "host": HOST, "port": ports["metrics"]}},
        )  # fmt: skip
        home.prepare()
        settings = LOCAL_SETTINGS.format(bench=str(Path(__file__).parent), candidate=ports["candidate"])
        (home.root / "config" / "airflow_local_settings.py").write_text(settings)
        with RunningAirflow(home), closing(AirflowApi(home.url, REQUESTER, home.password(REQUESTER))) as api:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline and (api.dag(OWN) is None or api.dag(EMPTY) is None):
                time.sleep(1)
            yield api
