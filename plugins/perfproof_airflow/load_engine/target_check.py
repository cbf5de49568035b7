"""The last look at the target before and while load flows: the address of each connection, and the target's own word."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from perfproof.errors import LoadError
from perfproof.load.journeys import JourneyPlan
from perfproof.load.plan import LoadPlan
from perfproof.load.targets import check_address
from perfproof.strict import read_json

MAX_CONSENT_BYTES = 1 << 16
CONSENT_SECONDS = 5.0

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class UnlistedAddress(OSError):
    """A connection was about to go to an address that is not on the allow-list."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Makes sockets for listed addresses only. Every connection, of a name or an address, passes here after resolving."""

    plan: LoadPlan | JourneyPlan
    on_refused: Callable[[LoadError], None]

    def __call__(self, info: AddressInfo) -> socket.socket:
        """A socket for `info`, as `getaddrinfo` returns it. Raises UnlistedAddress, after telling `on_refused`."""
        family, kind, protocol, _, address = info
        try:
            check_address(str(address[0]), int(address[1]), allow=self.plan.allow, where=f"{self.plan.host}:{self.plan.port}")
        except LoadError as error:
            self.on_refused(error)
            raise UnlistedAddress(str(error)) from None
        return socket.socket(family=family, type=kind, proto=protocol)


def open_session(plan: LoadPlan | JourneyPlan, *, guard: Guard) -> aiohttp.ClientSession:
    """A session that keeps connections, and takes no proxy, cookie or redirect from anywhere."""
    connector = aiohttp.TCPConnector(limit=plan.max_in_flight + 1, use_dns_cache=False, socket_factory=guard, keepalive_timeout=30)
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=plan.timeout_seconds),
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "perfproof-load"},
    )
    # Without it a request whose kept connection was lost is sent again unseen: more load than planned, and a failure less.
    session._retry_connection = False
    return session


def url_of(plan: LoadPlan | JourneyPlan, path: str) -> URL:
    """The URL of `path` on the plan's target, taken as it is written."""
    bare = plan.host.strip("[]")
    host = f"[{bare}]" if ":" in bare else bare
    return URL(f"http://{host}:{plan.port}{path}", encoded=True)


async def build_now(session: aiohttp.ClientSession, plan: LoadPlan | JourneyPlan) -> str:
    """The build that answers now; other words when nothing proper answers, so that it counts as a change."""
    try:
        return await ask_consent(session, plan)
    except LoadError as error:
        return f"no answer ({error.code})"


async def ask_consent(session: aiohttp.ClientSession, plan: LoadPlan | JourneyPlan) -> str:
    """The build that the target names, if it also names the plan's environment.

    Raises LoadError 301 if it does not answer properly, 302 if it names another environment.
    """
    url = url_of(plan, plan.build_path)
    try:
        async with session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=CONSENT_SECONDS)) as response:
            status = response.status
            body = await response.content.read(MAX_CONSENT_BYTES) if status == 200 else b""
            while status == 200 and len(body) < MAX_CONSENT_BYTES and not response.content.at_eof():
                body += await response.content.read(MAX_CONSENT_BYTES - len(body))
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise _no_consent(plan, str(error) or type(error).__name__) from None
    answer = read_json(body, where=str(url), limit=MAX_CONSENT_BYTES - 1, error=LoadError, number=301) if status == 200 else None
    if not isinstance(answer, dict) or not isinstance(answer.get("build"), str) or not answer["build"]:
        raise _no_consent(plan, f"status {status}, {answer!r}")
    if answer.get("environment") != plan.environment:
        raise LoadError(
            302,
            where=str(url),
            what="the target names another environment",
            got=answer.get("environment"),
            expected=plan.environment,
            fix="point the endpoint at the test environment",
        )
    return str(answer["build"])


def _no_consent(plan: LoadPlan | JourneyPlan, got: str) -> LoadError:
    return LoadError(
        301,
        where=str(url_of(plan, plan.build_path)),
        what="the target does not say which build and environment it is",
        got=got,
        expected='{"build": …, "environment": …}',
        fix="let the target answer build_path",
    )
