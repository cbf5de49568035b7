"""What is left of a removed cycle: a record in a chain of records, with the head of its log, so that a copy can still be verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.backend import Backend
from perfproof.evidence.records import canonical
from perfproof.strict import read_json
from perfproof.telemetry import sha256_hex

FOLDER = "removed-cycles"
VERSION = 1
# The record before the first one.
NOTHING = "0" * 64
_TEXTS = ("run", "head", "removed_at", "prev")


@dataclass(frozen=True, slots=True)
class Removed:
    """A record as it was read: `document` is all of it, `sha256` that of its bytes, which the next record names as `prev`."""

    number: int
    document: Mapping[str, Any]
    sha256: str

    @property
    def run(self) -> str:
        """The key of the cycle."""
        return str(self.document["run"])

    @property
    def anchor(self) -> str:
        """SIZE:HEAD of its log, for `perfproof verify --anchor`."""
        return f"{self.document['entries']}:{self.document['head']}"

    @property
    def words(self) -> str:
        """One line: that it was removed, when, and how a copy is verified."""
        return (
            f"{self.run} was removed on {self.document['removed_at']} by retention (record {self.number}); "
            f"a copy is verified with: perfproof verify COPY --anchor {self.anchor}"
        )


def record_key(number: int) -> str:
    """The key of a record."""
    return f"{FOLDER}/{number:08d}.json"


def removed_document(
    *,
    run: str,
    dag_id: str,
    run_id: str,
    opened_at: str,
    last_entry_at: str,
    entries: int,
    head: str,
    outcome: str,
    gates: Mapping[str, str],
    changes: Sequence[str],
    builds: Mapping[str, str],
    artifacts: Mapping[str, str],
    removed_at: str,
    removed_by: str,
    rule: str,
) -> dict[str, Any]:
    """The record without its place in the chain. `artifacts` are the digests of the live artifacts by name."""
    return {
        "document": "removed-cycle", "version": VERSION, "run": run, "dag_id": dag_id, "run_id": run_id, "opened_at": opened_at,
        "last_entry_at": last_entry_at, "entries": entries, "head": head, "outcome": outcome, "gates": dict(gates),
        "changes": list(changes), "builds": dict(builds), "artifacts": dict(artifacts), "removed_at": removed_at,
        "removed_by": removed_by, "rule": rule,
    }  # fmt: skip


def read_removed(backend: Backend) -> list[Removed]:
    """The records in their order. Raises Tampered for one that is missing, changed, or out of its place.

    The last ones can be cut off without being seen here; whoever copies the newest record elsewhere can tell.
    """
    found: list[Removed] = []
    previous = NOTHING
    for number, key in enumerate(backend.names(f"{FOLDER}/")):
        if key != record_key(number):
            raise _broken(record_key(number), "the record is missing, or something else lies among the records")
        data = backend.read(key)
        document = read_json(data, where=key, error=Tampered, number=661)
        if not _is_record(document) or canonical(document, where=key, error=Tampered) != data:
            raise _broken(key, "not a record of a removed cycle as perfproof writes it")
        if document["prev"] != previous:
            raise _broken(key, "does not follow the record before it")
        previous = sha256_hex(data)
        found.append(Removed(number, document, previous))
    return found


def append_removed(backend: Backend, document: Mapping[str, Any]) -> Removed:
    """The record, durable as the next one of the chain. Raises EvidenceError where another process wrote it at the same time."""
    before = read_removed(backend)
    number, prev = len(before), before[-1].sha256 if before else NOTHING
    key = record_key(number)
    whole = {**document, "number": number, "prev": prev}
    data = canonical(whole, where=key)
    if not backend.create(key, data):
        raise EvidenceError(662, where=key, what="somebody else removes cycles at this moment", fix="try again when they have ended")
    return Removed(number, whole, sha256_hex(data))


def _is_record(document: Any) -> bool:
    texts = isinstance(document, dict) and all(isinstance(document.get(key), str) for key in _TEXTS)
    return texts and document.get("version") == VERSION and isinstance(document.get("entries"), int) and _listed(document)


def _listed(document: Mapping[str, Any]) -> bool:
    changes = document.get("changes")
    return isinstance(changes, list) and all(isinstance(change, str) for change in changes)


def _broken(key: str, what: str) -> Tampered:
    return Tampered(661, where=key, what=what, fix="restore the records from a copy")
