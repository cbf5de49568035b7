"""Approved files as a branch of a real repository: new, the same on each try, and nothing else of the repository moved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.applied_instrumentation import BranchChange
from perfproof.config import GitTarget
from perfproof.errors import ArtifactError
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks.git_branch import GitBranchHook
from perfproof_airflow.hooks.workspace import Workspace

FILES = {"shop/alert-rules.yaml": b"groups: []\n", "shop/slo/slo-rules.yaml": b"\x00\xff binary\r\n"}
BRANCH = "perfproof/shop-0123456789ab"
MOMENT = datetime(2025, 2, 16, 17, 0, tzinfo=UTC)
TARGET = GitTarget(repository="monitoring", directory="alerts")
MESSAGE = "Objectives of shop, as approved\n\nCycle: r-1\n"
PLAIN = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments],  # noqa: S607
        cwd=directory, env=PLAIN, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a commit on main, a changed file, one in the index and one that is unknown."""
    made = tmp_path / "monitoring"
    made.mkdir()
    git(made, "init", "--quiet", "--initial-branch=main")
    (made / "kept.txt").write_text("one\n")
    git(made, "add", "kept.txt")
    git(made, "commit", "--quiet", "-m", "first")
    (made / "kept.txt").write_text("changed\n")
    (made / "staged.txt").write_text("staged\n")
    (made / "unknown.txt").write_text("unknown\n")
    git(made, "add", "staged.txt")
    return made


@pytest.fixture
def apply(tmp_path: Path) -> Callable[..., BranchChange]:
    def write(target: GitTarget = TARGET, *, branch: str = BRANCH, files: dict[str, bytes] = FILES, **more: Any) -> BranchChange:
        return GitBranchHook(Workspace(tmp_path), target, **more).apply(files, branch=branch, message=MESSAGE, moment=MOMENT)

    return write


def everything(repository: Path) -> tuple[Any, ...]:
    """What must not change: checked out branch, status, index, working tree."""
    return (
        git(repository, "symbolic-ref", "HEAD"), git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain"),
        (repository / ".git" / "index").read_bytes(), {path.name: path.read_bytes() for path in repository.glob("*.txt")},
    )  # fmt: skip


def test_a_new_branch_holds_the_files_byte_for_byte_and_what_the_base_had(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """One commit on the base, by the configured author, at the time of the approval."""
    change = apply()
    assert (change.state, change.branch, change.remote) == ("created", BRANCH, None)
    assert git(repository, "rev-parse", f"refs/heads/{BRANCH}") == change.commit
    assert git(repository, "rev-parse", f"{BRANCH}^") == change.base == git(repository, "rev-parse", "main")
    assert git(repository, "ls-tree", "-r", "--name-only", BRANCH).split() == [f"alerts/{name}" for name in FILES] + ["kept.txt"]
    for name, data in FILES.items():
        shown = subprocess.run(["git", "show", f"{BRANCH}:alerts/{name}"], cwd=repository, env=PLAIN, capture_output=True, check=True)  # noqa: S607
        assert shown.stdout == data and change.files[f"alerts/{name}"] == sha256_hex(data)
    told = git(repository, "log", "-1", "--format=%an %ae %cn %at %ct%n%B", BRANCH).splitlines()
    seconds = int(MOMENT.timestamp())
    assert told[0] == f"perfproof perfproof@example.invalid perfproof {seconds} {seconds}" and "\n".join(told[1:]) == MESSAGE.strip()


def test_branch_index_and_working_tree_that_people_use_stay_as_they_are(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """Whatever is changed, staged or unknown there."""
    before = everything(repository)
    apply()
    assert everything(repository) == before


def test_a_second_try_finds_the_same_commit(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """Also when the base has moved since; and a repository of the same history gets the very same commit."""
    first = apply()
    git(repository, "commit", "--quiet", "-m", "second")
    again = apply()
    assert (again.state, again.commit, again.base) == ("already there", first.commit, first.base)
    git(repository, "branch", "-D", BRANCH)
    git(repository, "reset", "--quiet", "--soft", "HEAD^")
    assert apply() == replace(first, state="created")


def test_files_that_the_base_has_make_no_branch(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """After a merge there is nothing to do."""
    first = apply()
    git(repository, "update-ref", "refs/heads/released", first.commit)
    change = apply(replace(TARGET, base="released"), branch="perfproof/other")
    assert (change.state, change.branch, change.commit) == ("nothing to change", "released", first.commit)
    assert "perfproof/other" not in git(repository, "branch", "--list")


def test_a_branch_of_somebody_else_is_not_moved(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """It halts, and the branch is where it was."""
    git(repository, "branch", BRANCH)
    with pytest.raises(ArtifactError, match=r"ART-906 .*the branch exists with other content"):
        apply()
    assert git(repository, "rev-parse", BRANCH) == git(repository, "rev-parse", "main")


@pytest.mark.parametrize("branch", ["-d", "a..b", "a/.b", "x.lock", "a b", "main:evil", "a/../b", "HEAD", "a\nb", "", "@{-1}", "a" * 300])
def test_hostile_names_reach_no_git(repository: Path, apply: Callable[..., BranchChange], branch: str) -> None:
    """One line, and no reference made."""
    before = git(repository, "for-each-ref")
    with pytest.raises(ArtifactError, match="ART-905"):
        apply(branch=branch)
    assert git(repository, "for-each-ref") == before


def test_a_bare_repository_takes_a_branch_too(repository: Path, tmp_path: Path, apply: Callable[..., BranchChange]) -> None:
    """It has no working tree at all."""
    git(tmp_path, "clone", "--quiet", "--bare", "monitoring", "bare.git")
    change = apply(replace(TARGET, repository="bare.git"))
    assert git(tmp_path / "bare.git", "rev-parse", BRANCH) == change.commit


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (replace(TARGET, repository="elsewhere"), "no git repository"),
        (replace(TARGET, base="nowhere"), "the base has no commit"),
        (replace(TARGET, directory="kept.txt"), "git update-index fails"),
    ],
)
def test_what_cannot_be_done_is_one_line(repository: Path, apply: Callable[..., BranchChange], target: GitTarget, what: str) -> None:
    """And no branch is left behind."""
    with pytest.raises(ArtifactError, match=rf"^ART-905 .*{what}"):
        apply(target)
    assert BRANCH not in git(repository, "for-each-ref", "--format=%(refname)")


def test_a_repository_behind_a_link_is_not_entered(repository: Path, tmp_path: Path, apply: Callable[..., BranchChange]) -> None:
    """It may lie outside of the workspace."""
    (tmp_path / "linked").symlink_to(repository)
    with pytest.raises(ArtifactError, match="ART-396"):
        apply(replace(TARGET, repository="linked"))


def test_a_link_in_the_tree_is_not_followed(repository: Path, tmp_path: Path, apply: Callable[..., BranchChange]) -> None:
    """A link named as the directory halts, and nothing is written where it points."""
    (repository / "alerts").symlink_to(tmp_path / "outside")
    git(repository, "add", "alerts")
    git(repository, "commit", "--quiet", "-m", "link")
    with pytest.raises(ArtifactError, match="ART-905"):
        apply()
    assert not (tmp_path / "outside").exists()


def test_a_repository_runs_nothing_of_its_own(repository: Path, tmp_path: Path, apply: Callable[..., BranchChange]) -> None:
    """Neither its hooks nor what its configuration names."""
    trace = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho ran >> {trace}\n")
    script.chmod(0o755)
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "pre-commit", "post-commit", "post-index-change", "pre-push", "update"):
        (hooks / name).write_bytes(script.read_bytes())
        (hooks / name).chmod(0o755)
    for key in ("core.fsmonitor", "gpg.program", "core.pager", "core.editor", "filter.x.clean", "core.sshCommand", "credential.helper"):
        git(repository, "config", key, str(script))
    git(repository, "config", "commit.gpgSign", "true")
    git(repository, "config", "filter.x.required", "true")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=x\n")
    assert apply().state == "created"
    assert not trace.exists()


def test_a_git_that_is_not_there_or_has_no_end_is_an_error(
    repository: Path, tmp_path: Path, apply: Callable[..., BranchChange], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, after its time."""
    with pytest.raises(ArtifactError, match=r"ART-905 .*git cannot be run"):
        apply(git=str(tmp_path / "no-git"))
    slow = tmp_path / "slow-git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("perfproof_airflow.hooks.git_branch.SECONDS", 0.3)
    with pytest.raises(ArtifactError, match=r"ART-905 .*git did not answer in time"):
        apply(git=str(slow))


@pytest.fixture
def remote(repository: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--bare", "monitoring", "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return tmp_path / "remote.git"


def test_nothing_is_pushed_unless_it_is_said(repository: Path, remote: Path, apply: Callable[..., BranchChange]) -> None:
    """A remote alone does not make it so."""
    assert apply().remote is None
    assert BRANCH not in git(remote, "for-each-ref", "--format=%(refname)")


def test_a_push_is_read_back_and_does_the_same_twice(repository: Path, remote: Path, apply: Callable[..., BranchChange]) -> None:
    """The remote has the commit, and nothing else moved there; the pre-push hook of the repository is not run."""
    hook = repository / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    main = git(remote, "rev-parse", "main")
    target = replace(TARGET, push=True)
    first, second = apply(target), apply(target)
    assert first.remote == second.remote == str(remote)
    assert git(remote, "rev-parse", BRANCH) == first.commit == second.commit and git(remote, "rev-parse", "main") == main


def test_a_branch_of_the_remote_is_never_moved(repository: Path, remote: Path, apply: Callable[..., BranchChange]) -> None:
    """Somebody pushed other work under that name."""
    other = git(remote, "commit-tree", "-m", "other", git(remote, "rev-parse", "main^{tree}"))
    git(remote, "update-ref", f"refs/heads/{BRANCH}", other)
    with pytest.raises(ArtifactError, match=r"ART-907 .*the push fails"):
        apply(replace(TARGET, push=True))
    assert git(remote, "rev-parse", BRANCH) == other


@pytest.mark.parametrize(
    "address",
    [
        "ext::sh -c touch% ran", "--upload-pack=x", "https://me:secret@example.invalid/x.git", "http://example.invalid/x", "relative/x",
        "fd::17",
    ],
)  # fmt: skip
def test_an_address_that_runs_something_or_holds_a_secret_is_refused(
    repository: Path, remote: Path, apply: Callable[..., BranchChange], address: str
) -> None:
    """Before git sees it, and without quoting it."""
    git(repository, "config", "remote.origin.url", address)
    with pytest.raises(ArtifactError, match="ART-907") as refused:
        apply(replace(TARGET, push=True))
    assert "secret" not in str(refused.value)


def test_an_unknown_remote_is_one_line(repository: Path, apply: Callable[..., BranchChange]) -> None:
    """The branch is there, so the next try goes on from it."""
    with pytest.raises(ArtifactError, match=r"ART-907 .*no such remote"):
        apply(replace(TARGET, push=True))
    assert git(repository, "rev-parse", BRANCH)
