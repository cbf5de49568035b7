"""A file of the workspace as a source of metrics."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfproof.errors import ArtifactError, TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.metric_files import MetricFilesHook
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.workspace import Workspace

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
END = NOW.timestamp()
CONTENT = (
    "timestamp,metric,service,value,unit\n"
    "2025-02-16T09:59:00Z,api.p95,api,9,ms\n"
    "2025-02-16T09:59:30Z,api.p95,api,1.5,ms\n"
    "2025-02-16T10:00:00Z,api.p95,api,2,ms\n"
)


def ask(tmp_path: Path, *, query: str = "$service.p95", path: str = "metrics.csv", **span: float) -> tuple[Series, bytes]:
    spec = MetricSpec("api_latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "files", query)
    window = {"start": END - 30, "end": END, "step": 30.0} | span
    return MetricFilesHook(Workspace(tmp_path), path).query_range_raw(
        spec, service="api", instance="10.0.0.1:80", rate_window=150, fetched_at=NOW, **window
    )


def test_samples_come_with_file_digest_and_rows(tmp_path: Path) -> None:
    """The sample at the begin of the window belongs to the window before; the evidence holds the window's rows only."""
    (tmp_path / "metrics.csv").write_text(CONTENT)
    series, raw = ask(tmp_path)
    assert (series.times, series.values, series.query) == ((END - 30, END), (1.5, 2), "api.p95")
    head, *rows = raw.decode().splitlines()
    assert json.loads(head) == {"path": "metrics.csv", "sha256": sha256_hex(CONTENT.encode()), "metric": "api.p95"}
    assert [json.loads(row) for row in rows] == [["line 3", "2025-02-16T09:59:30Z", "1.5"], ["line 4", "2025-02-16T10:00:00Z", "2"]]
    assert series.raw_sha256 == sha256_hex(raw)


def test_a_file_without_rows_of_the_window_is_an_empty_series(tmp_path: Path) -> None:
    """Which the cell then calls NODATA."""
    (tmp_path / "metrics.csv").write_text(CONTENT)
    assert ask(tmp_path, start=END - 7200, end=END - 3600)[0].values == ()


def test_what_is_wrong_in_the_file_refuses_the_query_with_path_and_line(tmp_path: Path) -> None:
    """One line; a metric of another file may still work."""
    (tmp_path / "metrics.csv").write_text(CONTENT + "2025-02-16T10:00:00Z,api.p95,api,fast,ms\n")
    with pytest.raises(QueryRefused, match=r"TEL-766 files \(metrics.csv\) line 5: not a number \(got fast\)"):
        ask(tmp_path)
    (tmp_path / "metrics.csv").write_text(CONTENT)
    with pytest.raises(QueryRefused, match=r"TEL-767 .*no such metric .*expected api\.p95"):
        ask(tmp_path, query="rps")
    with pytest.raises(QueryRefused, match=r"TEL-757 .*not a range"):
        ask(tmp_path, start=END + 1)


def test_only_regular_files_inside_the_workspace_are_read(tmp_path: Path) -> None:
    """No link, no pipe, no way out, nothing that is absent."""
    outside = tmp_path / "outside.csv"
    outside.write_text(CONTENT)
    inside = tmp_path / "workspace"
    inside.mkdir()
    (inside / "link.csv").symlink_to(outside)
    os.mkfifo(inside / "pipe.csv")
    for path in ("link.csv", "pipe.csv", "../outside.csv", str(outside), "absent.csv"):
        with pytest.raises(ArtifactError, match=r"ART-39[56]"):
            ask(inside, path=path)


def test_a_name_that_says_no_form_is_refused(tmp_path: Path) -> None:
    """Before it is opened."""
    with pytest.raises(TelemetryError, match=r"TEL-765 files \(metrics.txt\): not a file of metrics by its name"):
        ask(tmp_path, path="metrics.txt")


def test_the_probe_counts_the_rows_of_a_metric(tmp_path: Path) -> None:
    """None is no access to telemetry."""
    (tmp_path / "metrics.csv").write_text(CONTENT)
    hook = MetricFilesHook(Workspace(tmp_path), "metrics.csv")
    assert hook.probe("api.p95", at=END) == 3
    with pytest.raises(QueryRefused, match="TEL-767"):
        hook.probe("rps", at=END)
