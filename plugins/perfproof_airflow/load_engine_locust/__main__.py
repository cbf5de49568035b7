"""`python -m perfproof_airflow.load_engine_locust DIRECTORY/plan.json`: runs the plan's journeys and writes rows and summary."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from perfproof.load.journeys import JourneyPlan
from perfproof_airflow.load_engine import ExitCode
from perfproof_airflow.load_engine.supervised import Engine, run_supervised
from perfproof_airflow.load_engine_locust import LOCUST_PYTHON
from perfproof_airflow.load_engine_locust.conductor import Conductor, locustfile_of
from perfproof_airflow.load_engine_locust.journeys_file import require_digest


def _engine(document: object, directory: Path) -> Engine:
    plan = JourneyPlan.from_document(document)
    require_digest(plan, locustfile_of(directory))
    return Conductor(plan, directory, python=os.environ.get(LOCUST_PYTHON) or sys.executable)


def main(plan_path: Path) -> ExitCode:
    """Runs the plan in `plan_path`; refused targets, plans and files end with REFUSED and a summary that says why."""
    return run_supervised(plan_path, _engine)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m perfproof_airflow.load_engine_locust DIRECTORY/plan.json")
    sys.exit(main(Path(sys.argv[1])))
