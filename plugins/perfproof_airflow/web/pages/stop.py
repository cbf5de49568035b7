"""The stop button: ends the load of a run in the same way as `perfproof stop`, in the name of whoever pressed it."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from perfproof.announcements import one_line
from perfproof.evidence.names import is_run
from perfproof_airflow import settings
from perfproof_airflow.commands.stop import stop_load
from perfproof_airflow.load_engine import stop_lever
from perfproof_airflow.web.form import FormDep
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.reading import ReaderDep
from perfproof_airflow.web.security import StopperDep

router = APIRouter()
MAX_REASON = 150


@router.get("/cycles/{run}/stop")
def stopped(request: Request, run: str) -> Response:
    """Back to the cycle: who reloads the page of a stop stops nothing."""
    return RedirectResponse(Places(request.scope.get("root_path", "")).page("cycles", run), status_code=303)


@router.post("/cycles/{run}/stop")
def stop(request: Request, viewer: StopperDep, reader: ReaderDep, form: FormDep, run: str) -> Response:
    """Pulls the lever of the run, waits until nothing of it sends on this machine, and says what ended. 503 if something still sends."""
    if not is_run(run):
        raise HTTPException(404, "There is no such cycle.")
    directory = stop_lever.run_directory(settings.workspace_root(), run)
    if not directory.is_dir():
        # Only a run that never sent anything needs its evidence to be known: a store that is down must not keep load alive.
        reader.summary(run)
    said: list[str] = []
    person = viewer.name if viewer.name == viewer.id else f"{viewer.name} ({viewer.id})"
    who = f"{person} on the page"
    ended = stop_load(directory, who=who, reason=form.get("reason", "").strip()[:MAX_REASON], say=lambda text: said.append(one_line(text)))
    content = {"run": run, "ended": ended, "said": said}
    title = "The load is stopped" if ended else "Something still sends load"
    return show(request, Page("stopped.html.jinja", title, content, here="cycles", status=200 if ended else 503), viewer=viewer)
