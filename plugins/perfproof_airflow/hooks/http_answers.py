"""One bounded GET: a total time limit, a size limit, no redirects, no proxies, and retries only where waiting can help."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
ONE_READ_SECONDS = 10.0
# Parsed JSON takes up to twenty times its bytes; the 10,000 samples that are asked for at once take half a MiB.
MAX_ANSWER_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one question: seconds for all attempts together, and bytes of one answer."""

    total_seconds: float = 60.0
    answer_bytes: int = MAX_ANSWER_BYTES


class Unreachable(TelemetryError):
    """The source did not answer, however often it was asked. Asking later may help."""


def _watched(cut: CutOff) -> Callable[[str, Mapping[str, Any]], None]:
    """A trace for httpcore that hands the socket of the request to `cut`: that of TLS comes after that of TCP."""

    def trace(event: str, details: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            cut.socket = details["return_value"].get_extra_info("socket")

    return trace


@dataclass(frozen=True, slots=True)
class BoundedGet:
    """Asks one server. `transport`, `sleep` and `clock` are replaced in tests."""

    accept: ClassVar[str] = "application/json"

    base_url: str
    headers: Mapping[str, str]
    auth: tuple[str, str] | None
    verify: str | bool
    limits: Limits
    where: str
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def json_bytes(self, path: str, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a JSON answer (2xx, or a 4xx that explains itself in JSON).

        Raises Unreachable when the time or the attempts are used up, TelemetryError for what no retry can mend: a redirect,
        refused credentials, an answer that is not JSON, an answer that is too large.
        """
        deadline = self.clock() + self.limits.total_seconds
        last = "no attempt"
        with self._client() as client:
            for attempt in range(ATTEMPTS):
                retry_after: str | None = None
                try:
                    status, kind, body, retry_after = self._once(client, path, parameters, deadline)
                except (httpx.TransportError, httpx.DecodingError) as error:
                    last = f"{type(error).__name__}: {error}"
                else:
                    if status not in RETRIED_STATUSES:
                        return self._accepted(status, kind, body, path)
                    last = f"HTTP {status}"
                pause = _pause(attempt, retry_after)
                if attempt + 1 == ATTEMPTS or self.clock() + pause >= deadline:
                    break
                self.sleep(pause)
        raise Unreachable(
            270, where=self.where, what=f"no answer from {path} in {self.limits.total_seconds:g} s and {ATTEMPTS} attempts at most",
            got=last, fix="check that the server is up and that the Connection names it, then clear this task",
        )  # fmt: skip

    def _client(self) -> httpx.Client:
        # trust_env=False: a proxy or a .netrc of the environment would decide who sees queries and credentials.
        return httpx.Client(
            base_url=self.base_url, headers={"Accept": self.accept, "Accept-Encoding": "gzip", **self.headers},
            auth=self.auth, verify=self.verify, transport=self.transport, trust_env=False, follow_redirects=False,
        )  # fmt: skip

    def _once(self, client: httpx.Client, path: str, parameters: Mapping[str, str], deadline: float) -> tuple[int, str, bytes, str | None]:
        left = deadline - self.clock()
        if left <= 0:
            raise httpx.ReadTimeout("the total time is used up")
        timeout = httpx.Timeout(min(left, ONE_READ_SECONDS))
        with (
            cut_off_after(left) as cut,
            client.stream("GET", path, params=dict(parameters), timeout=timeout, extensions={"trace": _watched(cut)}) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.limits.answer_bytes:
                    raise TelemetryError(
                        271, where=self.where, what=f"the answer of {path} is too large",
                        expected=f"at most {self.limits.answer_bytes} bytes",
                        fix="ask for a shorter window, a larger step or fewer series",
                    )  # fmt: skip
                # What the answer does not end by itself is also watched here, by the clock that tests can turn.
                if self.clock() > deadline:
                    raise httpx.ReadTimeout("the total time is used up")
            if cut.happened:
                raise httpx.ReadTimeout("the total time is used up")
            return response.status_code, response.headers.get("content-type", ""), bytes(body), response.headers.get("retry-after")

    def _accepted(self, status: int, kind: str, body: bytes, path: str) -> tuple[int, bytes]:
        if 300 <= status < 400:
            raise TelemetryError(
                272, where=self.where, what=f"{path} redirects", got=f"HTTP {status}", fix="name the final address in the Connection"
            )
        if status in (401, 403):
            raise TelemetryError(
                273, where=self.where, what=f"{path} refuses these credentials", got=f"HTTP {status}",
                fix="correct login and password, or the bearer token, of the Connection",
            )  # fmt: skip
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise TelemetryError(
                274, where=self.where, what=f"{path} answered something that is not JSON", got=f"HTTP {status} {kind or 'without a type'}",
                expected="application/json", fix="check that the Connection names the server's API and not a login page",
            )  # fmt: skip
        return status, body


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds before the next attempt: doubled each time, or what the server asks for; never above the cap."""
    asked = float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after.strip()) else 0.0
    return min(LONGEST_PAUSE_SECONDS, max(asked, FIRST_PAUSE_SECONDS * 2.0**attempt))
