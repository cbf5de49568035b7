"""A closed run as one ZIP that proves itself: unpacked anywhere, `perfproof verify` says of it what it says of the original.

It holds the run as it was closed: the thirteen artifacts and all other views, the log, the content that the log names, the signed
checkpoints and SHA256SUMS. The same run gives the same bytes, whenever and wherever it is packed: names in order, no time, no
compression (whose bytes differ between versions of its library). News that came after the closing are not in it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO

from perfproof.errors import EvidenceError
from perfproof.evidence.backend import Backend
from perfproof.evidence.names import CHECKPOINT, CHECKSUMS, LOG_VIEW, checkpoint_name, log_key, object_key
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.views import checksums, log_view
from perfproof.telemetry import sha256_hex

EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16
UNIX = 3
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def write_package(stream: IO[bytes], store: EvidenceStore) -> None:
    """Writes the package of a closed run to `stream`, which must be seekable. Every file lies below the key of the run.

    Raises EvidenceError 917 for a run that is not closed, Tampered for content that has another digest than its name.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as package:
        for name, data in package_members(store):
            member = zipfile.ZipInfo(f"{store.run}/{name}", EPOCH)
            member.create_system, member.external_attr = UNIX, READABLE
            package.writestr(member, data)


def package_members(store: EvidenceStore) -> Iterator[tuple[str, bytes]]:
    """(path below the run, bytes) of everything in the package, one after the other, those of a name in its order."""
    entries = closed_entries(store)
    whole = log_view(entries)
    live = {name: str(entry.body["sha256"]) for name, entry in live_entries(entries).items()}
    made = {LOG_VIEW: whole, CHECKSUMS: checksums(entries, view=whole)}
    made |= {log_key(store.run, entry.seq).removeprefix(f"{store.run}/"): entry.as_bytes() for entry in entries}
    objects = {object_key("", digest).removeprefix("/"): digest for digest in _mentioned(store, entries, whole)}
    signed = set(_checkpoints(store.backend, store.run, entries))
    for name in sorted({*made, *live, *objects, *signed}):
        if name in made:
            yield name, made[name]
        elif name in signed:
            yield name, store.backend.read(f"{store.run}/{name}")
        else:
            yield name, store.get_object(live[name] if name in live else objects[name])


def closed_entries(store: EvidenceStore) -> list[Entry]:
    """The log up to the entry that closed the run. Raises EvidenceError 917 if none did, or something but news followed."""
    from perfproof.evidence.inspection import is_closed

    entries = store.entries()
    if not is_closed(entries):
        raise EvidenceError(917, where=store.run, what="the run is not closed", fix="hand it off first")
    last = max(entry.seq for entry in entries if entry.type is EntryType.RUN_CLOSED)
    return list(entries[: last + 1])


def package_sha256(stream: IO[bytes]) -> str:
    """The digest of what `stream` holds from its beginning."""
    import hashlib

    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _mentioned(store: EvidenceStore, entries: list[Entry], whole: bytes) -> list[str]:
    """The content that the log or its genesis names and that is there: the digests of other things are names of no object."""
    present = {key.rpartition("/")[2] for key in store.backend.names(f"{store.run}/objects/")}
    genesis = store.get_object(entries[0].prev)
    named = {found.decode() for text in (whole, genesis) for found in _DIGEST.findall(text)} | {sha256_hex(genesis)}
    return sorted(named & present)


def _checkpoints(backend: Backend, run: str, entries: list[Entry]) -> list[str]:
    last = checkpoint_name(entries[-1].seq)
    names = (key.removeprefix(f"{run}/") for key in backend.names(f"{run}/checkpoints/"))
    return [name for name in names if CHECKPOINT.fullmatch(name) and name <= last]
