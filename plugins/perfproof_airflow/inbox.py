"""The inbox of the next intake on disk: captures open drifts, cycles take them, and whoever wrote last brings the view up to date.

Each file of `drifts/` and `taken/` has one writer, and the view is written again until nothing is new: so two writers at once lose
nothing, without a lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from perfproof.announcements import one_line
from perfproof.artifacts import Artifact
from perfproof.change_points.acknowledged import Acknowledged
from perfproof.errors import PerfproofError
from perfproof.inputs.backlog import DRIFT
from perfproof.intake_inbox import DRIFTS, ID, TAKEN, VIEW, accepted_drifts, inbox_document, mark, read_drift, read_mark
from perfproof.moments import parse_stamp
from perfproof.strict import read_json
from perfproof.telemetry import document_bytes
from perfproof_airflow import settings
from perfproof_airflow.captures import HISTORY_DIRECTORY, acknowledged_changes
from perfproof_airflow.hooks.workspace import Absent, Workspace

if TYPE_CHECKING:
    from perfproof_airflow.cycle import Cycle

log = logging.getLogger(__name__)
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Inbox:
    """The inbox of one protocol; `directory` is that of its history, relative to the workspace."""

    protocol: str
    directory: str
    workspace: Workspace

    @classmethod
    def of(cls, protocol: str) -> Inbox:
        """The inbox of the protocol file of that name."""
        history = settings.option("history_dir", HISTORY_DIRECTORY)
        return cls(protocol, f"{history.rstrip('/')}/{protocol}", Workspace(settings.workspace_root()))

    def drifts(self) -> list[dict[str, Any]]:
        """Every drift that was ever opened, by id."""
        return [self._drift(name) for name in self._names(DRIFTS)]

    def open(self, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The drifts as they are kept: one that is there stays as it was opened first."""
        kept = []
        for item in items:
            name = f"{item['id']}.json"
            if name not in self._names(DRIFTS):
                self.workspace.write(f"{self.directory}/{DRIFTS}/{name}", document_bytes(dict(item)))
            kept.append(self._drift(name))
        return kept

    def take(self, run: str, ids: Sequence[str], *, at: datetime, handed_off: bool = False) -> None:
        """Notes that the cycle `run` took these drifts; a cycle that took none leaves no mark."""
        path = f"{self.directory}/{TAKEN}/{run}.json"
        earlier = self._earlier(path)
        if ids or earlier is not None:
            document = mark(run, ids, at=at, earlier=earlier, handed_off=handed_off)
            if document != earlier:
                self.workspace.write(path, document_bytes(document))

    def refresh(self, *, dated: datetime, acknowledged: Acknowledged) -> dict[str, Any]:
        """The view as it is now, written where it differs. It never becomes older than it was."""
        path = f"{self.directory}/{VIEW}"
        document = self._document(dated, acknowledged, path)
        for _ in range(ROUNDS):
            if self._bytes(path) != document_bytes(document):
                self.workspace.write(path, document_bytes(document))
            # Another writer may have read before and written after this one: the last one to look writes again.
            again = self._document(dated, acknowledged, path)
            if again == document:
                break
            document = again
        return document

    def _document(self, dated: datetime, acknowledged: Acknowledged, path: str) -> dict[str, Any]:
        drifts = self.drifts()
        marks = [read_mark(self.workspace.read(where), where=where) for where in self._paths(TAKEN)]
        accepted = accepted_drifts(drifts, acknowledged)
        newest = max(dated, self._dated(path) or dated)
        return inbox_document(drifts, marks, protocol=self.protocol, dated=newest, accepted=accepted)

    def _drift(self, name: str) -> dict[str, Any]:
        where = f"{self.directory}/{DRIFTS}/{name}"
        return read_drift(self.workspace.read(where), where=where)

    def _earlier(self, path: str) -> dict[str, Any] | None:
        data = self._bytes(path)
        return None if data is None else read_mark(data, where=path)

    def _bytes(self, path: str) -> bytes | None:
        try:
            return self.workspace.read(path)
        except Absent:
            return None

    def _dated(self, path: str) -> datetime | None:
        """The date of the view that is there. One that is damaged is written anew, from what it is a view of."""
        try:
            return parse_stamp(read_json(self.workspace.read(path), where=path)["created_at"])
        except (PerfproofError, KeyError, TypeError):
            return None

    def _names(self, part: str) -> list[str]:
        return [name for name in self.workspace.names(f"{self.directory}/{part}") if name.endswith(".json") and not name.startswith(".")]

    def _paths(self, part: str) -> list[str]:
        return [f"{self.directory}/{part}/{name}" for name in self._names(part)]


def take_drifts(cycle: Cycle, *, now: datetime, handed_off: bool = False) -> list[str]:
    """Marks the drifts that the cycle's intake holds as taken by it, and as handed off with it; the answer is their ids.

    A mark that cannot be written stops no cycle: the drift is then offered again, and the task's log says why.
    """
    try:
        inbox = Inbox.of(cycle.protocol.name)
        known = {drift["id"] for drift in inbox.drifts()}
        ids = sorted({str(item["id"]) for item in _intake_backlog(cycle)} & known)
        inbox.take(cycle.run, ids, at=now, handed_off=handed_off)
        if known:
            inbox.refresh(dated=now, acknowledged=acknowledged_changes(cycle.protocol.name))
    except PerfproofError as error:
        log.warning("the intake items of the captures could not be marked: %s", one_line(str(error)))
        return []
    return ids


def inherited_items(cycle: Cycle) -> list[dict[str, Any]]:
    """The backlog of the cycle's intake, without drifts that a person has accepted since."""
    items = _intake_backlog(cycle)
    drifts = [item for item in items if item["kind"] == DRIFT and ID.fullmatch(str(item["id"])) and "interval" in item]
    accepted = accepted_drifts(drifts, acknowledged_changes(cycle.protocol.name))
    return [item for item in items if item["id"] not in accepted]


def _intake_backlog(cycle: Cycle) -> list[dict[str, Any]]:
    if cycle.store.live(Artifact.INTAKE_REPORT) is None:
        return []
    found: list[dict[str, Any]] = cycle.document(Artifact.INTAKE_REPORT).get("backlog", [])
    return found
