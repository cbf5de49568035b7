"""A preview of a run: what it would do, who would be asked, and what is missing. Nothing is opened, sent or written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from perfproof.config_checks import IDENTIFIER
from perfproof.errors import ParameterError, PerfproofError
from perfproof.parameters import FIELDS
from perfproof_airflow import settings
from perfproof_airflow.run_preview import preview_of
from perfproof_airflow.web.form import FormDep
from perfproof_airflow.web.page import Page, show
from perfproof_airflow.web.security import Viewer, ViewerDep

router = APIRouter()
LISTS = frozenset(("services", "optimizations"))
UNPROCESSABLE = 422


@router.get("/plan")
def form(request: Request, viewer: ViewerDep, protocol: str = "") -> Response:
    """The empty form, with `protocol` chosen."""
    return _page(request, viewer, given={"protocol": protocol})


@router.post("/plan")
def plan(request: Request, viewer: ViewerDep, form: FormDep) -> Response:
    """The preview of the run that the form describes; 422 and the line of the refusal for what a run would refuse, too."""
    probe = form.get("probe") == "1"
    if probe and not viewer.may_stop:
        raise HTTPException(403, "To ask the sources you need the right to edit runs of the Dag.")
    try:
        document = preview_of(_conf(form), requester=viewer.id, probe=probe)
    except PerfproofError as problem:
        return _page(request, viewer, given=form, problem=str(problem), status=UNPROCESSABLE)
    return _page(request, viewer, given=form, document=document)


def protocol_names() -> list[str]:
    """The names of the protocol files, sorted."""
    directory = settings.protocol_path("any").parent
    return sorted(path.stem for path in directory.glob("*.yaml") if path.is_file() and IDENTIFIER.fullmatch(path.stem))


def _conf(form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of the run: the JSON text if there is one, else the fields that are not empty."""
    text = form.get("conf", "").strip()
    if text:
        return _read(text)
    given = {name: form.get(name, "").strip() for name in FIELDS}
    return {name: _names(value) if name in LISTS else value for name, value in given.items() if value}


def _names(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _read(text: str) -> dict[str, Any]:
    try:
        conf = json.loads(text)
    except (ValueError, RecursionError):
        raise ParameterError(
            940, where="plan.conf", what="the parameters are no JSON", got=text, fix="correct it, or use the fields"
        ) from None
    if not isinstance(conf, dict):
        raise ParameterError(
            941, where="plan.conf", what="the parameters are no JSON object", got=text, expected='an object like {"protocol": "demo"}',
            fix="correct it, or use the fields",
        )  # fmt: skip
    return conf


def _page(
    request: Request,
    viewer: Viewer,
    *,
    given: Mapping[str, str],
    document: Mapping[str, Any] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    content = {
        "protocols": protocol_names(),
        "given": {name: given.get(name, "") for name in (*FIELDS, "conf", "probe")},
        "document": document,
        "problem": problem,
    }
    return show(request, Page("plan.html.jinja", "Plan a run", content, here="plan", status=status), viewer=viewer)
