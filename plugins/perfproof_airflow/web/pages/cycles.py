"""The list of cycles: where each stands, at a glance."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from perfproof.cycles.state import State
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.reading import NowDep, ReaderDep
from perfproof_airflow.web.security import ViewerDep
from perfproof_airflow.web.words import CYCLE_STATES

router = APIRouter()
SIZE = 25
MAX_SEARCH = 200


@router.get("/")
def cycles(
    request: Request,
    viewer: ViewerDep,
    reader: ReaderDep,
    now: NowDep,
    number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
    state: Annotated[State | Literal[""], Query()] = "",
    text: Annotated[str, Query(alias="q", max_length=MAX_SEARCH)] = "",
) -> Response:
    """Cycles, newest first; `state` and `q` choose among them."""
    found = reader.list_cycles(page=number, size=SIZE, state=str(state), text=text.strip())
    address = partial(Places(request.scope.get("root_path", "")).page, state=str(state), q=text.strip())
    content = {
        "found": found,
        "states": {one.value: CYCLE_STATES[one.value].text for one in State},
        "state": str(state),
        "text": text.strip(),
        "address": address,
        "now": now,
    }
    return show(request, Page("cycles.html.jinja", "Cycles", content, here="cycles"), viewer=viewer)
