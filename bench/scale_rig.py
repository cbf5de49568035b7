"""The Airflow of the scale benchmarks: that of the end-to-end tests, with room for a thousand waits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_rig import Rig

REPOSITORY = Path(__file__).parents[1]
DAGS = ("scale_wait", "scale_floor", "scale_floor_target", "scale_cycle", "performance_approvals")
READY_SECONDS = 1_800.0
OPTIONS = {
    # Each wait is a trigger; what is above the capacity is looked at by nobody.
    "triggerer.capacity": "2000",
    # What a wait is copied into is looked at by the scheduler as any other run.
    "scheduler.max_dagruns_per_loop_to_schedule": "20",
}


@contextmanager
def scale_rig(root: Path) -> Iterator[Rig]:
    """A running Airflow below `root` with the benchmark's DAGs, known to it when the block begins."""
    tests = str(REPOSITORY / "tests" / "e2e")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    from airflow_rig import eventually, running_rig

    files = [REPOSITORY / "dags" / "performance_approvals.py", REPOSITORY / "bench" / "scale_rig_dag.py"]
    with running_rig(root, dag_files=files, options=OPTIONS) as rig:
        api = rig.as_("requester")
        eventually(lambda: all(api.dag(name) for name in DAGS), seconds=READY_SECONDS, what="the DAGs are known", pause=1.0)
        yield rig
