"""Where this Airflow keeps protocols and evidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfproof.errors import ConfigError
from perfproof_airflow import settings


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


@pytest.mark.parametrize("uri", ["s3://bucket/perf", "file:///tmp/x", "http://127.0.0.1/"])
def test_an_object_store_is_refused_and_not_taken_for_a_directory(workspace: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Evidence must not end up in a directory called `s3:`."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", uri)
    with pytest.raises(ConfigError, match="CFG-182"):
        settings.evidence_root()
