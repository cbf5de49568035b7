"""What somebody could do to the evidence of a run: each case is the files of its directory afterwards.

A forger here has the whole directory and this code, and mends what he can: chain, views, sums. What he lacks is the signing key.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from perfproof.evidence import Entry, EntryType
from perfproof.evidence.checkpoints import statement_at
from perfproof.evidence.envelope import CheckpointKey, seal
from perfproof.evidence.names import CHECKSUMS, LOG_VIEW, checkpoint_name
from perfproof.evidence.records import PUBLICATIONS, canonical
from perfproof.evidence.store import live_entries
from perfproof.evidence.views import checksums, log_view
from perfproof.telemetry import document_bytes, sha256_hex

Files = dict[str, bytes]
OBJECT = "objects/sha256/"
APPROVAL_EDITS: tuple[tuple[str, Any], ...] = (
    ("person", {"id": "mallory", "name": "Mallory"}),
    ("comment", "of course"),
    ("decision", "reject"),
    ("role", "security"),
    ("decided_at", "2025-02-16T07:00:00Z"),
    ("assurance", "A2"),
    ("channel", "form"),
    ("subject_sha256", "0" * 64),
    ("request_sha256", "0" * 64),
    ("evidence", []),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A class of tampering, which one, and how to make what the directory then holds."""

    kind: str
    what: str
    make: Callable[[], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Forgeries:
    """Other evidence that a forger may have at hand: cycles written anew, another run, and an older copy of this directory."""

    unsigned: Files
    other_key: Files
    stolen_key: Files
    other_run: Files
    older: Files


def mechanical(files: Files, *, seed: int, positions: int) -> Iterator[Case]:
    """Bits, deletions, truncations and exchanges of every file."""
    chance = random.Random(seed)
    for name, data in files.items():
        for _ in range(positions if data else 0):
            place = chance.randrange(len(data))
            flipped = data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
            yield Case("bit flip", f"{name} byte {place}", partial(changed, files, {name: flipped}))
        yield Case("deletion", name, partial(without, files, name))
        for size in sorted({0, len(data) // 2, max(0, len(data) - 1)} - {len(data)}):
            yield Case("truncation", f"{name} to {size} bytes", partial(changed, files, {name: data[:size]}))
    for one, other in neighbours(files):
        if files[one] != files[other]:
            yield Case("swap of neighbours", f"{one}, {other}", partial(changed, files, {one: files[other], other: files[one]}))


def neighbours(files: Files) -> Iterator[tuple[str, str]]:
    """Pairs of files that lie beside each other in the same folder and have the same kind of name."""
    kinds: dict[str, list[str]] = {}
    for name in sorted(files):
        kinds.setdefault(f"{name.rpartition('/')[0]} {name.rpartition('.')[2] if 'objects' not in name else ''}", []).append(name)
    for names in kinds.values():
        yield from itertools.pairwise(names)


def tail_cuts(files: Files) -> Iterator[Case]:
    """Every end of the log, cut off: alone, with views that fit, and with views and checkpoints that fit."""
    entries = entries_of(files)
    for size in range(1, len(entries)):
        yield Case("tail cut", f"to {size} entries", partial(cut, files, size))
        yield Case("tail cut, views rebuilt", f"to {size} entries", partial(mend, files, entries[:size]))
        what = "tail cut, views rebuilt, later checkpoints removed"
        yield Case(what, f"to {size} entries", partial(mend, files, entries[:size], checkpoints=size))


def rewrites(files: Files, forged: Forgeries, key: CheckpointKey) -> Iterator[Case]:
    """The log anew: one that was edited and hung on a chain of its own, and cycles that were written anew from their first entry."""
    documents = [json.loads(entry.as_bytes()) for entry in entries_of(files)]
    for number in range(1, len(documents), max(1, len(documents) // 20)):
        earlier = {**documents[number], "time": "2025-02-16T07:59:59.999Z"}
        later = [*documents[:number], earlier, *documents[number + 1 :]]
        what = f"from entry {number}"
        yield Case("rewrite of the chain, old checkpoints kept", what, partial(rechained, files, later))
        yield Case("rewrite of the chain, checkpoints removed", what, partial(rechained, files, later, checkpoints=0))
        yield Case("rewrite of the chain, signed with another key", what, partial(signed, files, later, key))
    yield Case("whole cycle written anew, unsigned", "all entries", partial(dict, forged.unsigned))
    yield Case("whole cycle written anew, signed with another key", "all entries", partial(dict, forged.other_key))
    yield Case("whole cycle written anew, signed with the stolen key", "all entries", partial(dict, forged.stolen_key))


def replays(files: Files, forged: Forgeries) -> Iterator[Case]:
    """Old and foreign pieces in the place of the right ones."""
    entries = entries_of(files)
    live = live_entries(entries)
    for entry in entries:
        if entry.type in PUBLICATIONS and live[entry.body["name"]].seq != entry.seq:
            name = entry.body["name"]
            older = {name: files[OBJECT + entry.body["sha256"]]}
            yield Case("replay of an older version", f"{name} of entry {entry.seq}", partial(changed, files, older))
    foreign = {step_of(n): d for n, d in forged.other_run.items() if n.startswith("approvals/")}
    documents = [json.loads(entry.as_bytes()) for entry in entries]
    for name in (n for n in files if n.startswith("approvals/")):
        found = foreign.get(step_of(name))
        if found is not None:
            kind = "replay of another run's approval"
            yield Case(kind, f"{name}, the file", partial(changed, files, {name: found}))
            yield Case(kind, f"{name}, the log too", partial(substituted, files, documents, name, json.loads(found)))
    for name in (n for n in files if n.startswith("checkpoints/")):
        other = forged.other_run.get(name)
        if other is not None:
            yield Case("replay of another run's checkpoint", name, partial(changed, files, {name: other}))
    yield Case("replay of an older copy of the directory", "after phase 3", partial(dict, forged.older))


def step_of(name: str) -> str:
    """Step, map index, round and role in the name of a record: what is the same in another run."""
    return "__".join(name.split("__")[-3:])


def entry_edits(files: Files) -> Iterator[Case]:
    """Entries twice, in another order, or with other contents, in a chain that was mended."""
    documents = [json.loads(entry.as_bytes()) for entry in entries_of(files)]
    last = f"log/{len(documents):08d}.json"
    for number in range(1, len(documents), max(1, len(documents) // 15)):
        as_it_is = {last: files[f"log/{number:08d}.json"]}
        yield Case("duplicated entry", f"{number}, as it is", partial(changed, files, as_it_is))
        twice = [*documents[: number + 1], *documents[number:]]
        yield Case("duplicated entry", f"{number}, renumbered", partial(rechained, files, twice))
        fewer = documents[:number] + documents[number + 1 :]
        yield Case("removed entry, the rest renumbered", str(number), partial(rechained, files, fewer))
        if number + 1 < len(documents):
            turned = [*documents[:number], documents[number + 1], documents[number], *documents[number + 2 :]]
            yield Case("exchanged entries, renumbered", str(number), partial(rechained, files, turned))


def approval_edits(files: Files) -> Iterator[Case]:
    """Records of approvals that say something else, in log, object and view alike."""
    documents = [json.loads(entry.as_bytes()) for entry in entries_of(files)]
    for document in (d for d in documents if d["type"] == EntryType.APPROVAL_GRANTED):
        body = document["body"]
        name = f"approvals/{body['request_id']}.{body['role']}.json"
        for key, value in APPROVAL_EDITS:
            if body[key] != value:
                edited = partial(substituted, files, documents, name, {**body, key: value})
                yield Case("edited approval, chain recomputed", f"{name} {key}", edited)
        note = {**body, "comment": "of course", "act": {**body["act"], "note": "of course"}}
        yield Case("edited act and record, chain recomputed", name, partial(substituted, files, documents, name, note))
        rest = [d for d in documents if d is not document]
        yield Case("removed approval, chain recomputed", name, partial(rechained, files, rest))


def gate_edits(files: Files) -> Iterator[Case]:
    """Gate results with other figures, in log, object and view alike."""
    documents = [json.loads(entry.as_bytes()) for entry in entries_of(files)]
    for gate in (1, 2, 3, 4):
        name = f"gate-{gate}-result.json"
        if name not in files:
            continue
        result = json.loads(files[name])
        kind = "edited gate result, chain recomputed"
        for number, criterion in enumerate(result["criteria"]):
            edited = json.loads(files[name])
            edited["criteria"][number]["actual"] = (criterion["actual"] or 0) + 1
            yield Case(kind, f"{name} {criterion['criterion']}", partial(republished, files, documents, name, edited))
        outcome = {**result, "outcome": "FAIL" if result["outcome"] == "PASS" else "PASS"}
        yield Case(kind, f"{name} outcome", partial(republished, files, documents, name, outcome))


def additions(files: Files) -> Iterator[Case]:
    """Files that nobody committed, under names that evidence has."""
    entries = entries_of(files)
    names = ["evidence/forged.json", "approvals/forged.json", "log/extra.json", "log/99999999.json", "objects/loose", "checkpoints/x.json"]
    for name in [*names, f"{OBJECT}{'0' * 64}", f"log/{len(entries):08d}.json", "checkpoints/99999999.dsse.json"]:
        yield Case("added file", name, partial(changed, files, {name: b"{}"}))
    free = next(n for n in range(len(entries)) if checkpoint_name(n) not in files)
    known = max(n for n in files if n.startswith("checkpoints/")) if any(n.startswith("checkpoints/") for n in files) else None
    if known is not None:
        yield Case("added file", "a checkpoint under another number", partial(changed, files, {checkpoint_name(free): files[known]}))


def entries_of(files: Mapping[str, bytes]) -> list[Entry]:
    """The entries in the files, in order."""
    return [Entry.from_bytes(files[name], where=name) for name in sorted(files) if re.fullmatch(r"log/\d{8}\.json", name)]


def changed(files: Files, changes: Files) -> Files:
    """The files with some changed or added."""
    return files | changes


def without(files: Files, name: str) -> Files:
    """The files but one."""
    return {n: data for n, data in files.items() if n != name}


def cut(files: Files, size: int) -> Files:
    """The files with the first `size` entries."""
    return {name: data for name, data in files.items() if not name.startswith("log/") or int(name[4:12]) < size}


def signed(files: Files, documents: Sequence[Mapping[str, Any]], key: CheckpointKey) -> Files:
    """The files with the log of these documents, and one checkpoint of its end, by `key`."""
    chained = rechained(files, documents, checkpoints=0)
    entries = entries_of(chained)
    genesis = json.loads(files[OBJECT + entries[0].prev])
    statement = statement_at(entries, genesis=genesis, built_at=entries[-1].time, before=[])
    name = checkpoint_name(len(entries) - 1)
    return chained | {name: seal(canonical(statement, where=name), key=key)}


def mend(files: Files, entries: Sequence[Entry], *, checkpoints: int = 1 << 31) -> Files:
    """The files with exactly the views and objects that `entries` give, and the checkpoints of entries below a number."""
    live = live_entries(entries)
    genesis = json.loads(files[OBJECT + entries[0].prev])
    kept = {e.body["sha256"] for e in entries if e.type in PUBLICATIONS} | {entries[0].prev, str(genesis.get("protocol_sha256"))}
    result = {name: data for name, data in files.items() if name.removeprefix(OBJECT) in kept}
    result |= {name: data for name, data in files.items() if name.startswith("checkpoints/") and int(name[12:20]) < checkpoints}
    result |= {name: files[OBJECT + entry.body["sha256"]] for name, entry in live.items()}
    result |= {f"log/{entry.seq:08d}.json": entry.as_bytes() for entry in entries}
    return result | {LOG_VIEW: log_view(entries), CHECKSUMS: checksums(entries)}


def rechained(files: Files, documents: Sequence[Mapping[str, Any]], *, checkpoints: int = 1 << 31) -> Files:
    """The files with the log of these documents, numbered and chained anew, and views that fit."""
    entries: list[Entry] = []
    previous = str(documents[0]["prev"])
    for number, document in enumerate(documents):
        data = canonical({**document, "seq": number, "prev": previous}, where="forged")
        entries.append(Entry.from_bytes(data, where="forged"))
        previous = sha256_hex(data)
    return mend(files, entries, checkpoints=checkpoints)


def republished(files: Files, documents: Sequence[Mapping[str, Any]], name: str, content: Any) -> Files:
    """The files with other content of `name`, wherever the log cites what it was."""
    data = document_bytes(content)
    digest, before = sha256_hex(data), sha256_hex(files[name])
    text = json.dumps([dict(d) for d in documents]).replace(before, digest)
    mended: list[dict[str, Any]] = json.loads(text)
    for document in mended:
        if document["type"] in PUBLICATIONS and document["body"]["sha256"] == digest:
            document["body"]["size"] = len(data)
    return rechained(files | {OBJECT + digest: data}, mended)


def substituted(files: Files, documents: Sequence[Mapping[str, Any]], name: str, record: Mapping[str, Any]) -> Files:
    """The files with another approval record: in the entry, as an object and as a file."""
    request, _, role = name.removeprefix("approvals/").removesuffix(".json").rpartition(".")

    def decided(document: Mapping[str, Any]) -> bool:
        body = document["body"]
        return document["type"] == EntryType.APPROVAL_GRANTED and (body["request_id"], body["role"]) == (request, role)

    others = [{**d, "body": dict(record)} if decided(d) else d for d in documents]
    return republished(files, others, name, dict(record))


GENERATORS: tuple[Callable[[Files], Iterator[Case]], ...] = (tail_cuts, entry_edits, approval_edits, gate_edits, additions)
