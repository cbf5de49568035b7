"""Changes that people have accepted, each with who and why: `{"series": [{"index": 55, "reason": "…", "by": "…"}]}`.

`time` may stand in the place of `index`: a moment, or the text that the series itself has. A change moves by a value or two as
more is measured, so an entry belongs to the nearest change not further away than three values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import ArtifactError
from perfproof.inputs.shapes import refusal
from perfproof.strict import build, read_json

NEAR = 3


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One accepted change: where it is (`index` from 0, or `time`), why it is accepted, and by whom."""

    reason: str
    by: str
    index: int | None = None
    time: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        return f"acknowledged by {self.by}: {self.reason}"

    def place(self, times: Sequence[str]) -> int | None:
        """The index that is meant in a series with these `times`, None if there is none."""
        if self.index is not None:
            return self.index
        if self.time is not None and self.time in times:
            return list(times).index(self.time)
        meant = _moment(self.time)
        if meant is None:
            return None
        moments = [_moment(text) for text in times]
        return next((place for place, moment in enumerate(moments) if moment is not None and moment >= meant), None)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Every entry of a file, by series."""

    entries: Mapping[str, tuple[Acknowledgement, ...]]

    def of(self, series: str, changes: Sequence[int], *, times: Sequence[str] = ()) -> list[Acknowledgement | None]:
        """For each of `changes` (indices) the entry that accepts it. An entry accepts one change: the nearest."""
        pairs = [
            (abs(place - at), number, which)
            for which, entry in enumerate(self.entries.get(series, ()))
            if (place := entry.place(times)) is not None
            for number, at in enumerate(changes)
            if abs(place - at) <= NEAR
        ]
        found: dict[int, int] = {}
        for _, number, which in sorted(pairs):
            if number not in found and which not in found.values():
                found[number] = which
        entries = self.entries.get(series, ())
        return [entries[found[number]] if number in found else None for number in range(len(changes))]

    def require_known(self, series: Sequence[str], *, where: str) -> None:
        """Raises ArtifactError 475 for an entry of a series that does not exist: a slip of the pen accepts nothing."""
        unknown = next((name for name in self.entries if name not in series), None)
        if unknown is not None:
            raise _refused(f"{where} {unknown}", "no such series", "use the name that is printed", got=unknown)


NOTHING_ACKNOWLEDGED = Acknowledged({})


def read_acknowledged(data: bytes, *, where: str) -> Acknowledged:
    """The entries in `data`. Raises ArtifactError for another shape, an empty reason, or an entry without a place."""
    document = read_json(data, where=where)
    if not isinstance(document, dict):
        raise _refused(where, "not a mapping", "write series: list of entries", got=document)
    return Acknowledged({name: _entries(given, where=f"{where} {name}") for name, given in document.items()})


def _entries(given: Any, *, where: str) -> tuple[Acknowledgement, ...]:
    if not isinstance(given, list):
        raise _refused(where, "not a list", "write a list of entries", got=given)
    entries = tuple(build(Acknowledgement, entry, where=f"{where}[{place}]", error=ArtifactError) for place, entry in enumerate(given))
    for place, entry in enumerate(entries):
        here = f"{where}[{place}]"
        if (entry.index is None) is (entry.time is None):
            raise _refused(here, "not exactly one of index and time", "say where the change is")
        if entry.index is not None and entry.index < 0:
            raise _refused(f"{here}.index", "below zero", "count from 0", got=entry.index)
        for key in ("reason", "by"):
            if not getattr(entry, key).strip():
                raise _refused(f"{here}.{key}", "empty", "say why, and who accepted it")
    return entries


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refused(where: str, what: str, fix: str, *, got: Any = None) -> ArtifactError:
    return refusal(475, where, what, fix, got=got)
