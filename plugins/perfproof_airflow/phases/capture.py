"""Recurring baseline capture: one data interval, measured per service from what was recorded, kept in the history.

A run of an interval says the same whenever it runs: it asks for the interval's own samples, never for the latest ones. Only
telemetry that has expired meanwhile makes a difference, and then the fuller capture stays.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from perfproof.announcements import one_line
from perfproof.errors import PerfproofError
from perfproof_airflow.settings import capture_pool

if TYPE_CHECKING:
    from perfproof_airflow.captures import Captures

log = logging.getLogger(__name__)
BASELINE_CAPTURED = Asset(name="perfproof_baseline", uri="x-perfproof://baseline-history")
RETRIES = 3
PROTOCOL_DAG = "performance_optimization"
SCHEDULED = "scheduled"
NOT_OVER = ["queued", "running"]


def _captures(protocol: str | None = None) -> Captures:
    """The captures of this run's protocol and data interval. Raises PerfproofError for a run that cannot capture anything."""
    from perfproof_airflow.captures import Captures
    from perfproof_airflow.cycle import now

    context = get_current_context()
    dag_run = context["dag_run"]
    name = context["params"].get("protocol") if protocol is None else protocol
    return Captures.of(name, start=dag_run.data_interval_start, end=dag_run.data_interval_end, now=now())


@task(retries=0)
def services_of_the_protocol() -> list[dict[str, str]]:
    """The services to capture, each with the digest of the protocol file that names it."""
    try:
        captures = _captures()
    except PerfproofError as error:
        raise AirflowFailException(str(error)) from None
    return [{"service": service.name, "protocol_sha256": captures.protocol.digest} for service in captures.protocol.services]


@task(retries=RETRIES, map_index_template="{{ service['service'] }}", pool=capture_pool())
def capture_service(service: dict[str, str]) -> dict[str, str]:
    """Measures every required metric of one service over the data interval; a gap is NODATA and is never filled."""
    from perfproof_airflow.hooks.http_answers import Unreachable

    try:
        return _captures().capture(service["service"], protocol_sha256=service["protocol_sha256"])
    except Unreachable:
        # Asking again later may help, so this one is for Airflow's retries.
        raise
    except PerfproofError as error:
        raise AirflowFailException(str(error)) from None


@task(retries=RETRIES, outlets=[BASELINE_CAPTURED])
def record_baseline(parts: Any, **context: Any) -> dict[str, Any]:
    """Joins the services to the interval's baseline, keeps the fuller of two captures, and says what regressed."""
    try:
        recorded = _captures().record(parts[:])
    except PerfproofError as error:
        raise AirflowFailException(str(error)) from None
    log.info("%s: %s, completeness %s %%", recorded["name"], recorded["decision"], recorded["baseline_completeness"])
    for line in recorded["regressed"]:
        log.warning("regressed against the history: %s", one_line(line))
    for drift in recorded["drifts"]:
        log.warning("opened for the next intake: %s %s: %s", drift["id"], drift["service"], one_line(drift["title"]))
    for name in recorded["missing_metrics"]:
        log.warning("no usable samples in the interval: %s", one_line(name))
    context["outlet_events"][BASELINE_CAPTURED].extra = recorded
    return recorded


@task(retries=RETRIES, multiple_outputs=True)
def ask_for_cycle(recorded: Any) -> dict[str, Any]:
    """The run id and parameters of the cycle that this capture's drifts ask for; skipped where none shall be triggered.

    Only a capture that the schedule started asks: whoever captures by hand, or fills in the past, can trigger a cycle as well, and
    Airflow would make that person the one who triggered it, whose approval then does not count.
    """
    context = get_current_context()
    if recorded["cycle"] is None:
        raise AirflowSkipException("no new drift, or the protocol file does not want a cycle for it (captures.trigger_cycle)")
    if not started_by_schedule(context["dag_run"]):
        raise AirflowSkipException("this capture was not started by the schedule: trigger the cycle by hand if it is wanted")
    earlier = recorded["earlier_cycles"]
    if earlier and context["ti"].get_dr_count(dag_id=PROTOCOL_DAG, run_ids=earlier, states=NOT_OVER):
        raise AirflowSkipException(f"a cycle for an earlier drift is not over: one of {', '.join(earlier)}; the item waits for an intake")
    wanted: dict[str, Any] = recorded["cycle"]
    return wanted


def started_by_schedule(dag_run: Any) -> bool:
    """Whether nobody but the schedule started the run."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type)) == SCHEDULED and not dag_run.triggering_user_name


@task_group(group_id="capture")
def capture() -> None:
    """The recurring capture, from the protocol file to the history, and to the cycle that a drift asks for."""
    wanted: Any = ask_for_cycle(record_baseline(capture_service.expand(service=services_of_the_protocol())))
    TriggerDagRunOperator(
        task_id="trigger_cycle",
        trigger_dag_id=PROTOCOL_DAG,
        trigger_run_id=wanted["run_id"],
        conf=wanted["conf"],
        # The run id says which interval asked; a date could collide with another run's.
        logical_date=None,
        skip_when_already_exists=True,
        retries=RETRIES,
    )
