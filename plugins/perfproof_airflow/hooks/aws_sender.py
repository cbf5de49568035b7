"""How a request to AWS is sent: bounded in time and size, no redirects, no proxies.

botocore signs, encodes and parses. Its own transport reads whole bodies, however long, and begins its time-outs anew with every byte.
`before-send` is botocore's event for another transport; what stands there reads no more than it may, and no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.http_answers import ONE_READ_SECONDS, RETRIED_STATUSES
from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

_KINDS = frozenset({"application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json", "text/xml", "application/xml"})
# botocore makes 600 bytes of a timestamp, so what a body holds is bounded besides its length. 100,800 samples, the most of one answer
# of CloudWatch, are 201,600 values in JSON, and twice as many tags in XML.
MOST_VALUES = 250_000
MOST_TAGS = 2 * MOST_VALUES


class Again(Exception):
    """An attempt failed in a way that the next one may not; the pause is what the service asks for."""

    def __init__(self, what: str, retry_after: str | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


@dataclass(slots=True)
class _Body:
    """What botocore reads a body from."""

    data: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.data


@dataclass(slots=True)
class Sender:
    """Sends what botocore has signed. `deadline` is set before each attempt."""

    where: str
    answer_bytes: int
    clock: Callable[[], float]
    verify: Any = True
    deadline: float = 0.0

    # botocore registers no handler without **: it passes what later versions know too.
    def send(self, request: Any, **_: Any) -> Any:
        """The answer as botocore's own transport would return it. Raises TelemetryError, or Again where an attempt more may help."""
        from botocore.awsrequest import AWSResponse

        try:
            status, headers, body = self._exchanged(request)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(f"{type(error).__name__}: {error}") from error
        if status in RETRIED_STATUSES:
            raise Again(f"HTTP {status}", headers.get("retry-after"))
        if 300 <= status < 400:
            raise TelemetryError(
                715, where=self.where, what="the endpoint redirects", got=f"HTTP {status}", fix="name the final address in the Connection"
            )
        self._check_form(request, status, headers.get("content-type", ""), body)
        return AWSResponse(request.url, status, headers, _Body(body))

    def _check_form(self, request: Any, status: int, content_type: str, body: bytes) -> None:
        """Raises TelemetryError for what is no answer of AWS, or one that would take too much memory once it is parsed."""
        kind = content_type.partition(";")[0].strip().lower()
        spoken = request.headers.get("content-type", "")
        # In CBOR each byte may be a value of its own; today's botocore speaks JSON wherever a service does.
        if kind not in _KINDS or "cbor" in (spoken.decode() if isinstance(spoken, bytes) else spoken) or b"<!DOCTYPE" in body[:4096]:
            raise TelemetryError(
                714, where=self.where, what="the endpoint does not answer as an AWS service", got=f"HTTP {status} {kind or 'no type'}",
                expected="JSON or XML", fix="check region and endpoint_url of the Connection",
            )  # fmt: skip
        if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES or body.count(b"<") > MOST_TAGS:
            raise self._too_large(f"{MOST_VALUES} values")

    def _too_large(self, most: str) -> TelemetryError:
        return TelemetryError(
            717, where=self.where, what="the answer is too large", expected=f"at most {most}",
            fix="ask for a shorter window, a larger step or fewer names",
        )  # fmt: skip

    def _exchanged(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        left = self.deadline - self.clock()
        if left <= 0:
            raise httpx.ReadTimeout("the total time is used up")
        headers = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
        # Nothing packed: a small body could unpack to any size.
        headers["Accept-Encoding"] = "identity"
        with cut_off_after(left) as cut:
            try:
                return self._received(request, headers, min(left, ONE_READ_SECONDS), cut)
            except httpx.TransportError:
                if cut.happened:
                    raise httpx.ReadTimeout("the total time is used up") from None
                raise

    def _received(self, request: Any, headers: dict[str, str], read_seconds: float, cut: CutOff) -> tuple[int, dict[str, str], bytes]:
        # trust_env=False: a proxy or a .netrc of the environment would decide who sees queries and credentials.
        with (
            httpx.Client(verify=self.verify, trust_env=False, follow_redirects=False) as client,
            client.stream(
                request.method, request.url, headers=headers, content=request.body or b"", timeout=httpx.Timeout(read_seconds),
                extensions={"trace": _watched(cut)},
            ) as response,
        ):  # fmt: skip
            if response.headers.get("content-encoding", "identity") != "identity":
                raise TelemetryError(
                    714, where=self.where, what="the endpoint packs its answer", got=response.headers["content-encoding"],
                    fix="check endpoint_url of the Connection",
                )  # fmt: skip
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > self.answer_bytes:
                    raise self._too_large(f"{self.answer_bytes} bytes")
                # What the answer does not end by itself is also watched here, by the clock that tests can turn.
                if self.clock() > self.deadline:
                    raise httpx.ReadTimeout("the total time is used up")
            if cut.happened:
                raise httpx.ReadTimeout("the total time is used up")
            return response.status_code, {name.lower(): value for name, value in response.headers.items()}, bytes(body)


def _watched(cut: CutOff) -> Callable[[str, Mapping[str, Any]], None]:
    def trace(event: str, details: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            cut.socket = details["return_value"].get_extra_info("socket")

    return trace


def client_settings() -> Any:
    """What every client here is made with: no retries of its own, since those know nothing of the total time."""
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=ONE_READ_SECONDS, read_timeout=ONE_READ_SECONDS)
