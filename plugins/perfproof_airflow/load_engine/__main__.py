"""`python -m perfproof_airflow.load_engine DIRECTORY/plan.json`: sends the plan's load and writes rows and summary."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

from perfproof.load.plan import LoadPlan
from perfproof_airflow.load_engine import ExitCode
from perfproof_airflow.load_engine.generator import Generator
from perfproof_airflow.load_engine.supervised import Engine, run_supervised


def main(plan_path: Path) -> ExitCode:
    """Runs the plan in `plan_path`; refused targets and plans end with REFUSED and a summary that says why."""
    return run_supervised(plan_path, _engine, on_ready=_settle)


def _engine(document: object, _: Path) -> Engine:
    plan = LoadPlan.from_document(document)
    _allow_connections(plan.max_in_flight)
    return Generator(plan)


def _settle() -> None:
    # What exists now lives to the end: collections during the test then have little to look at.
    gc.collect()
    gc.freeze()


def _allow_connections(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m perfproof_airflow.load_engine DIRECTORY/plan.json")
    sys.exit(main(Path(sys.argv[1])))
