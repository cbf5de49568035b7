"""`perfproof approve REQUEST ROLE DECISION`: answers a request over REST as the calling user.

It does nothing that the web interface cannot do: it answers the form, or marks the task with a note. The same act is written by the
api-server, and the protocol run decides by the same rules whether it counts; its refusals are in the run's log.

Exit codes: 0 Airflow took the answer, 2 it did not, or usage.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import httpx

from perfproof.approvals import Decision, Request, read_request
from perfproof.approvals.rules import DAG_ID, TASK_ID
from perfproof.errors import ParameterError
from perfproof_airflow.api.form_act import COMMENT
from perfproof_airflow.commands.airflow_access import add_connection_arguments, airflow, refused
from perfproof_airflow.commands.approvals import AWAITING
from perfproof_airflow.rest import AirflowApi

OVER = frozenset(("success", "failed", "skipped", "upstream_failed", "removed"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is answered, and how."""
    parser.add_argument("request", help="id of the request, as `perfproof approvals` lists it")
    parser.add_argument("role", help="role for which the user answers")
    parser.add_argument("decision", help=" | ".join(Decision))
    parser.add_argument("--note", default="", help="comment, justification of a waiver, or change reference")
    add_connection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Answers, and prints in one line what Airflow took."""
    with airflow(options) as api:
        request = _request(api, options.request)
        map_index, decision = _map_index(request, options.role), _decision(request, options.decision)
        task = _task(api, request, map_index)
        if task["state"] == AWAITING and _is_assigned(api, request, map_index, options.user):
            how = "answered the form"
            answer = api.answer(
                DAG_ID, request.request_id, TASK_ID, option=decision.capitalize(), map_index=map_index, fields={COMMENT: options.note}
            )
        else:
            state, note = _mark(decision, options.note)
            how = f"marked the task {state}"
            answer = api.mark(DAG_ID, request.request_id, TASK_ID, state=state, map_index=map_index, note=note or None)
        if answer.status_code != httpx.codes.OK:
            raise refused(f"{request.request_id} {options.role}", answer)
    sys.stdout.write(
        f"{options.user} {how} of {request.request_id} as {options.role}: {decision}; the protocol run decides whether it counts\n"
    )
    return 0


def _request(api: AirflowApi, request_id: str) -> Request:
    try:
        found = api.run(DAG_ID, request_id)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        raise ParameterError(226, where="REQUEST", what="no such request", got=request_id, fix="see perfproof approvals") from None
    return read_request(found.get("conf"), where=request_id)


def _map_index(request: Request, role: str) -> int:
    if role not in request.roles:
        raise ParameterError(
            227,
            where="ROLE",
            what="the request does not ask this role",
            got=role,
            expected=" | ".join(request.roles),
            fix="name one of them",
        )
    return request.map_index_of(role)


def _decision(request: Request, text: str) -> Decision:
    options = request.question.options
    if text not in options:
        raise ParameterError(
            228, where="DECISION", what="not what the request asks", got=text, expected=" | ".join(options), fix="choose one of them"
        )
    return Decision(text)


def _task(api: AirflowApi, request: Request, map_index: int) -> dict[str, Any]:
    tasks = [t for t in api.tasks(DAG_ID, request.request_id) if t["task_id"] == TASK_ID and t["map_index"] == map_index]
    if not tasks:
        raise ParameterError(
            229, where=request.request_id, what="its task is not there yet", fix="wait until perfproof approvals lists the request"
        )
    if tasks[0]["state"] in OVER:
        raise ParameterError(
            230, where=request.request_id, what="it is over: answered, expired, or ended", got=tasks[0]["state"],
            fix="see perfproof approvals for what waits",
        )  # fmt: skip
    return tasks[0]


def _is_assigned(api: AirflowApi, request: Request, map_index: int, user: str) -> bool:
    """Whether the form names the user. An auth manager may call users by a number: then the name decides, else the task is marked."""
    for detail in api.required_actions(DAG_ID, request.request_id):
        if detail["task_instance"]["map_index"] == map_index:
            return any(user in (who["id"], who["name"]) for who in detail["assigned_users"])
    return False


def _mark(decision: Decision, note: str) -> tuple[str, str]:
    """State and note of a mark that says the same as the form's answer."""
    if decision in (Decision.APPROVE, Decision.REJECT):
        return ("success" if decision is Decision.APPROVE else "failed"), note
    return "success", f"{decision}: {note}" if note else str(decision)
