"""The tags of a git repository in the workspace as a source of deployments, for teams whose tag is the deployment."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.reported.deployments import TAG_FORMAT, tag_items, tag_pattern
from perfproof.reported.fields import require_window
from perfproof_airflow.hooks.workspace import Workspace

TIMEOUT_SECONDS = 20.0
MAX_OUTPUT_BYTES = 8 << 20
MAX_TAGS = 10_000
# The configuration of the user and of the machine is not the repository's, and what the repository's own says must not reach
# anything: a partial clone would fetch what is missing by a command that its configuration names.
ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_REPLACE_OBJECTS": "1",
}  # fmt: skip


class GitTagsHook:
    """Lists the tags of the repository at `path` (relative to the workspace, reached over no link). `service` is what the tags deploy."""

    hook_name = "Git tags"
    collection_method = "git for-each-ref"

    def __init__(
        self, workspace: Workspace, path: str, *, source: str = "git_tags", service: str | None = None, git: str = "git",
        seconds: float = TIMEOUT_SECONDS,
    ) -> None:  # fmt: skip
        self.workspace = workspace
        self.path = path
        self.source = source
        self.service = service
        self._git = git
        self._seconds = seconds

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """`{"deployments": […]}` in the window (seconds since the epoch) and the last before it, and git's output.

        `query` is a pattern of tag names, as `shop-v*`. Raises TelemetryError 774 when there is no repository or git fails, 776 for an
        output of another form, 779 for another query; ArtifactError 396 for a path that leaves the workspace or goes over a link.
        """
        require_window(start, end, where=self._where)
        pattern = tag_pattern(query, where=self._where)
        directory = str(self.workspace.root / self._directory())
        command = [
            self._git, "--no-pager", "-c", f"safe.directory={directory}", f"--git-dir={directory}", "for-each-ref",
            f"--format={TAG_FORMAT}", "--sort=-creatordate", f"--count={MAX_TAGS}", pattern,
        ]  # fmt: skip
        output = self._output(command)
        found = tag_items(output, service=self.service, start=start, end=end, where=self._where)
        return {"deployments": found}, output

    def _directory(self) -> str:
        """The directory of the repository itself, relative to the workspace: `.git` in `path`, or `path` if it is a bare one."""
        path = self.path.rstrip("/")
        for directory in (f"{path}/.git", path) if ".git" in self.workspace.names(path) else (path,):
            if {"HEAD", "objects", "refs"} <= set(self.workspace.names(directory)):
                return directory
        raise self._failed("there is no git repository", self.path)

    def _output(self, command: list[str]) -> bytes:
        environment = {**ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)}
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                cwd=self.workspace.root,
            )  # fmt: skip
        except OSError as error:
            raise self._failed("git cannot be run", error.strerror) from None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        with process:
            output = process.stdout.read(MAX_OUTPUT_BYTES + 1) if process.stdout else b""
            if len(output) > MAX_OUTPUT_BYTES:
                process.kill()
            status = process.wait()
        timer.cancel()
        if late.is_set():
            raise self._failed("git did not answer in time", f"{self._seconds:g} s")
        if len(output) > MAX_OUTPUT_BYTES:
            raise self._failed("git tells too much", f"over {MAX_OUTPUT_BYTES} bytes")
        if status != 0:
            raise self._failed("git fails", f"status {status}")
        return output

    def _failed(self, what: str, got: Any) -> TelemetryError:
        return TelemetryError(
            774, where=self._where, what=f"no tags: {what}", got=got, fix="correct the path of the repository in the protocol file"
        )

    @property
    def _where(self) -> str:
        return f"{self.source} ({self.path})"
