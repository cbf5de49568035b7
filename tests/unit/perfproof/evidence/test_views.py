"""Views are copies that can be made again, and `latest` leads to the newest run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import EvidenceError
from perfproof.evidence import EvidenceStore
from perfproof.evidence.views import point_latest, rebuild_views


def test_views_are_rebuilt_from_the_log_and_objects(disk_store: EvidenceStore, publish: Callable[..., Any], tmp_path: Path) -> None:
    """All of them gone, one changed: afterwards as committed."""
    publish(disk_store, "hypothesis-log.md", "old")
    publish(disk_store, "hypothesis-log.md", "new", round=1)
    publish(disk_store, "evidence/a.json", "{}")
    directory = tmp_path / "root" / disk_store.run
    (directory / "hypothesis-log.md").write_text("forged")
    shutil.rmtree(directory / "evidence")
    rebuild_views(disk_store)
    assert (directory / "hypothesis-log.md").read_text() == "new"
    assert (directory / "evidence" / "a.json").read_text() == "{}"
    files = sorted((directory / "log").iterdir())
    assert (directory / "protocol-execution-log.jsonl").read_bytes() == b"".join(file.read_bytes() + b"\n" for file in files)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_sha256sum_checks_a_run(disk_store: EvidenceStore, publish: Callable[..., Any], tmp_path: Path) -> None:
    """With the tool that everybody has."""
    publish(disk_store, "hypothesis-log.md", "x")
    rebuild_views(disk_store)
    directory = tmp_path / "root" / disk_store.run
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(command, cwd=directory, capture_output=True, check=False).returncode == 0
    (directory / "hypothesis-log.md").write_text("y")
    assert subprocess.run(command, cwd=directory, capture_output=True, check=False).returncode == 1


def test_latest_is_a_relative_link_that_moves(tmp_path: Path) -> None:
    """Relative, so that a copied tree keeps working."""
    for run in ("run-1", "run-2"):
        (tmp_path / run).mkdir()
        point_latest(tmp_path, run)
        assert (tmp_path / "latest").readlink() == Path(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run-1", "run-2"]


def test_latest_never_leads_out_of_the_root(tmp_path: Path) -> None:
    """Nor does it replace a folder that somebody made."""
    with pytest.raises(EvidenceError, match="EVI-400"):
        point_latest(tmp_path, "../elsewhere")
    (tmp_path / "latest").mkdir()
    with pytest.raises(EvidenceError):
        point_latest(tmp_path, "run-1")
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
