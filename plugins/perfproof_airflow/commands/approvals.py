"""`perfproof approvals`: the requests that wait for an answer, as the calling user sees them over REST.

Exit codes: 0 listed, also if nothing waits; 2 usage, no answer, or Airflow refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from perfproof.announcements import one_line
from perfproof.approvals import Asked, Request, read_request
from perfproof.approvals.rules import DAG_ID, TASK_ID
from perfproof.errors import PerfproofError
from perfproof.moments import stamp
from perfproof_airflow.commands.airflow_access import add_connection_arguments, airflow
from perfproof_airflow.rest import AirflowApi

AWAITING = "awaiting_input"
COLUMNS = ("request", "role", "step", "people", "since", "until")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One role of one request that waits; `people` are ids, `since` and `until` stamps."""

    request: str
    role: str
    step: str
    people: tuple[str, ...]
    since: str
    until: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the Airflow is, and who asks."""
    add_connection_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def run(options: argparse.Namespace) -> int:
    """Lists what waits, oldest first."""
    with airflow(options) as api:
        waiting = list(waiting_requests(api))
    if options.json:
        sys.stdout.write(json.dumps([asdict(one) for one in waiting], ensure_ascii=False, indent=2) + "\n")
    elif not waiting:
        sys.stdout.write("nothing waits for an answer\n")
    else:
        sys.stdout.write(table([[one.request, one.role, one.step, ", ".join(one.people), one.since, one.until] for one in waiting]))
    return 0


def waiting_requests(api: AirflowApi) -> Iterator[Waiting]:
    """Every role of every request whose task awaits input, oldest first."""
    requests: dict[str, Request | None] = {}
    tasks = [form["task_instance"] for form in api.required_actions(DAG_ID, state=AWAITING)]
    for task in (task for task in tasks if task["task_id"] == TASK_ID):
        run_id, map_index = str(task["dag_run_id"]), int(task["map_index"])
        if run_id not in requests:
            requests[run_id] = _request(api, run_id)
        request = requests[run_id]
        if request is not None and 0 <= map_index < len(request.asked):
            yield _waiting(request, request.asked[map_index])


def _request(api: AirflowApi, run_id: str) -> Request | None:
    try:
        return read_request(api.run(DAG_ID, run_id).get("conf"), where=run_id)
    except PerfproofError as error:
        # Somebody made the run by hand: nobody waits for it.
        sys.stderr.write(f"{error}\n")
        return None


def _waiting(request: Request, asked: Asked) -> Waiting:
    people = asked.respondents(start=request.requested_at, end=request.expires_at)
    return Waiting(
        request=request.request_id,
        role=asked.role,
        step=request.question.step,
        people=tuple(who.id for who in people),
        since=stamp(request.requested_at),
        until=stamp(request.expires_at),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows under the names of the columns, aligned; nothing in a cell can end its line or move the cursor."""
    lines = [list(COLUMNS), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)
