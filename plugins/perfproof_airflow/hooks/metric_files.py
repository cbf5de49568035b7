"""A file in the workspace as a source of metrics."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from perfproof.answers.query_text import filled
from perfproof.errors import TelemetryError
from perfproof.inputs.metric_file_rows import FORMS, MAX_BYTES, form_of
from perfproof.inputs.metric_files import MetricRows, Wanted, read_samples
from perfproof.telemetry import MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.workspace import Workspace

# Clocks of machines differ by some seconds.
SKEW_SECONDS = 60.0


class MetricFilesHook:
    """Reads one CSV, JSON or Parquet file below the workspace, anew for each question."""

    collection_method = "file of metrics"

    def __init__(self, workspace: Workspace, path: str, *, source: str = "files") -> None:
        self.workspace = workspace
        self.path = path
        self.source = source

    def query_range_raw(
        self,
        spec: MetricSpec,
        *,
        service: str,
        instance: str,
        start: float,
        end: float,
        step: float,
        rate_window: float,
        fetched_at: datetime,
    ) -> tuple[Series, bytes]:
        """The samples of `spec` after `start` - `step` up to `end`, as the file has them: none is moved to a step or filled in.

        The query is the metric's name or column, `$service` and `$instance` replaced. The bytes are one line with path and digest of
        the file, then the rows that the samples are from. Raises QueryRefused for a metric that the file does not have and for what
        is wrong in the file, ArtifactError for a file that cannot be opened.
        """
        if not all(map(math.isfinite, (start, end, step))) or step <= 0 or end < start:
            raise QueryRefused(
                757, where=self._where, what="not a range", got=f"{start} to {end} step {step}", fix="give start before end and a step"
            )
        metric = filled(spec.query, instance=instance, service=service, rate_window=rate_window)
        latest = fetched_at.timestamp() + SKEW_SECONDS
        wanted = Wanted(metric, service, instance, spec.unit, after=start - step, until=end, latest=latest)
        digest, found = self._read(wanted)
        head = json.dumps({"path": self.path, "sha256": digest, "metric": metric}, ensure_ascii=False)
        raw = "\n".join([head, *found.lines, ""]).encode("utf-8", "replace")
        series = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source, query=metric, start=start, end=end, step=step,
            times=tuple(found.times), values=tuple(found.values), fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return series, raw

    def probe(self, probe: str, *, at: float) -> int:
        """How many rows the file has of the metric `probe`. Raises QueryRefused if there is none."""
        nothing = Wanted(probe, "", "", Unit.COUNT, after=math.inf, until=math.inf, latest=at + SKEW_SECONDS)
        return self._read(nothing)[1].of_metric

    def _read(self, wanted: Wanted) -> tuple[str, MetricRows]:
        form = form_of(self.path)
        if form is None:
            raise TelemetryError(
                765, where=self._where, what="not a file of metrics by its name", expected=" ".join(FORMS), fix="rename it, or convert it"
            )
        data = self.workspace.read(self.path, limit=MAX_BYTES[form])
        return sha256_hex(data), read_samples(data, form=form, wanted=wanted, where=self._where, error=QueryRefused)

    @property
    def _where(self) -> str:
        return f"{self.source} ({self.path})"
