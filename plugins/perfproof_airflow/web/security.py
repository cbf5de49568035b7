"""Who may see and do what, and what every answer says to the browser.

Login and rights are Airflow's own. The pages stand in a frame of the same origin as Airflow, whose login cookie scripts can read
with the simple auth manager: a script that runs in one of our pages could approve in the name of its reader. So the policy of
every answer allows no script but our own file, and nothing that changes anything is taken from another site.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request
from starlette.datastructures import MutableHeaders

from perfproof_airflow.web import Receive, Scope, Send

DAG_ID = "performance_optimization"
# Sent by our own script only: a page of another site cannot add a header without being asked for leave, which nobody gives.
REQUEST_HEADER = "X-Perfproof-Request"
SAFE_METHODS = frozenset(("GET", "HEAD"))
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
# For content that others made: no script, no form, no origin, also when it is opened by itself.
FILE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox"
)
HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person who looks: as the auth manager knows them, and what Airflow lets them do."""

    id: str
    name: str
    may_stop: bool


Right = Callable[[Any, str, DagAccessEntity | None, str], bool]


def airflow_rights() -> Right:
    """The question whether `user` may use `method` on a Dag, or on its runs: asked of Airflow's auth manager."""
    return _is_authorized


def _is_authorized(user: Any, method: str, entity: DagAccessEntity | None, dag_id: str) -> bool:
    from airflow.models.dag import DagModel

    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    manager: Any = get_auth_manager()
    return bool(manager.is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


RightDep = Annotated[Right, Depends(airflow_rights)]


def viewer_of(user: GetUserDep, right: RightDep) -> Viewer:
    """The viewer. 401 without login (from Airflow's own dependency), 403 without the right to read the Dag and its runs."""
    if not right(user, "GET", None, DAG_ID) or not right(user, "GET", DagAccessEntity.RUN, DAG_ID):
        raise HTTPException(403, f"To see these pages you need the right to read the Dag {DAG_ID} and its runs.")
    return Viewer(id=str(user.get_id()), name=user.get_name(), may_stop=right(user, "PUT", DagAccessEntity.RUN, DAG_ID))


ViewerDep = Annotated[Viewer, Depends(viewer_of)]


def stopper_of(viewer: ViewerDep) -> Viewer:
    """The viewer, if they may edit runs of the Dag; else 403."""
    if not viewer.may_stop:
        raise HTTPException(403, f"To stop load you need the right to edit runs of the Dag {DAG_ID}.")
    return viewer


StopperDep = Annotated[Viewer, Depends(stopper_of)]


def from_these_pages(request: Request) -> None:
    """403 for a changing request that one of our own pages did not send.

    A browser says where a request comes from in headers that no page can set: `Sec-Fetch-Site`, which it leaves out for a server
    without TLS, and `Origin`. A client that sends neither must send our header, which a form of another site cannot.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        allowed = site == "same-origin"
    elif origin is not None:
        allowed = urlsplit(origin).netloc == request.headers.get("host")
    else:
        allowed = REQUEST_HEADER in request.headers
    if not allowed:
        raise HTTPException(403, "This request did not come from a page of perfproof, so nothing was done.")


class SecureAnswers:
    """Puts the headers on every answer of `app`, also on those that its error handling makes. Pure ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    # An answer may only be stricter: the policy of files, and caching of our own script and style.
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)
