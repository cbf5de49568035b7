"""`cycle-view.json`: a cycle's summary in its directory, so that a list of a thousand cycles reads a thousand small files and no log.

It is a view like the others: it can be written again at any time, it is fresh as long as the log has no entry with the number that it
counts up to, and nothing is decided by it. Whoever finds a stale one, one of another version, or none computes the summary.
`perfproof verify` computes it again and names one that says something else than the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from perfproof.cycles.state import State
from perfproof.cycles.summary import store_summary, summary_of, unreadable_summary
from perfproof.errors import ArtifactError, EvidenceError
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.inspection import tampered
from perfproof.evidence.names import CYCLE_VIEW, log_key
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.verdict import Finding, Outcome
from perfproof.strict import read_json

# Grows whenever a summary has other keys, or says something else about the same log.
VIEW_VERSION = 1
MAX_VIEW_BYTES = 1 << 20
_STATES = frozenset(State) - {State.UNREADABLE}
_KEYS = frozenset(unreadable_summary("", ""))
_LISTS = ("services", "gates", "waiting", "waivers")


def view_bytes(summary: dict[str, Any]) -> bytes:
    """The bytes of the view that holds `summary`."""
    return json.dumps({"version": VIEW_VERSION, **summary}, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def write_view(store: EvidenceStore) -> None:
    """Writes the view of the run as its log is now; nothing if it was never opened."""
    summary = store_summary(store)
    if summary is not None:
        store.backend.replace_view(f"{store.run}/{CYCLE_VIEW}", view_bytes(summary))


def fresh_view(backend: Backend, run: str) -> dict[str, Any] | None:
    """The summary in the view of `run`; None if there is none of this version, or if the log has grown since."""
    try:
        summary = read_view(backend.read(f"{run}/{CYCLE_VIEW}"), run)
    except EvidenceError:
        return None
    return summary if summary is not None and not has_entry(backend, run, summary["entries"]) else None


def has_entry(backend: Backend, run: str, seq: int) -> bool:
    """Whether the log of `run` has an entry with this number."""
    try:
        backend.read(log_key(run, seq))
    except Missing:
        return False
    return True


def read_view(data: bytes, run: str) -> dict[str, Any] | None:
    """The summary in the bytes of a view; None unless it is one of this version, of `run`, with all of its keys."""
    document = _document(data)
    if not isinstance(document, dict) or document.pop("version", None) != VIEW_VERSION or document.get("run") != run:
        return None
    entries = document.get("entries")
    sound = (
        set(document) == _KEYS
        and document["state"] in _STATES
        and type(entries) is int
        and 1 <= entries < 10**8
        and all(isinstance(document[name], list) and all(isinstance(item, (dict, str)) for item in document[name]) for name in _LISTS)
    )
    return document if sound else None


def inspect_view(store: EvidenceStore) -> Iterator[Finding]:
    """What is wrong with the view of the run: one that says something else than the log said when it had so many entries."""
    try:
        data = store.backend.read(f"{store.run}/{CYCLE_VIEW}")
    except Missing:
        return
    document = _document(data)
    if isinstance(document, dict) and document.get("version") != VIEW_VERSION:
        yield Finding(CYCLE_VIEW, "written by another version of perfproof: not compared, and not read", Outcome.VERIFIED)
        return
    entries = store.entries()
    said = read_view(data, store.run)
    if said is None:
        yield tampered(CYCLE_VIEW, "not the view of this run")
    elif said["entries"] > len(entries):
        yield tampered(CYCLE_VIEW, f"knows {said['entries']} entries, there are {len(entries)}: the tail was cut")
    elif view_bytes(summary_of(store, entries[: said["entries"]])) != data:
        yield tampered(CYCLE_VIEW, "not what the log says")


def _document(data: bytes) -> Any:
    try:
        return read_json(data, where=CYCLE_VIEW, limit=MAX_VIEW_BYTES)
    except ArtifactError:
        return None
