"""One bounded GET for an exposition of metrics: the limits of JSON answers, another kind of content."""

from __future__ import annotations

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.http_answers import BoundedGet
from perfproof_airflow.hooks.refused import QueryRefused

OPENMETRICS, TEXT = "application/openmetrics-text", "text/plain"
ACCEPT = f"{OPENMETRICS};version=1.0.0,{TEXT};version=0.0.4;q=0.5"


class ExpositionGet(BoundedGet):
    """Asks for OpenMetrics, else Prometheus text; `json_bytes` returns the text's bytes."""

    accept = ACCEPT

    def _accepted(self, status: int, kind: str, body: bytes, path: str) -> tuple[int, bytes]:
        media = kind.partition(";")[0].strip().lower()
        if 300 <= status < 400 or status in (401, 403):
            return super()._accepted(status, kind, body, path)
        if status != 200 or media not in (OPENMETRICS, TEXT):
            raise TelemetryError(
                759, where=self.where, what=f"{path} answered no exposition of metrics",
                got=f"HTTP {status} {kind or 'without a type'}", expected=f"{OPENMETRICS} or {TEXT}",
                fix="let the Connection name the endpoint's metrics and not a login page",
            )  # fmt: skip
        if media == OPENMETRICS and not body.rstrip().endswith(b"# EOF"):
            raise QueryRefused(759, where=self.where, what="the exposition ends before # EOF", fix="see why the endpoint stops")
        return status, body
