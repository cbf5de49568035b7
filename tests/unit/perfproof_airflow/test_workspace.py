"""The workspace: reads what lies inside, follows no link but `latest`, writes whole files only."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfproof.errors import ArtifactError, TelemetryError
from perfproof_airflow.hooks.json_lines import JsonLinesHook
from perfproof_airflow.hooks.workspace import Absent, Workspace

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "file.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    return Workspace(root)


def test_a_file_inside_is_read_with_its_date(workspace: Workspace) -> None:
    """Bytes, and for the prerequisites also when it was changed."""
    assert workspace.read("in/file.txt") == b"inside"
    found = workspace.find("in/file.txt")
    assert (found.data, found.error) == (b"inside", None)
    assert found.modified_at is not None
    assert found.modified_at.tzinfo is UTC


@pytest.mark.parametrize(
    "path", ["../secret.txt", "in/../../secret.txt", "/etc/passwd", "", ".", "in/./file.txt", "in//file.txt", "a\0b", "a\\b"]
)
def test_a_path_out_of_the_workspace_is_refused(workspace: Workspace, path: str) -> None:
    """However it is spelt, for reading, writing and looking."""
    for act in (workspace.read, workspace.names, lambda p: workspace.write(p, b"x"), lambda p: workspace.tail(p, limit=1)):
        with pytest.raises(ArtifactError, match="ART-396"):
            act(path)
    assert workspace.find(path).error is not None
    assert workspace.probe_writable(path) is not None


def test_links_are_not_followed(workspace: Workspace) -> None:
    """Neither at the end nor on the way, neither out of the workspace nor within it."""
    (workspace.root / "link.txt").symlink_to(workspace.root / "in" / "file.txt")
    (workspace.root / "out.txt").symlink_to("../secret.txt")
    (workspace.root / "folder").symlink_to("in", target_is_directory=True)
    for path in ("link.txt", "out.txt", "folder/file.txt"):
        with pytest.raises(ArtifactError, match=r"ART-396 .*link"):
            workspace.read(path)
    with pytest.raises(ArtifactError):
        workspace.write("folder/new.txt", b"x")
    assert not (workspace.root / "in" / "new.txt").exists()


def test_latest_leads_to_the_cycle_beside_it(workspace: Workspace) -> None:
    """The one link that is documented."""
    (workspace.root / "latest").symlink_to("in", target_is_directory=True)
    assert workspace.read("latest/file.txt") == b"inside"


@pytest.mark.parametrize("target", ["..", "../other", "/etc", "in/deeper"])
def test_latest_leads_nowhere_else(workspace: Workspace, target: str) -> None:
    """A link of that name that leaves its directory is refused."""
    (workspace.root / "in" / "deeper").mkdir()
    (workspace.root / "latest").symlink_to(target)
    with pytest.raises(ArtifactError, match=r"ART-396 .*latest points out"):
        workspace.read("latest/file.txt")


def test_a_file_named_latest_must_be_a_file(workspace: Workspace) -> None:
    """The exception is for a directory on the way, not for the file itself."""
    (workspace.root / "in" / "latest").symlink_to("file.txt")
    with pytest.raises(ArtifactError, match="ART-396"):
        workspace.read("in/latest")


def test_fifos_and_directories_are_no_files(workspace: Workspace) -> None:
    """And a FIFO without a writer does not hold up the task."""
    os.mkfifo(workspace.root / "fifo")
    for path in ("fifo", "in"):
        with pytest.raises(ArtifactError, match="not a regular file"):
            workspace.read(path)


def test_an_absent_file_is_an_answer(workspace: Workspace) -> None:
    """`find` says that nothing is there; `read` raises its own error for it; an absent directory has no names."""
    found = workspace.find("in/absent.txt")
    assert (found.data, found.error) == (None, None)
    with pytest.raises(Absent, match="ART-395"):
        workspace.read("absent/absent.txt")
    assert workspace.names("absent") == []


def test_a_file_beyond_the_limit_is_refused(workspace: Workspace) -> None:
    """At the limit it is read, beyond it is not."""
    assert workspace.read("in/file.txt", limit=6) == b"inside"
    with pytest.raises(ArtifactError, match="too large"):
        workspace.read("in/file.txt", limit=5)
    assert "too large" in str(workspace.find("in/file.txt", limit=5).error)


def test_writing_makes_directories_and_leaves_nothing_half(workspace: Workspace) -> None:
    """A second write replaces the first; no temporary file stays."""
    workspace.write("a/b/c.json", b"1")
    workspace.write("a/b/c.json", b"22")
    assert workspace.read("a/b/c.json") == b"22"
    assert workspace.names("a/b") == ["c.json"]


def test_a_reader_never_sees_half_a_file(workspace: Workspace) -> None:
    """While one thread replaces the file, another reads only whole versions."""
    versions = {bytes([65 + n]) * 200_000 for n in range(2)}
    workspace.write("f", next(iter(versions)))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for version in versions:
                workspace.write("f", version)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(workspace.read("f") in versions for _ in range(200))
    finally:
        stop.set()
        writer.join()


def test_a_writable_directory_is_made_and_left_empty(workspace: Workspace) -> None:
    """The probe creates the directory, and removes its own file."""
    assert workspace.probe_writable(".cursor/context-kit") is None
    assert workspace.names(".cursor/context-kit") == []


def test_a_directory_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    """A file in the way of the directory is a reason, not a traceback."""
    assert "no directory" in str(workspace.probe_writable("in/file.txt"))


def test_the_end_of_a_long_log_is_read(workspace: Workspace) -> None:
    """Only the last bytes, and whether something came before."""
    assert workspace.tail("in/file.txt", limit=4) == (b"side", True)
    assert workspace.tail("in/file.txt", limit=6) == (b"inside", False)


def test_a_log_is_summarised_within_its_bound(workspace: Workspace) -> None:
    """Of a log with a thousand lines, those in the last bytes are counted."""
    line = b'{"time": "2025-02-16T09:59:00Z", "status": 200}\n'
    (workspace.root / "log.jsonl").write_bytes(line * 1000)
    summary, digest = JsonLinesHook(workspace, "log.jsonl", tail_bytes=len(line) * 10 + 5).summary(now=NOW)
    assert (summary["lines"], summary["malformed"], summary["cut"], summary["counts"]) == (10, 0, True, {"status": {"200": 10}})
    assert len(digest) == 64


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no json\n", b'{"half": 1}'])
def test_a_log_without_a_readable_line_is_an_error(workspace: Workspace, content: bytes) -> None:
    """An empty log is not an answer with zero requests."""
    (workspace.root / "log.jsonl").write_bytes(content)
    with pytest.raises(TelemetryError, match="TEL-285"):
        JsonLinesHook(workspace, "log.jsonl").summary(now=NOW)
