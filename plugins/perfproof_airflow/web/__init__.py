"""The pages of perfproof in the Airflow UI: served by the api-server, below `/perfproof`, behind Airflow's login and rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any

PREFIX = "/perfproof"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LazyApp:
    """The ASGI application, made at its first request.

    Every process of Airflow imports the plugin; only the api-server should pay for FastAPI, templates and the auth manager.
    """

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._made()(scope, receive, send)

    def _made(self) -> Any:
        with self._lock:
            if self._app is None:
                from perfproof_airflow.web.app import create_app

                self._app = create_app()
            return self._app
