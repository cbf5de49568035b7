"""The tabs on a Dag run and on a task instance: Airflow shows them on every Dag, so they say where they do not belong."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from perfproof.approvals.rules import DAG_ID as APPROVALS_DAG
from perfproof.approvals.rules import TASK_ID as APPROVE_TASK
from perfproof_airflow.web.cards import card
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.reading import NowDep, ReaderDep
from perfproof_airflow.web.security import DAG_ID, ViewerDep

router = APIRouter()
NOT_MAPPED = -1
Id = Annotated[str, Query(max_length=250)]


@router.get("/run")
def dag_run(request: Request, viewer: ViewerDep, reader: ReaderDep, now: NowDep, dag_id: Id, run_id: Id) -> Response:
    """The cycle of a Dag run; for a run of the approvals' Dag, its request."""
    if dag_id == APPROVALS_DAG:
        return _request(request, viewer, reader, now, (dag_id, run_id, APPROVE_TASK, NOT_MAPPED))
    run = reader.run_of(dag_id, run_id)
    if run is not None:
        return RedirectResponse(Places(request.scope.get("root_path", "")).page("cycles", run), status_code=302)
    line = (
        "This run has not opened its cycle yet: its first task does."
        if dag_id == DAG_ID
        else f"This is not a protocol run: perfproof keeps evidence of runs of the Dag {DAG_ID} only."
    )
    return show(request, Page("tab.html.jinja", "No cycle", {"line": line}), viewer=viewer)


@router.get("/task")
def task(
    request: Request,
    viewer: ViewerDep,
    reader: ReaderDep,
    now: NowDep,
    dag_id: Id,
    run_id: Id,
    task_id: Id,
    map_index: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """The request that a task waits for, or that it is the answer to."""
    # Airflow leaves its own placeholder for a task that is not mapped.
    index = int(map_index) if map_index.isascii() and map_index.isdigit() else NOT_MAPPED
    return _request(request, viewer, reader, now, (dag_id, run_id, task_id, index))


def _request(request: Request, viewer: ViewerDep, reader: ReaderDep, now: NowDep, of: tuple[str, str, str, int]) -> Response:
    approval = reader.request(of[0], of[1], of[2], of[3])
    if approval is None:
        line = "This task asks nobody for an approval." if of[0] in (DAG_ID, APPROVALS_DAG) else "This is not a task of the protocol."
        return show(request, Page("tab.html.jinja", "No approval", {"line": line}), viewer=viewer)
    content = {"one": card(approval, viewer=viewer, now=now), "now": now, "live": approval["state"] == "open"}
    return show(request, Page("request.html.jinja", "The approval that is asked for", content), viewer=viewer)
