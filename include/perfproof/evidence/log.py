"""The chained log of a run: read it, prove that it hangs together, and append to it while others do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.names import log_key
from perfproof.evidence.records import DIGEST, ENTRY_VERSION, Actor, Attempt, Entry, EntryType, entry_time
from perfproof.telemetry import sha256_hex

_LOG_FILE = re.compile(r"[0-9]{8}\.json")
# Each lost race means that another writer got its entry in; a log that does not grow between two lost races contradicts itself.
_STALLED_ROUNDS = 3


class Log:
    """The entries of one run. Entries never change, so each is read and checked once per instance.

    `check` is called with the bytes and the name of each new entry before it is written, and may raise.
    """

    def __init__(self, backend: Backend, run: str, *, check: Callable[[bytes, str], None]) -> None:
        self.backend = backend
        self.run = run
        self._check = check
        self._entries: list[Entry] = []
        self._by_idem: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """All entries in order. Raises Tampered, naming the file, when numbers, bytes or chain are wrong."""
        with self._lock:
            last = self._last_listed()
            # Read by number, not by listing: a listing taken while others write may hold a later entry and not this one.
            while len(self._entries) <= last:
                entry = self._read(len(self._entries))
                if entry is None:
                    raise _lost(self.run, len(self._entries))
                self._add(entry)
            return list(self._entries)

    def _known(self) -> list[Entry]:
        """All entries, or all that this instance has read: a create under the next number tells whether there are more.

        So that an append costs the same whatever the length of the log, the log is not listed again. What an append hangs on is read
        again: a log that was cut or changed at its end is not continued.
        """
        if not self._entries:
            return self.entries()
        with self._lock:
            last = self._entries[-1]
            try:
                found = self.backend.read(log_key(self.run, last.seq))
            except Missing:
                raise _lost(self.run, last.seq) from None
            if sha256_hex(found) != last.sha256:
                what = "the entry is not the one that was read before"
                raise Tampered(603, where=log_key(self.run, last.seq), what=what, fix="restore the log from a copy")
            return list(self._entries)

    def _caught_up(self) -> list[Entry]:
        """All entries, after a lost race: what others committed since is read by number, up to the first that is not there."""
        with self._lock:
            while (entry := self._read(len(self._entries))) is not None:
                self._add(entry)
            return list(self._entries)

    def find(self, idem: str) -> Entry | None:
        """The entry that committed this piece of work, or None."""
        self.entries()
        return self._by_idem.get(idem)

    def append(
        self,
        *,
        compose: Callable[[Sequence[Entry]], tuple[EntryType, dict[str, Any]]],
        idem: str,
        time: datetime,
        actor: Actor,
        attempt: Attempt | None = None,
        genesis: str | None = None,
    ) -> Entry:
        """The entry committed under `idem`: the one already there, or a new one under the next number.

        `compose` gives type and body for the entries so far; it is called again after a lost race, because what is right may
        depend on what the other writer committed. `genesis` is the digest that only the first entry hangs on.
        """
        if not DIGEST.fullmatch(idem):
            raise EvidenceError(400, where=self.run, what="not an idempotency key", got=idem, fix="make it with idempotency()")
        stalled, before = 0, -1
        while stalled < _STALLED_ROUNDS:
            entries = self._known() if before < 0 else self._caught_up()
            there = self._by_idem.get(idem)
            if there is not None:
                self._confirm(there)
                return there
            stalled, before = (stalled + 1 if len(entries) == before else 0), len(entries)
            type_, body = compose(entries)
            seq = len(entries)
            key = log_key(self.run, seq)
            # An entry that a reader would refuse could never be taken back, so it is read before it is committed.
            data, entry = Entry(
                v=ENTRY_VERSION,
                run=self.run,
                seq=seq,
                prev=self._previous(entries, genesis),
                time=entry_time(time),
                type=type_,
                actor=actor,
                attempt=attempt,
                idem=idem,
                body=body,
                sha256="",
            ).sealed()
            self._check(data, f"log entry {seq} ({type_.value})")
            if self.backend.create(key, data):
                with self._lock:
                    if len(self._entries) == seq:
                        self._add(entry)
                return entry
        raise EvidenceError(
            500, where=self.run, what="the log neither grows nor takes an entry", fix="check that the evidence directory is on a local disk"
        )

    def _previous(self, entries: Sequence[Entry], genesis: str | None) -> str:
        if entries:
            return entries[-1].sha256
        if genesis is None:
            raise EvidenceError(412, where=self.run, what="the run is not open", fix="call open_run first")
        return genesis

    def _confirm(self, entry: Entry) -> None:
        # The writer may have died, or failed, between the link and the fsync of the directory: create makes that durable.
        self.backend.create(log_key(self.run, entry.seq), entry.as_bytes())

    def _last_listed(self) -> int:
        """Number of the last entry in the listing, -1 when there is none."""
        prefix = f"{self.run}/log/"
        numbers = set()
        for key in self.backend.names(prefix):
            name = key.removeprefix(prefix)
            if not _LOG_FILE.fullmatch(name):
                raise Tampered(602, where=key, what="not an entry of the log", fix="remove it, or restore the log from a copy")
            numbers.add(int(name[:8]))
        for seq in range(len(self._entries)):
            if seq not in numbers:
                raise _lost(self.run, seq)
        return max(numbers, default=-1)

    def _read(self, seq: int) -> Entry | None:
        """Entry number `seq`, checked against those before it; None where there is none."""
        key = log_key(self.run, seq)
        try:
            entry = Entry.from_bytes(self.backend.read(key), where=key)
        except Missing:
            return None
        problem = misplaced(entry, run=self.run, seq=seq, prev=self._entries[-1].sha256 if self._entries else None)
        if problem is not None:
            raise Tampered(603, where=key, what=problem, fix="restore the log from a copy")
        if entry.idem in self._by_idem:
            raise Tampered(603, where=key, what="the same piece of work is committed twice", fix="restore the log from a copy")
        return entry

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._by_idem[entry.idem] = entry


def misplaced(entry: Entry, *, run: str, seq: int, prev: str | None) -> str | None:
    """Why `entry` cannot be number `seq` of `run` after the entry with digest `prev`; None when it can."""
    if entry.seq != seq:
        return f"the entry says it is number {entry.seq}"
    if entry.run != run:
        return "the entry belongs to another run"
    if (entry.type is EntryType.RUN_OPENED) != (seq == 0):
        return "a log starts with run.opened, once"
    if seq == 0 and entry.body.get("genesis") != entry.prev:
        return "the first entry does not hang on its genesis"
    if prev is not None and entry.prev != prev:
        return f"the entry does not hang on number {seq - 1}: one of the two was changed"
    return None


def _lost(run: str, seq: int) -> Tampered:
    return Tampered(604, where=log_key(run, seq), what="the entry is missing", fix="restore the log from a copy")
