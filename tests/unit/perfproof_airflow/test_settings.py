"""Where this Airflow keeps protocols and evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfproof.errors import ConfigError
from perfproof_airflow import settings
from perfproof_airflow.hooks.s3_store import ObjectLock, S3Backend


def test_everything_lies_below_the_workspace(workspace: Path) -> None:
    """With the defaults of the documentation."""
    assert settings.workspace_root() == workspace
    assert settings.protocol_path("demo") == workspace / "include" / "protocols" / "demo.yaml"
    assert settings.evidence_root() == workspace / ".artifacts" / "performance"


def test_the_configuration_replaces_each_default(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the workspace."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__PROTOCOLS_DIR", "protocols")
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", "evidence")
    assert settings.protocol_path("demo") == workspace / "protocols" / "demo.yaml"
    assert settings.evidence_root() == workspace / "evidence"


def test_an_empty_option_is_the_default(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable would otherwise make the workspace itself the evidence directory."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", "")
    assert settings.evidence_root() == workspace / ".artifacts" / "performance"


def test_it_is_read_each_time(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept from when a DAG was parsed."""
    settings.evidence_root()
    (workspace / "other").mkdir()
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(workspace / "other"))
    assert settings.workspace_root() == workspace / "other"


def test_a_workspace_that_is_not_there_is_named(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is none either."""
    (workspace / "file").write_text("")
    for name in ("absent", "file"):
        monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(workspace / name))
        with pytest.raises(ConfigError, match=rf"CFG-181 \[perfproof\] workspace: .*{name}"):
            settings.workspace_root()


@pytest.mark.parametrize("uri", ["gs://bucket/perf", "file:///tmp/x", "http://127.0.0.1/"])
def test_another_url_is_refused_and_not_taken_for_a_directory(workspace: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Evidence must not end up in a directory called `s3:`."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", uri)
    with pytest.raises(ConfigError, match="CFG-182"):
        settings.evidence_root()


def test_a_bucket_takes_the_place_of_the_directory(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the client of its Connection; nothing is asked of the store when it is opened."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", "s3://evidence/team/performance")
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_OBJECT_LOCK", "COMPLIANCE 365")
    extra = {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "AK", "password": "SK", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_S3", json.dumps(connection))
    backend = settings.evidence_backend()
    assert isinstance(backend, S3Backend)
    assert backend.uri("run/log/1") == "s3://evidence/team/performance/run/log/1"
    assert backend.client.meta.endpoint_url == "http://127.0.0.1:9"
    assert backend.lock == ObjectLock("COMPLIANCE", 365)
    with pytest.raises(ConfigError, match="CFG-184"):
        settings.evidence_root()


@pytest.mark.parametrize(
    ("uri", "lock"), [("s3://", ""), ("s3://b/../c", ""), ("s3://b/x y", ""), ("s3://b/p", "365"), ("s3://b", "COMPLIANCE 0")]
)
def test_a_bucket_that_is_none_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch, uri: str, lock: str) -> None:
    """In one line, with the option that is wrong."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", uri)
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_OBJECT_LOCK", lock)
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_S3", json.dumps({"conn_type": "aws", "extra": {"region_name": "us-east-1"}}))
    with pytest.raises(ConfigError, match=r"CFG-18[23] \[perfproof\] evidence_"):
        settings.evidence_backend()


def test_the_protocol_of_scheduled_captures_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a change of the DAG file; the demo's where nothing is said."""
    assert settings.default_protocol() == "demo"
    monkeypatch.setenv("AIRFLOW__PERFPROOF__DEFAULT_PROTOCOL", "mine")
    assert settings.default_protocol() == "mine"


def test_captures_can_have_a_pool_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's own where nothing is said."""
    assert settings.capture_pool() == "default_pool"
    monkeypatch.setenv("AIRFLOW__PERFPROOF__CAPTURE_POOL", "captures")
    assert settings.capture_pool() == "captures"
