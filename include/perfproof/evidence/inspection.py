"""Look at everything a run's directory holds and name whatever is not as it was committed; one finding each, never stopping."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.log import misplaced
from perfproof.evidence.names import CHECKPOINT, CHECKSUMS, CYCLE_VIEW, LOG_VIEW, is_name, log_key, object_key
from perfproof.evidence.records import DIGEST, PUBLICATIONS, Entry, EntryType
from perfproof.evidence.store import live_entries
from perfproof.evidence.verdict import Finding, Outcome
from perfproof.evidence.views import checksums, log_view
from perfproof.telemetry import sha256_hex

_LOG_FILE = re.compile(r"log/[0-9]{8}\.json")
# Not publications, so a run that was closed stays closed when they follow.
NEWS = (EntryType.ANNOUNCE, EntryType.NOTIFY_DELIVERED, EntryType.NOTIFY_FAILED, EntryType.RECOVERY_NOTED)
AFTERWARDS = (EntryType.RUN_CLOSED, *NEWS)


def tampered(where: str, what: str) -> Finding:
    """A finding that proves that something was changed, removed or added."""
    return Finding(where=where, what=what, outcome=Outcome.TAMPERED)


def is_closed(entries: Sequence[Entry]) -> bool:
    """Whether the run was closed and nothing but news of it followed."""
    acts = [seq for seq, entry in enumerate(entries) if entry.type not in AFTERWARDS]
    return any(entry.type is EntryType.RUN_CLOSED for entry in entries[max(acts, default=-1) + 1 :])


def inspect_log(backend: Backend, run: str, names: Sequence[str]) -> tuple[list[Entry], list[Finding]]:
    """The entries that can be read, and what is wrong with the log: its files, their bytes, numbers and chain."""
    entries: list[Entry] = []
    findings: list[Finding] = []
    numbers = sorted({int(name[4:12]) for name in names if _LOG_FILE.fullmatch(name)})
    previous: str | None = None
    seen: set[str] = set()
    expected = 0
    for seq in numbers:
        if seq != expected:
            # One finding, however wide the gap is: a planted file may have any number.
            rest = f" and those up to {seq - 1}" if seq - 1 > expected else ""
            findings.append(tampered(f"log/{expected:08d}.json", f"the entry{rest} is missing"))
            previous = None
        expected = seq + 1
        key = log_key(run, seq)
        where = key.removeprefix(f"{run}/")
        try:
            entry = Entry.from_bytes(backend.read(key), where=where)
        except Missing:
            findings.append(tampered(where, "disappeared while it was verified"))
            previous = None
            continue
        except Tampered as error:
            findings.append(tampered(where, error.what))
            previous = None
            continue
        problem = misplaced(entry, run=run, seq=seq, prev=previous)
        if problem is None and entry.idem in seen:
            problem = "the same piece of work is committed twice"
        if problem is not None:
            findings.append(tampered(where, problem))
        seen.add(entry.idem)
        entries.append(entry)
        previous = entry.sha256
    return entries, findings


def inspect_objects(backend: Backend, run: str, names: Sequence[str], entries: Sequence[Entry]) -> Iterator[Finding]:
    """Content that is missing, has another digest or size, or that nobody committed (an orphan: a note)."""
    sizes: dict[str, int | None] = {entry.prev: None for entry in entries if entry.type is EntryType.RUN_OPENED}
    sizes |= {entry.body["sha256"]: entry.body["size"] for entry in entries if entry.type in PUBLICATIONS}
    mentioned = set(sizes) | _digests([entry.body for entry in entries]) | _in_genesis(backend, run, entries)
    present = {name.removeprefix("objects/sha256/") for name in names if name.startswith("objects/")}
    for digest in sorted(present):
        where = f"objects/sha256/{digest}"
        if not DIGEST.fullmatch(digest):
            yield tampered(where, "not the name of an object")
            continue
        data = yield from _read(backend, object_key(run, digest), where)
        if data is None:
            continue
        if sha256_hex(data) != digest:
            yield tampered(where, "the bytes have another digest")
        elif sizes.get(digest) not in (None, len(data)):
            yield tampered(where, f"the log says {sizes[digest]} bytes, there are {len(data)}")
        elif digest not in mentioned:
            yield Finding(where=where, what="an orphan: no entry commits it", outcome=Outcome.VERIFIED)
    for digest in sorted(set(sizes) - present):
        yield tampered(f"objects/sha256/{digest}", "the content is missing")


def _in_genesis(backend: Backend, run: str, entries: Sequence[Entry]) -> set[str]:
    """The digests in the genesis: that of the protocol file is in no entry."""
    try:
        return _digests(json.loads(backend.read(object_key(run, entries[0].prev)))) if entries else set()
    except (ValueError, RecursionError, EvidenceError):
        return set()


def inspect_views(backend: Backend, run: str, names: Sequence[str], entries: Sequence[Entry]) -> Iterator[Finding]:
    """Views that are missing, are no version of their artifact, or stand for nothing.

    While a run is open, a view may lag behind the log (its writer may have died in between); once closed it may not.
    """
    live = live_entries(entries)
    versions: dict[str, set[str]] = {}
    for entry in entries:
        if entry.type in PUBLICATIONS:
            versions.setdefault(entry.body["name"], set()).add(entry.body["sha256"])
    lag = Outcome.TAMPERED if is_closed(entries) else Outcome.UNFINISHED
    for name, entry in live.items():
        if name not in names:
            yield Finding(where=name, what="the artifact's view is missing; rebuild the views", outcome=lag)
            continue
        data = yield from _read(backend, f"{run}/{name}", name)
        if data is None or (digest := sha256_hex(data)) == entry.body["sha256"]:
            continue
        if digest in versions[name]:
            yield Finding(where=name, what="an older version than the live one; rebuild the views", outcome=lag)
        else:
            yield tampered(name, f"not the bytes that log/{entry.seq:08d}.json commits")
    for name in names:
        if name in live or name in (LOG_VIEW, CHECKSUMS) or _LOG_FILE.fullmatch(name) or name.startswith("objects/sha256/"):
            continue
        # What the cycle's view says is compared by perfproof.cycles.view.inspect_view, which knows how it is made.
        if CHECKPOINT.fullmatch(name) or name == CYCLE_VIEW:
            continue
        if is_name(name) or name.startswith(("log/", "objects/", "checkpoints/")):
            yield tampered(name, "no entry of the log publishes it")
        else:
            yield Finding(where=name, what="not part of the evidence", outcome=Outcome.VERIFIED)


def inspect_log_views(backend: Backend, run: str, names: Sequence[str], entries: Sequence[Entry]) -> Iterator[Finding]:
    """The log as one file must be how the log began; SHA256SUMS must be what some beginning of it says.

    Both are written before a run is closed: from then on one that is missing was removed.
    """
    closed = any(entry.type is EntryType.RUN_CLOSED for entry in entries)
    for name in (name for name in (LOG_VIEW, CHECKSUMS) if name not in names):
        what = "is missing, although the run was closed" if closed else "missing; rebuild the views"
        yield Finding(where=name, what=what, outcome=Outcome.TAMPERED if closed else Outcome.UNFINISHED)
    whole = log_view(entries)
    if LOG_VIEW in names:
        data = yield from _read(backend, f"{run}/{LOG_VIEW}", LOG_VIEW)
        if data == b"" and closed:
            yield tampered(LOG_VIEW, "is empty, although the run was closed")
        elif data is not None and not (whole.startswith(data) and (not data or data.endswith(b"\n"))):
            yield tampered(LOG_VIEW, f"differs from the entries in log/ from line {_first_difference(data, whole)} on")
        elif data is not None and len(data) < len(whole):
            yield Finding(where=LOG_VIEW, what="behind the log; rebuild the views", outcome=Outcome.UNFINISHED)
    if CHECKSUMS in names:
        data = yield from _read(backend, f"{run}/{CHECKSUMS}", CHECKSUMS)
        if data is None or data == checksums(entries, view=whole):
            return
        size = data.count(b"  log/")
        if size > len(entries) or data != checksums(entries[:size]):
            yield tampered(CHECKSUMS, "not what the log says")
        else:
            yield Finding(where=CHECKSUMS, what="behind the log; rebuild the views", outcome=Outcome.UNFINISHED)


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = zip(one.splitlines(), other.splitlines(), strict=False)
    return next((number for number, (a, b) in enumerate(pairs, 1) if a != b), min(one.count(b"\n"), other.count(b"\n")) + 1)


def _read(backend: Backend, key: str, where: str) -> Generator[Finding, None, bytes | None]:
    try:
        return backend.read(key)
    except Missing:
        yield tampered(where, "disappeared while it was verified")
    except Tampered as error:
        yield tampered(where, error.what)
    return None


def _digests(value: object) -> set[str]:
    """Every text in a JSON value that has the form of a digest."""
    if isinstance(value, str):
        return {value} if DIGEST.fullmatch(value) else set()
    if isinstance(value, Mapping):
        value = list(value.values())
    return set().union(*map(_digests, value)) if isinstance(value, list) else set()
