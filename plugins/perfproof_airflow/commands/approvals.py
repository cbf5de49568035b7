"""`perfproof approvals`: the requests that wait for an answer, as the calling user sees them over REST.

Exit codes: 0 listed, also if nothing waits; 2 usage, no answer, or Airflow refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from perfproof.announcements import one_line
from perfproof.approvals import Asked, Request, read_request
from perfproof.approvals.rules import DAG_ID, TASK_ID
from perfproof.errors import ParameterError, PerfproofError
from perfproof.moments import stamp
from perfproof_airflow.rest import AirflowApi

# Airflow's own upper limit of a page; asking for more gives no more.
PAGE = 100
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


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `perfproof run` has too."""
    parser.add_argument("--url", default=os.environ.get("AIRFLOW_URL", "http://127.0.0.1:8080"), help="base URL (default: AIRFLOW_URL)")
    parser.add_argument("--user", default=os.environ.get("AIRFLOW_USER", ""), help="user name (default: AIRFLOW_USER)")


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


@contextmanager
def airflow(options: argparse.Namespace) -> Iterator[AirflowApi]:
    """The API as the calling user. What goes wrong with it is a ParameterError of one line, without the password."""
    password = os.environ.get("AIRFLOW_PASSWORD", "")
    if not options.user or not password:
        raise ParameterError(221, where="perfproof", what="no user or password", fix="set AIRFLOW_USER and AIRFLOW_PASSWORD")
    api = AirflowApi(options.url, options.user, password)
    try:
        yield api
    except httpx.HTTPStatusError as error:
        raise refused(options.url, error.response) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ParameterError(223, where=options.url, what="Airflow does not answer", got=str(error), fix="check --url") from None
    except (ValueError, KeyError, TypeError) as error:
        what = "what answers is no Airflow 3"
        raise ParameterError(223, where=options.url, what=what, got=f"{type(error).__name__}: {error}", fix="check --url") from None
    finally:
        api.close()


def refused(where: str, response: httpx.Response) -> ParameterError:
    """The error for an answer that says no, with Airflow's own reason."""
    try:
        detail = response.json().get("detail")
    except (ValueError, AttributeError):
        detail = response.text
    return ParameterError(222, where=where, what=f"Airflow answered {response.status_code}", got=detail or None, fix="see the message")


def waiting_requests(api: AirflowApi) -> Iterator[Waiting]:
    """Every role of every request whose task awaits input, oldest first."""
    requests: dict[str, Request | None] = {}
    for task in _awaiting(api):
        run_id, map_index = str(task["dag_run_id"]), int(task["map_index"])
        if run_id not in requests:
            requests[run_id] = _request(api, run_id)
        request = requests[run_id]
        if request is not None and 0 <= map_index < len(request.asked):
            yield _waiting(request, request.asked[map_index])


def _awaiting(api: AirflowApi) -> Iterator[dict[str, Any]]:
    seen = 0
    while True:
        parameters: dict[str, str | int] = {"state": AWAITING, "order_by": "created_at", "limit": PAGE, "offset": seen}
        answer = api.client.get(f"/api/v2/dags/{DAG_ID}/dagRuns/~/hitlDetails", params=parameters)
        answer.raise_for_status()
        page = answer.json()["hitl_details"]
        yield from (detail["task_instance"] for detail in page if detail["task_instance"]["task_id"] == TASK_ID)
        seen += len(page)
        if len(page) < PAGE:
            return


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
