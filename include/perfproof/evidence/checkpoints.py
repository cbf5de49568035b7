"""Signed checkpoints: who can write the evidence but not sign it can then neither cut the log nor write it anew unnoticed.

A checkpoint is the manifest's Statement over the log as it is at one entry, in a DSSE envelope, `checkpoints/<number of that
entry>.dsse.json`. Its first subject is that entry: `log/<number>.json` with the digest that is the head of the log. The predicate
also names the checkpoints that were there before, so that none of them can be removed while a later one stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.errors import EvidenceError, PerfproofError, Tampered
from perfproof.evidence.backend import Backend
from perfproof.evidence.envelope import CheckpointKey, Signed, read_envelope, seal
from perfproof.evidence.inspection import NEWS, tampered
from perfproof.evidence.manifest import genesis_of, manifest_of
from perfproof.evidence.names import CHECKPOINT, checkpoint_name
from perfproof.evidence.records import Entry, canonical, entry_time
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.trust import TrustRoot
from perfproof.evidence.verdict import Finding, Outcome
from perfproof.moments import parse_stamp
from perfproof.strict import read_json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: the log of `run` had `size` entries, the last one with digest `head`."""

    run: str
    size: int
    head: str
    built_at: datetime
    statement: dict[str, Any]
    signed: Signed


# Checkpoints that were made before it was written do not have it.
BEFORE = "checkpoints_before"


def statement_at(
    entries: Sequence[Entry], *, genesis: dict[str, Any], built_at: str, before: Sequence[str] | None = None
) -> dict[str, Any]:
    """The manifest's Statement over `entries`, with the log's head as its first subject; `before` names the earlier checkpoints."""
    statement = manifest_of(entries, genesis=genesis, built_at=built_at)
    if before is not None:
        statement["predicate"][BEFORE] = list(before)
    head = {"name": f"log/{len(entries) - 1:08d}.json", "digest": {"sha256": entries[-1].sha256}}
    return {**statement, "subject": [head, *statement["subject"]]}


def sign_checkpoint(store: EvidenceStore, *, key: CheckpointKey, time: datetime) -> str:
    """Path of the checkpoint of the log as it is now, made unless it is there.

    Raises Tampered, and signs nothing, when the log does not extend what the newest checkpoint says.
    """
    # Before the entries: a checkpoint that another writer makes meanwhile is then never ahead of what is read here.
    earlier = sorted(_names(store.backend, store.run))
    entries = store.entries()
    if not entries:
        raise EvidenceError(412, where=store.run, what="the run is not open", fix="call open_run first")
    if earlier:
        _require_prefix(store.backend, store.run, earlier[-1], entries)
    name = checkpoint_name(len(entries) - 1)
    before = [checkpoint for checkpoint in earlier if checkpoint < name]
    statement = statement_at(entries, genesis=genesis_of(store, entries), built_at=entry_time(time), before=before)
    if not store.backend.create(f"{store.run}/{name}", seal(canonical(statement, where=name), key=key)):
        _require_prefix(store.backend, store.run, name, entries)
    return name


def read_checkpoint(data: bytes, *, where: str) -> Checkpoint:
    """The checkpoint in `data`, its signature not checked. Raises Tampered for anything that is none."""
    signed = read_envelope(data, where=where)
    try:
        statement = read_json(signed.payload, where=where, error=Tampered, number=624)
        predicate = statement["predicate"]
        run, size, head = predicate["run"]["key"], predicate["log"]["size"], predicate["log"]["head"]
        built_at = parse_stamp(predicate["built_at"], where=where)
    except (KeyError, TypeError, PerfproofError):
        raise Tampered(624, where=where, what="the payload is no statement about a log", fix="restore it from a copy") from None
    if type(size) is not int or size < 1 or not isinstance(head, str) or not isinstance(run, str):
        raise Tampered(624, where=where, what="the payload names no size and head", fix="restore it from a copy")
    return Checkpoint(run, size, head, built_at, statement, signed)


def inspect_checkpoints(backend: Backend, run: str, entries: Sequence[Entry], *, sound: bool, trust: TrustRoot | None) -> Iterator[Finding]:
    """What is wrong with the checkpoints: their form, what they say about the log, and with `trust` who signed them.

    Without `trust` a checkpoint that contradicts the log is still named, but nobody is shown to have signed any.
    """
    covered = 0
    names = _names(backend, run)
    for name in names:
        try:
            checkpoint = read_checkpoint(backend.read(f"{run}/{name}"), where=name)
            problems = list(_problems(checkpoint, name, run, entries))
            if not problems and sound:
                problems = [
                    *_removed(checkpoint, name, names),
                    *_contradictions(checkpoint, name, EvidenceStore(backend, run), entries),
                ]
            refusal = trust.problem(checkpoint.signed, at=checkpoint.built_at) if trust is not None else None
        except Tampered as error:
            yield tampered(name, error.what)
            continue
        yield from problems
        if refusal is not None:
            yield tampered(name, refusal)
        elif not problems:
            covered = max(covered, checkpoint.size)
    if trust is not None:
        yield from _uncovered(entries, covered)


def _problems(checkpoint: Checkpoint, name: str, run: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    size = checkpoint.size
    by_number = {entry.seq: entry for entry in entries}
    if checkpoint.run != run:
        yield tampered(name, f"the checkpoint of another run: {checkpoint.run}")
    elif name != checkpoint_name(size - 1):
        yield tampered(name, f"the checkpoint of entry {size - 1} under another number")
    elif size > max(by_number, default=-1) + 1:
        yield tampered("log", f"{name} knows {size} entries, there are {max(by_number, default=-1) + 1}: the tail was cut")
    elif size - 1 in by_number and by_number[size - 1].sha256 != checkpoint.head:
        yield tampered(f"log/{size - 1:08d}.json", f"not the entry that {name} knows")


def _removed(checkpoint: Checkpoint, name: str, names: Sequence[str]) -> Iterator[Finding]:
    for before in _before(checkpoint) or ():
        if before not in names:
            # The text may be anything, and what is named must be a place in this directory.
            where = before if isinstance(before, str) and CHECKPOINT.fullmatch(before) else name
            yield tampered(where, f"the checkpoint is missing, and {name} knows it")


def _before(checkpoint: Checkpoint) -> list[Any] | None:
    before = checkpoint.statement["predicate"].get(BEFORE)
    return before if isinstance(before, list) else None


def _contradictions(checkpoint: Checkpoint, name: str, store: EvidenceStore, entries: Sequence[Entry]) -> Iterator[Finding]:
    try:
        genesis = genesis_of(store, entries)
    except EvidenceError:
        return  # The inspection of the genesis names it.
    built_at = checkpoint.statement["predicate"]["built_at"]
    known = statement_at(entries[: checkpoint.size], genesis=genesis, built_at=built_at, before=_before(checkpoint))
    if checkpoint.statement != known:
        yield tampered(name, "the statement is not what the log says")


def _uncovered(entries: Sequence[Entry], covered: int) -> Iterator[Finding]:
    rest = entries[covered:]
    if covered == 0:
        yield Finding("checkpoints", "no checkpoint is signed by a trusted key: nothing shows that the log is whole", Outcome.UNFINISHED)
    elif any(entry.type not in NEWS for entry in rest):
        yield Finding(f"log/{covered:08d}.json", "from here on no trusted checkpoint covers the log", Outcome.UNFINISHED)
    elif rest:
        yield Finding(f"log/{covered:08d}.json", "news after the last checkpoint, signed by nobody", Outcome.VERIFIED)


def _names(backend: Backend, run: str) -> list[str]:
    names = (key.removeprefix(f"{run}/") for key in backend.names(f"{run}/checkpoints/"))
    return [name for name in names if CHECKPOINT.fullmatch(name)]


def _require_prefix(backend: Backend, run: str, name: str, entries: Sequence[Entry]) -> None:
    checkpoint = read_checkpoint(backend.read(f"{run}/{name}"), where=f"{run}/{name}")
    problems = list(_problems(checkpoint, name, run, entries))
    if problems:
        raise Tampered(
            625, where=f"{run}/{problems[0].where}", what=f"the log does not extend its last checkpoint: {problems[0].what}",
            fix="restore the log from a copy; nothing was signed",
        )  # fmt: skip
