"""The load generator: a process of its own, so that nothing of Airflow's shares its event loop and it can be killed alone.

`python -m perfproof_airflow.load_engine DIRECTORY/plan.json` writes rows.csv.gz and summary.json beside the plan.
`hooks/load.py` starts and supervises it; it does not run without a supervisor that renews its lease.
"""

from __future__ import annotations

from enum import IntEnum

PLAN = "plan.json"
LEASE = "lease"
PROGRESS = "progress.json"
ROWS = "rows.csv.gz"
SUMMARY = "summary.json"


class ExitCode(IntEnum):
    """What the generator's process ends with."""

    COMPLETED = 0
    REFUSED = 3
    ABORTED = 4
    STOPPED = 5
    HUNG = 6
