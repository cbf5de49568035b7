"""Tags of a real git repository as deployments: hostile names, foreign configuration, no repository, no time."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ArtifactError, TelemetryError
from perfproof_airflow.hooks.git_tags import GitTagsHook
from perfproof_airflow.hooks.workspace import Workspace

GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="no git: install it, or put it on PATH")
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
HOSTILE = [
    "$(touch${IFS}made)",
    "a;touch-made",
    "a|b`id`",
    "<script>alert(1)</script>",
    "--upload-pack=evil",
    "'\"quotes",
    "émoji-🦊",
    "-rf",
]


def git(directory: Path, *arguments: str, at: str = "2025-02-16T09:30:00Z", message: bytes | None = None) -> str:
    person = {"NAME": "a", "EMAIL": "a@example.org", "DATE": at}
    people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in person.items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1", **people}
    return subprocess.run(
        [str(GIT), "-C", str(directory), *arguments], env=environment, input=message, capture_output=True, check=True
    ).stdout.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in the workspace with one commit of 09:00."""
    directory = tmp_path / "shop"
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    git(directory, "commit", "-q", "--allow-empty", "-m", "Begin", at="2025-02-16T08:00:00Z")
    return directory


def items(workspace: Path, query: str | None = None, *, path: str = "shop", **changes: Any) -> list[dict[str, Any]]:
    hook = GitTagsHook(Workspace(workspace), path, service="shop", **changes)
    found, raw = hook.items(query=query, start=NOW.timestamp() - 3600, end=NOW.timestamp(), fetched_at=NOW)
    assert isinstance(raw, bytes)
    return found["deployments"]


def test_tags_of_the_window_and_the_last_before_are_deployments(repository: Path) -> None:
    """Build is the tag, the time when it was made, the change its subject; a lightweight tag has those of its commit."""
    git(repository, "tag", "v0", "-m", "Older", at="2025-02-16T07:00:00Z")
    git(repository, "tag", "v1")
    git(repository, "tag", "v2", "-m", "No more joins\n\nIn detail: none.")
    git(repository, "tag", "v3", "-m", "Later", at="2025-02-16T11:00:00Z")
    assert items(repository.parent) == [
        {"service": "shop", "build": "v1", "deployed_at": "2025-02-16T08:00:00Z", "change": "Begin"},
        {"service": "shop", "build": "v2", "deployed_at": "2025-02-16T09:30:00Z", "change": "No more joins"},
    ]


def test_a_pattern_chooses_the_tags(repository: Path) -> None:
    """One repository may hold the tags of several services."""
    for name in ("shop-v1", "mail-v1"):
        git(repository, "tag", name, "-m", name)
    assert [item["build"] for item in items(repository.parent, "shop-v*")] == ["shop-v1"]


@pytest.mark.parametrize("query", ["--upload-pack=x y", "../heads/main", "/etc", "a b", "", "$(id)", "a..b", "x\n"])
def test_a_query_that_is_no_pattern_is_refused(repository: Path, query: str) -> None:
    """Nothing of the protocol file reaches git but a pattern below refs/tags."""
    with pytest.raises(TelemetryError, match="TEL-779"):
        items(repository.parent, query)


def test_hostile_names_and_subjects_stay_text(repository: Path) -> None:
    """Names that are options, commands or markup come back as they are, and nothing runs."""
    for name in HOSTILE:
        git(repository, "update-ref", f"refs/tags/{name}", git(repository, "rev-parse", "HEAD").strip())
    git(repository, "tag", "subject", "-F", "-", message=b"| a \x1b[31m \xff cell\n")
    found = {item["build"]: item["change"] for item in items(repository.parent)}
    tagged = git(repository, "tag", "--list").split("\n")
    assert set(HOSTILE) <= set(tagged)
    # Those of the commit are older than the window: the last one before it is told, whichever that is.
    assert set(found) - {"subject"} <= set(HOSTILE)
    assert "| a" in found["subject"]
    assert not list(repository.parent.rglob("made"))
    everything = GitTagsHook(Workspace(repository.parent), "shop").items(query=None, start=0, end=NOW.timestamp(), fetched_at=NOW)[0]
    assert {item["build"] for item in everything["deployments"]} == {*HOSTILE, "subject"}


def test_the_repositorys_own_configuration_runs_nothing(repository: Path) -> None:
    """A pager, a monitor, a replaced command and a remote to fetch from: none is started."""
    made = repository.parent / "made"
    git(repository, "tag", "v2", "-m", "x")
    for key in ("core.pager", "core.fsmonitor", "core.sshCommand", "pager.for-each-ref", "alias.for-each-ref", "core.hooksPath"):
        git(repository, "config", key, f"touch {made}")
    git(repository, "config", "remote.origin.url", f"ext::touch {made}")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "core.repositoryFormatVersion", "1")
    missing = "1" * 40
    (repository / ".git" / "refs" / "tags" / "gone").write_text(missing + "\n")
    with pytest.raises(TelemetryError, match="TEL-774"):
        items(repository.parent)
    (repository / ".git" / "refs" / "tags" / "gone").unlink()
    assert [item["build"] for item in items(repository.parent)] == ["v2"]
    assert not made.exists()


def test_a_repository_of_somebody_else_is_read(repository: Path) -> None:
    """Workspaces are often mounted: git's refusal of a foreign owner is lifted for this directory only."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    git(repository, "tag", "v2", "-m", "x")
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 4242, 4242)
    assert [item["build"] for item in items(repository.parent)] == ["v2"]


def test_a_bare_repository_is_one(repository: Path) -> None:
    """A mirror has no `.git` directory."""
    git(repository, "tag", "v2", "-m", "x")
    git(repository.parent, "clone", "-q", "--bare", "shop", "mirror.git")
    assert [item["build"] for item in items(repository.parent, path="mirror.git")] == ["v2"]


@pytest.mark.parametrize("path", ["../shop", "/etc", "shop/../shop", "link", "worktree"])
def test_a_path_that_leaves_the_workspace_is_refused(repository: Path, path: str) -> None:
    """Upwards, absolute, over a link, or by a `.git` file that points elsewhere."""
    (repository.parent / "link").symlink_to(repository)
    git(repository, "worktree", "add", "-q", str(repository.parent / "worktree"))
    with pytest.raises(ArtifactError, match="ART-396"):
        items(repository.parent, path=path)


def test_a_directory_inside_of_a_repository_is_none(repository: Path) -> None:
    """Git would look upwards for a repository; that one was not named."""
    (repository / "part").mkdir()
    for path in ("shop/part", "absent"):
        with pytest.raises(TelemetryError, match="TEL-774"):
            items(repository.parent, path=path)


def test_no_tag_is_an_empty_list(repository: Path) -> None:
    """A repository without tags is an answer."""
    assert items(repository.parent) == []


@pytest.mark.parametrize(
    ("script", "told"),
    [("exec sleep 30", "in time"), ("exit 3", "git fails"), ("exec cat /dev/zero", "too much"), ("printf 'a\\0b\\0\\n'", "TEL-776")],
)
def test_a_git_that_fails_is_an_error(repository: Path, tmp_path: Path, script: str, told: str) -> None:
    """It hangs, ends with a status, floods, or writes something else."""
    program = tmp_path / "broken-git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(TelemetryError, match=told):
        items(repository.parent, git=str(program), seconds=0.5)


def test_an_absent_git_is_an_error(repository: Path, tmp_path: Path) -> None:
    """Nothing was deployed is another thing than nobody could look."""
    with pytest.raises(TelemetryError, match="TEL-774"):
        items(repository.parent, git=str(tmp_path / "no-git"))
