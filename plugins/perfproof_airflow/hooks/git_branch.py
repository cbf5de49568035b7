"""Approved files as a new branch of a git repository in the workspace, made of objects only.

Nothing is checked out: no branch that exists, no working tree, no index of the repository is touched.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from perfproof.applied_instrumentation import BranchChange
from perfproof.config import GitTarget
from perfproof.errors import ArtifactError
from perfproof.git_names import branch_problem
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks.git_command import GitCommand
from perfproof_airflow.hooks.git_push import pushed
from perfproof_airflow.hooks.workspace import Workspace

FILE_MODE = "100644"
# For each call of git.
SECONDS = 30.0
Blobs = dict[str, str]


class GitBranchHook:
    """Writes to the repository at `target.repository` (relative to the workspace, reached over no link)."""

    def __init__(self, workspace: Workspace, target: GitTarget, *, git: str = "git") -> None:
        self.workspace = workspace
        self.target = target
        self._git = git
        self._where = f"instrumentation.git ({target.repository})"

    def apply(self, files: Mapping[str, bytes], *, branch: str, message: str, moment: datetime) -> BranchChange:
        """What became of the repository; `files` are named below the target's directory.

        The commit depends on base, content, message and moment alone, so a second try makes the same one. A branch that holds these
        files already is left as it is. Raises ArtifactError 905 when there is no repository or git fails, 906 when the branch exists
        with other content, and 907 when a push fails.
        """
        if branch_problem(branch):
            raise self._failed(f"the branch cannot be made: {branch_problem(branch)}", branch)
        directory = self._directory()
        command = GitCommand(self._git, directory, where=self._where, seconds=SECONDS)
        paths = {f"{self.target.directory}/{name}": data for name, data in files.items()}
        digests = {path: sha256_hex(data) for path, data in paths.items()}
        base_name = f"refs/heads/{self.target.base}" if self.target.base else "HEAD"
        base = command.commit(base_name)
        if base is None:
            raise self._failed("the base has no commit", base_name)
        blobs = {path: command.line("hash-object", "-w", "--no-filters", "--stdin", data=data) for path, data in paths.items()}
        commit = command.commit(f"refs/heads/{branch}")
        state = "already there"
        if commit is None and command.blobs(base, list(blobs)) == blobs:
            return BranchChange("nothing to change", self.target.repository, self.target.base or "HEAD", base, base, digests)
        if commit is None:
            commit, state = self._committed(command, base, blobs, message, moment), "created"
            # An empty old value: the branch must not exist, whoever else makes it at this moment.
            command.line("update-ref", f"refs/heads/{branch}", commit, "")
        else:
            base = command.commit(f"refs/heads/{branch}^") or base
        self._require_there(command, branch, commit, blobs)
        remote = None
        if self.target.push:
            remote = pushed(command, directory, branch=branch, commit=commit, remote=self.target.remote, where=self._where)
        return BranchChange(state, self.target.repository, branch, commit, base, digests, remote)

    def _committed(self, command: GitCommand, base: str, blobs: Blobs, message: str, moment: datetime) -> str:
        with tempfile.TemporaryDirectory(prefix="perfproof-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            command.line("read-tree", base, more=index)
            entries = [part for path, blob in blobs.items() for part in ("--cacheinfo", f"{FILE_MODE},{blob},{path}")]
            # Without --replace: a file or a link that stands where a directory must be is an error, and not taken away.
            command.line("update-index", "--add", *entries, more=index)
            tree = command.line("write-tree", more=index)
        date = f"{int(moment.timestamp())} +0000"
        who = {"NAME": self.target.author_name, "EMAIL": self.target.author_email, "DATE": date}
        signed = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        return command.line("commit-tree", "--no-gpg-sign", tree, "-p", base, data=message.encode(), more=signed)

    def _require_there(self, command: GitCommand, branch: str, commit: str, blobs: Blobs) -> None:
        """Reads back what the branch holds."""
        if command.commit(f"refs/heads/{branch}") != commit or command.blobs(commit, list(blobs)) != blobs:
            raise ArtifactError(
                906, where=self._where, what="the branch exists with other content", got=branch,
                fix="delete or rename that branch, then clear this task",
            )  # fmt: skip

    def _directory(self) -> Path:
        """The directory of the repository itself: `.git` in the target's, or the target's if it is a bare one."""
        path = self.target.repository.rstrip("/")
        for directory in (f"{path}/.git", path):
            if {"HEAD", "objects", "refs"} <= set(self.workspace.names(directory)):
                return Path(os.path.normpath(self.workspace.root)) / directory
        raise self._failed("there is no git repository", self.target.repository)

    def _failed(self, what: str, got: object) -> ArtifactError:
        return ArtifactError(905, where=self._where, what=what, got=got, fix="correct instrumentation.git of the protocol file")
