"""What an endpoint says about itself: its build and environment, and its own metrics."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from perfproof.config import Endpoint
from perfproof.errors import LoadError
from perfproof.load.exposition import series_sums
from perfproof.strict import read_json
from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

TIMEOUT_SECONDS = 5.0
MAX_BUILD_BYTES = 1 << 16
MAX_METRICS_BYTES = 8 << 20
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Build:
    """Which build answers, and in which environment."""

    build: str
    environment: str


class EndpointHook:
    """Reads one endpoint over plain HTTP: no proxy, no redirect, bounded in time and size."""

    def __init__(self, endpoint: Endpoint, *, environment: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._endpoint = endpoint
        self._environment = environment
        self._timeout = timeout_seconds

    def build(self) -> Build:
        """The build that answers. Raises LoadError 301 for no proper answer, 302 if it names another environment."""
        data = self._get(self._endpoint.build_path, limit=MAX_BUILD_BYTES, number=301)
        where = f"{self._endpoint.url}{self._endpoint.build_path}"
        answer = read_json(data, where=where, error=LoadError, number=301)
        if not isinstance(answer, dict) or not all(isinstance(answer.get(k), str) and answer[k] for k in ("build", "environment")):
            raise LoadError(
                301,
                where=where,
                what="the target does not say which build and environment it is",
                got=data[:200].decode(errors="replace"),
                expected='{"build": …, "environment": …}',
                fix="let the target answer build_path",
            )
        if answer["environment"] != self._environment:
            raise LoadError(
                302,
                where=where,
                what="the target names another environment",
                got=answer["environment"],
                expected=self._environment,
                fix="point the endpoint at the test environment",
            )
        return Build(answer["build"], answer["environment"])

    def scrape(self) -> dict[str, float]:
        """The endpoint's own metrics, each series name with the sum over its labels. Raises LoadError 321."""
        data = self._get(self._endpoint.metrics_path, limit=MAX_METRICS_BYTES, number=321)
        return series_sums(data, where=f"{self._endpoint.url}{self._endpoint.metrics_path}")

    def _get(self, path: str, *, limit: int, number: int) -> bytes:
        where = f"{self._endpoint.url}{path}"
        connection = http.client.HTTPConnection(self._endpoint.host, self._endpoint.port, timeout=self._timeout)
        cut = CutOff()
        try:
            with cut_off_after(self._timeout) as cut:
                connection.connect()
                cut.socket = connection.sock
                connection.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
                with connection.getresponse() as response:
                    body = self._body(response, where=where, limit=limit, number=number)
            if cut.happened:
                raise TimeoutError
            return body
        except (OSError, http.client.HTTPException) as error:
            reason = f"no end of the answer within {self._timeout:g} s" if cut.happened else str(error) or type(error).__name__
            raise LoadError(
                number, where=where, what="the target does not answer", got=reason, fix="start it, or correct host and port"
            ) from None
        finally:
            connection.close()

    @staticmethod
    def _body(response: http.client.HTTPResponse, *, where: str, limit: int, number: int) -> bytes:
        if response.status != 200:
            raise LoadError(
                number, where=where, what="the target did not answer 200", got=response.status, expected=200, fix="see why it does not"
            )
        body = bytearray()
        while chunk := response.read1(CHUNK):
            body += chunk
            if len(body) > limit:
                raise LoadError(number, where=where, what="the answer is too large", got=len(body), expected=limit, fix="shorten it")
        return bytes(body)
