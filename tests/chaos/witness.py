"""What was acknowledged, written down outside the evidence: entries that were seen, marks that Airflow answered, tasks it calls done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.evidence import Entry


@dataclass(frozen=True, slots=True)
class Mark:
    """A person's act on a request. `status` is Airflow's answer; None if the answer never came, so that it may or may not have worked."""

    request_id: str
    role: str
    person: str
    status: int | None


@dataclass(frozen=True, slots=True)
class Done:
    """A task instance that Airflow calls successful, and the references that it returned."""

    task_id: str
    map_index: int
    references: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Witness:
    """What the rig itself knows of one run."""

    entries: dict[int, str] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def observe(self, entries: Sequence[Entry]) -> None:
        """Remembers every entry that was ever read, and every one that is another than when it was read first."""
        for entry in entries:
            if self.entries.setdefault(entry.seq, entry.sha256) != entry.sha256:
                self.changed.append(f"entry {entry.seq} is another than before")

    @property
    def anchors(self) -> list[tuple[int, str]]:
        """The longest log that was seen, as `verify` takes it."""
        last = max(self.entries, default=-1)
        return [] if last < 0 else [(last + 1, self.entries[last])]


def references_in(value: Any) -> list[tuple[str, str]]:
    """Every reference (name, sha256) in what a task returned."""
    if isinstance(value, Mapping):
        if isinstance(value.get("sha256"), str) and isinstance(value.get("name"), str) and "uri" in value:
            return [(value["name"], value["sha256"])]
        return [found for inner in value.values() for found in references_in(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in references_in(inner)]
    return []
