"""The history of recurring captures as pages read it: its baselines, and the changes that were reported over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfproof.baseline import read_baseline
from perfproof.capture_changes import read_changes
from perfproof.config_checks import IDENTIFIER
from perfproof.cycles.baselines import baseline_history
from perfproof.errors import ArtifactError
from perfproof.history import entry_path, newest
from perfproof_airflow import settings
from perfproof_airflow.captures import CHANGES, COMPARED, HISTORY_DIRECTORY
from perfproof_airflow.hooks.workspace import Absent, Workspace
from perfproof_airflow.web.newest import Newest

# Two weeks of hourly captures, of a few protocols.
MAX_CAPTURES = 4 * COMPARED


@dataclass(slots=True)
class CaptureHistory:
    """The histories below `directory` of a workspace. A capture that did not change since it was read is not read again."""

    workspace: Workspace
    directory: str
    _read: Newest[tuple[tuple[int, int], dict[str, Any]]] = field(default_factory=lambda: Newest(MAX_CAPTURES))

    @classmethod
    def of_this_airflow(cls) -> CaptureHistory:
        """The history that the recurring captures of this Airflow write."""
        return cls(Workspace(settings.workspace_root()), settings.option("history_dir", HISTORY_DIRECTORY))

    def protocols(self) -> list[str]:
        """The protocols that have captures, by name."""
        names = [name for name in self.workspace.names(self.directory) if IDENTIFIER.fullmatch(name)]
        return [name for name in names if self._captures(name, limit=1)]

    def baselines(self, protocol: str) -> dict[str, Any] | None:
        """The newest captures of a protocol as series, `perfproof.cycles.baselines`; None where there are none."""
        names = self._captures(protocol, limit=COMPARED) if IDENTIFIER.fullmatch(protocol) else []
        if not names:
            return None
        documents, unreadable = [], []
        for name in names:
            try:
                documents.append(self._capture(entry_path(self.directory, protocol, name)))
            except ArtifactError as problem:
                unreadable.append({"name": name, "problem": str(problem)})
        changes: list[dict[str, Any]] = []
        try:
            changes = read_changes(self.workspace.read(f"{self.directory}/{protocol}/{CHANGES}"), where=CHANGES)
        except Absent:
            pass
        except ArtifactError as problem:
            unreadable.append({"name": CHANGES, "problem": str(problem)})
        return baseline_history(documents, protocol=protocol, changes=changes, unreadable=unreadable)

    def _captures(self, protocol: str, *, limit: int) -> list[str]:
        return newest(self.workspace.names(f"{self.directory}/{protocol}"), limit=limit)

    def _capture(self, path: str) -> dict[str, Any]:
        try:
            state = (self.workspace.root / path).lstat()
            version = (state.st_mtime_ns, state.st_size)
        except OSError:
            # Reading it says what is wrong.
            version = (0, 0)
        known = self._read.get(path)
        document = known[1] if known is not None and known[0] == version else read_baseline(self.workspace.read(path), where=path)
        self._read.put(path, (version, document))
        return document
