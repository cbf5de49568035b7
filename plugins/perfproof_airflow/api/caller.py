"""Who is calling: a middleware of the api-server that keeps the authenticated caller of a changing request.

Airflow's audit log cannot say who marked a task (a refused mark is logged like a good one, and a bulk mark not at all). So the
listener that sees the state change asks here. The token is resolved exactly as the endpoints' own `get_user` does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CHANGING = frozenset(("PATCH", "POST", "PUT", "DELETE"))
# Workers talk to this one, with tokens that are no person's.
EXECUTION_API = "/execution/"


@dataclass(frozen=True, slots=True)
class Caller:
    """A person whom the auth manager of this Airflow knows."""

    id: str
    name: str


_caller: ContextVar[Caller | None] = ContextVar("perfproof_caller", default=None)


def current_caller() -> Caller | None:
    """Who sent the request that is being served, or None outside of one."""
    return _caller.get()


class CallerMiddleware:
    """Pure ASGI, since the context variable must be set in the context that the endpoint inherits."""

    def __init__(self, app: App) -> None:
        # Made once, in the api-server and nowhere else.
        from perfproof_airflow.api.answer_listener import listen_for_answers

        listen_for_answers()
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGING or EXECUTION_API in scope["path"]:
            await self.app(scope, receive, send)
            return
        before = _caller.set(await _resolve(scope))
        try:
            await self.app(scope, receive, send)
        finally:
            _caller.reset(before)


async def _resolve(scope: Scope) -> Caller | None:
    """The caller that the endpoint will see: the bearer token if there is one, else the login cookie."""
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
    from airflow.api_fastapi.core_api.security import resolve_user_from_token
    from fastapi import HTTPException

    token = _bearer(scope) or _cookie(scope, COOKIE_NAME_JWT_TOKEN)
    if token is None:
        return None
    try:
        user = await resolve_user_from_token(token)
    except HTTPException:
        return None
    return Caller(id=str(user.get_id()), name=user.get_name())


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _bearer(scope: Scope) -> str | None:
    for header in _headers(scope, b"authorization")[:1]:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return None


def _cookie(scope: Scope, name: str) -> str | None:
    for header in _headers(scope, b"cookie"):
        try:
            morsel = SimpleCookie(header).get(name)
        except CookieError:
            return None
        if morsel is not None:
            return morsel.value
    return None
