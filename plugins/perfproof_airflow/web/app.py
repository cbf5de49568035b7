"""The web application: routes of the pages, what a failed request looks like, static files. The plugin mounts it at `/perfproof`."""

from __future__ import annotations

from importlib import resources
from typing import Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from perfproof.errors import ParameterError, PerfproofError
from perfproof.evidence.backend import Missing
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.pages import ROUTERS
from perfproof_airflow.web.security import SecureAnswers, from_these_pages, viewer_of

TITLES = {401: "Not logged in", 403: "Not allowed", 404: "Not found", 405: "Not possible here", 500: "This page could not be made"}


def create_app() -> SecureAnswers:
    """The ASGI application. Each route but those of the static files needs a login and the right to read."""
    app = FastAPI(title="perfproof", docs_url=None, redoc_url=None, openapi_url=None)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(viewer_of), Depends(from_these_pages)])
    app.mount("/static", StaticFiles(directory=str(resources.files("perfproof_airflow.web") / "static")), name="static")
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(PerfproofError, _failed)
    app.add_exception_handler(Exception, _broken)
    return SecureAnswers(app)


def _refused(request: Request, error: Any) -> Response:
    login = ""
    if error.status_code == 401:
        # Airflow's own page of login; afterwards it comes back here.
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        login = Places(request.scope.get("root_path", "")).airflow("auth", "login") + f"/?next={quote(here, safe='')}"
    line = "There is no such page." if error.detail == "Not Found" else str(error.detail)
    answer = _page(request, line, status=error.status_code, login=login)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _malformed(request: Request, error: Any) -> Response:
    names = ", ".join(".".join(str(part) for part in one["loc"][1:]) for one in error.errors())
    return _page(request, f"The address is not complete or not right: {names}.", status=400)


def _failed(request: Request, error: Any) -> Response:
    status = 404 if isinstance(error, Missing) else 400 if isinstance(error, ParameterError) else 500
    return _page(request, str(error), status=status)


def _broken(request: Request, _error: Any) -> Response:
    return _page(request, "Something broke on the way. The log of the api-server says what.", status=500)


def _page(request: Request, line: str, *, status: int, login: str = "") -> Response:
    return show(request, Page("error.html.jinja", TITLES.get(status, "Not possible"), {"line": line, "login": login}, status=status))
