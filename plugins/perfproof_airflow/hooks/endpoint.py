"""What an endpoint says about itself: its build and environment, and its own metrics."""

from __future__ import annotations

from dataclasses import dataclass

from perfproof.config import Endpoint
from perfproof.errors import LoadError
from perfproof.load.exposition import series_sums
from perfproof.strict import read_json
from perfproof_airflow.hooks.plain_get import TooLarge, Unanswered, plain_get

TIMEOUT_SECONDS = 5.0
MAX_BUILD_BYTES = 1 << 16
MAX_METRICS_BYTES = 8 << 20


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
        host, port = self._endpoint.host, self._endpoint.port
        try:
            status, body = plain_get(host, port, path, accept="*/*", within=self._timeout, limit=limit)
        except Unanswered as error:
            raise LoadError(
                number, where=where, what="the target does not answer", got=str(error), fix="start it, or correct host and port"
            ) from None
        except TooLarge as error:
            raise LoadError(number, where=where, what="the answer is too large", got=error.size, expected=limit, fix="shorten it") from None
        if status != 200:
            raise LoadError(number, where=where, what="the target did not answer 200", got=status, expected=200, fix="see why it does not")
        return body
