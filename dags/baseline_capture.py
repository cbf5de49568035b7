"""
### Recurring baseline capture

Measures every required metric of every service of a protocol file over the data interval of the run (one hour), from the
samples that were recorded in it, and keeps the result in the history: `.artifacts/performance/history/<protocol>/`.

* **Unpause it** to capture from now on. Set the parameter `protocol` when you trigger it by hand.
* **Past intervals**: `airflow backfill create --dag-id baseline_capture --from-date … --to-date …`, as far back as the
  telemetry reaches.
* A gap in the telemetry is NODATA in the baseline and is never filled. Running an interval again changes its file only if
  more of the interval is measured than before.
* Each run updates the asset `perfproof_baseline`; its extra names the file, its completeness, and what regressed against
  the last stable level of the earlier captures.
* A level that changed for the worse opens an item for the next cycle's intake; with `captures.trigger_cycle` in the protocol
  file a scheduled run also triggers a cycle, which waits until it is prioritized.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable, Param, dag

from perfproof_airflow.phases.capture import capture
from perfproof_airflow.settings import default_protocol


@dag(
    dag_id="baseline_capture",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    doc_md=__doc__,
    tags=["perfproof", "baseline"],
    params={
        "protocol": Param(
            default_protocol(),
            type="string",
            title="Protocol file",
            pattern="^[a-z][a-z0-9._-]{0,63}$",
            description="Name of a protocol file (without .yaml) in the protocols directory.",
        ),
    },
)
def baseline_capture() -> None:
    """One baseline per data interval."""
    capture()


baseline_capture()
