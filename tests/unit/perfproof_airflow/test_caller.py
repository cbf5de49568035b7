"""The middleware knows who is calling, exactly while the call is served."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import HTTPException

from perfproof_airflow.api import answer_listener
from perfproof_airflow.api.caller import Caller, CallerMiddleware, current_caller

# Airflow imports the test client of Starlette, which warns about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient")


class User:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_id(self) -> int:
        return 7

    def get_name(self) -> str:
        return self.name


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Caller | None]:
    """Callers as the endpoint sees them; tokens are names, and `bad` is refused."""

    async def resolve(token: str) -> User:
        if token == "bad":
            raise HTTPException(401)
        return User(token)

    monkeypatch.setattr("airflow.api_fastapi.core_api.security.resolve_user_from_token", resolve)
    monkeypatch.setattr(answer_listener, "listen_for_answers", lambda: None)
    return []


def call(seen: list[Caller | None], *, method: str = "PATCH", path: str = "/api/v2/dags/d", headers: dict[str, str] | None = None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        # Synchronous endpoints run in a thread, with a copy of the context.
        seen.append(await asyncio.to_thread(current_caller))

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    asyncio.run(CallerMiddleware(app)(scope, None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["PATCH", "POST", "PUT", "DELETE"])
def test_the_bearer_token_names_the_caller(seen: list[Caller | None], method: str) -> None:
    """In every request that changes something."""
    call(seen, method=method, headers={"Authorization": "Bearer ann"})
    assert seen == [Caller(id="7", name="ann")]


def test_the_bearer_token_wins_over_the_cookie(seen: list[Caller | None]) -> None:
    """As in the endpoints: what is sent explicitly counts."""
    call(seen, headers={"Authorization": "bearer ann", "Cookie": "_token=bea"})
    call(seen, headers={"Cookie": "other=1; _token=bea"})
    assert [c.name if c else None for c in seen] == ["ann", "bea"]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic ann"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer bad"}, {"Cookie": "a=b"}]
)
def test_nobody_is_named_without_a_valid_token(seen: list[Caller | None], headers: dict[str, str]) -> None:
    """The endpoint refuses such a request itself."""
    call(seen, headers=headers)
    assert seen == [None]


def test_a_bad_bearer_token_does_not_fall_back_to_the_cookie(seen: list[Caller | None]) -> None:
    """The endpoint would answer 401, so nobody acts."""
    call(seen, headers={"Authorization": "Bearer bad", "Cookie": "_token=bea"})
    assert seen == [None]


def test_reading_requests_and_workers_are_not_looked_at(seen: list[Caller | None]) -> None:
    """Their tokens are nobody's, and they are many."""
    call(seen, method="GET", headers={"Authorization": "Bearer ann"})
    call(seen, path="/execution/task-instances/x/state", headers={"Authorization": "Bearer ann"})
    assert seen == [None, None]


def test_the_caller_is_forgotten_after_the_request(seen: list[Caller | None]) -> None:
    """Also when the endpoint fails."""

    async def run() -> Caller | None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError

        scope = {"type": "http", "method": "PATCH", "path": "/", "headers": [(b"authorization", b"Bearer ann")]}
        with pytest.raises(RuntimeError):
            await CallerMiddleware(app)(scope, None, None)  # type: ignore[arg-type]
        return current_caller()

    assert asyncio.run(run()) is None


def test_websockets_and_lifespan_pass_through(seen: list[Caller | None]) -> None:
    """Only HTTP has a method."""

    async def run() -> list[str]:
        types: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            types.append(scope["type"])

        await CallerMiddleware(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
        return types

    assert asyncio.run(run()) == ["lifespan"]
