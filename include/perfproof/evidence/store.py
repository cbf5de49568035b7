"""The evidence of one run: put content, publish artifacts, append facts, and read back only what still has its digest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.artifacts import media_type
from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.log import Log
from perfproof.evidence.names import check_name, is_run, object_key
from perfproof.evidence.records import (
    DIGEST,
    PUBLICATIONS,
    Actor,
    Attempt,
    Entry,
    EntryType,
    Reference,
    canonical,
    idempotency,
)
from perfproof.evidence.secrets import refuse_secrets
from perfproof.telemetry import sha256_hex


class EvidenceStore:
    """The store of `run` on `backend`. Many processes may use one run at once; nothing that returned is lost or overwritten.

    Whatever is put, published or appended is searched for secrets first: for what looks like one, and for those that
    `known_secrets` gives at that moment. It is refused as a whole, with EvidenceError 423, and nothing is written.
    """

    def __init__(self, backend: Backend, run: str, *, known_secrets: Callable[[], Collection[str]] = tuple) -> None:
        if not is_run(run):
            raise EvidenceError(400, where="evidence", what="not the key of a run", got=run, fix="make it with run_key()")
        self.backend = backend
        self.run = run
        self.known_secrets = known_secrets
        self._log = Log(backend, run, check=self._refuse_secrets)

    def open_run(self, *, genesis: Mapping[str, Any], time: datetime, actor: Actor, attempt: Attempt | None = None) -> Entry:
        """The first entry, which hangs on `genesis` (dag_id, run_id, digests of spec, configuration and code, schema version).

        Doing it again is harmless; another genesis for the same run is an EvidenceError.
        """
        digest = self.put_object(canonical(genesis, where=f"{self.run} genesis"), where="genesis")
        return self._log.append(
            compose=lambda entries: self._compose_opening(entries, digest),
            idem=idempotency(EntryType.RUN_OPENED, "open_run", 0, [digest]),
            time=time,
            actor=actor,
            attempt=attempt,
            genesis=digest,
        )

    def put_object(self, data: bytes, *, where: str = "content") -> str:
        """The digest under which `data` is now durable. Raises EvidenceError for a secret in it, Tampered when other bytes lie there.

        `where` names the content in the error.
        """
        self._refuse_secrets(data, where)
        digest = sha256_hex(data)
        if not self.backend.create(object_key(self.run, digest), data):
            self.get_object(digest)
        return digest

    def get_object(self, sha256: str) -> bytes:
        """The content with this digest, hashed again. Raises Tampered when it differs, Missing when there is none."""
        if not DIGEST.fullmatch(sha256):
            raise EvidenceError(400, where=self.run, what="not a digest", got=sha256, expected="64 hexadecimal digits", fix="pass a sha256")
        key = object_key(self.run, sha256)
        data = self.backend.read(key)
        if sha256_hex(data) != sha256:
            raise Tampered(606, where=key, what="the bytes have another digest", got=sha256_hex(data), fix="restore the object from a copy")
        return data

    def entries(self) -> list[Entry]:
        """All entries in order, with numbers, canonical bytes and chain checked; Tampered names the file that is wrong."""
        return self._log.entries()

    def head(self) -> tuple[int, str]:
        """Number of entries, and the digest of the last one. Raises EvidenceError when the run is not open."""
        entries = self.entries()
        if not entries:
            raise EvidenceError(412, where=self.run, what="the run is not open", fix="call open_run first")
        return len(entries), entries[-1].sha256

    def append(
        self,
        *,
        type: EntryType | str,  # noqa: A002  the name in the log
        body: Mapping[str, Any],
        idem: str,
        time: datetime,
        actor: Actor,
        attempt: Attempt | None = None,
    ) -> Entry:
        """The entry committed under `idem`: the one that an earlier try committed (whatever its body), or a new one."""
        kind = _entry_type(type)
        if kind is EntryType.RUN_OPENED or kind in PUBLICATIONS:
            raise EvidenceError(400, where=self.run, what="not an entry to append", got=kind.value, fix="use open_run or publish")
        entry = self._log.append(compose=lambda _: (kind, dict(body)), idem=idem, time=time, actor=actor, attempt=attempt)
        if entry.type is not kind:
            raise _other_work(self.run, entry, kind.value)
        return entry

    def find(self, idem: str) -> Entry | None:
        """The entry committed under `idem`, or None."""
        return self._log.find(idem)

    def publish(
        self,
        name: str,
        data: bytes,
        *,
        idem: str,
        time: datetime,
        actor: Actor,
        attempt: Attempt | None = None,
        inputs: Sequence[Reference] = (),
        verified_by: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Reference:
        """The reference of `data`, committed as the live version of `name`; a second version supersedes the first.

        A retry with the same `idem` gets what the earlier try committed, even if its `data` differ: the work was done then.
        `inputs` are what the artifact derives from. The view `<run>/<name>` is refreshed last and can be rebuilt.
        """
        check_name(name)
        if self.find(idem) is None:
            self._check_open()
            digest = self.put_object(data, where=name)
        else:
            digest = ""
        body: dict[str, Any] = {
            "name": name,
            "sha256": digest,
            "size": len(data),
            "media_type": media_type(name),
            "inputs": [{"name": reference.name, "sha256": reference.sha256} for reference in inputs],
            "verified_by": None if verified_by is None else dict(verified_by),
        }
        if extra is not None:
            body["extra"] = dict(extra)
        entry = self._log.append(
            compose=lambda entries: _compose_publication(entries, body), idem=idem, time=time, actor=actor, attempt=attempt
        )
        if entry.body.get("name") != name:
            raise _other_work(self.run, entry, name)
        self.refresh_view(name)
        return self._reference_of(entry)

    def live(self, name: str) -> Entry | None:
        """The entry that published the live version of `name`, or None."""
        return live_entries(self.entries()).get(name)

    def live_all(self) -> dict[str, Entry]:
        """Name to entry of every live artifact, in the order in which the live versions were published."""
        return live_entries(self.entries())

    def reference(self, name: str) -> Reference | None:
        """The reference of the live version of `name`, or None."""
        entry = self.live(name)
        return None if entry is None else self._reference_of(entry)

    def read(self, reference_or_name: Reference | str) -> bytes:
        """The content of a reference, or of the live version of a name, by digest and hashed again."""
        if isinstance(reference_or_name, Reference):
            return self.get_object(reference_or_name.sha256)
        entry = self.live(reference_or_name)
        if entry is None:
            raise Missing(
                404, where=f"{self.run}/{reference_or_name}", what="the artifact is not published", fix="run the task that writes it"
            )
        return self._committed(entry)

    def of_type(self, *types: EntryType | str) -> list[Entry]:
        """The entries of these types, in order."""
        wanted = {_entry_type(type_) for type_ in types}
        return [entry for entry in self.entries() if entry.type in wanted]

    def refresh_view(self, name: str) -> None:
        """Copies the live version of `name` to `<run>/<name>`; does nothing when there is none."""
        entry = self.live(name)
        while entry is not None:
            self.backend.replace_view(f"{self.run}/{name}", self._committed(entry))
            # Another writer may have superseded it in between, and written its view before ours.
            latest = self.live(name)
            if latest == entry:
                return
            entry = latest

    def _committed(self, entry: Entry) -> bytes:
        try:
            return self.get_object(entry.body["sha256"])
        except Missing:
            raise Tampered(
                605, where=object_key(self.run, entry.body["sha256"]), what=f"the content of {entry.body['name']} is missing",
                fix="restore the object from a copy",
            ) from None  # fmt: skip

    def _reference_of(self, entry: Entry) -> Reference:
        name = entry.body["name"]
        return Reference(name=name, sha256=entry.body["sha256"], uri=self.backend.uri(f"{self.run}/{name}"))

    def _refuse_secrets(self, data: bytes, where: str) -> None:
        refuse_secrets(data, where=where, known=tuple(self.known_secrets()))

    def _check_open(self) -> None:
        # Before the object is written, so that a wrong call leaves nothing behind.
        self.head()

    def _compose_opening(self, entries: Sequence[Entry], digest: str) -> tuple[EntryType, dict[str, Any]]:
        if entries:
            raise EvidenceError(
                409, where=self.run, what="the run was opened with another genesis", got=digest, expected=entries[0].prev,
                fix="trigger a new run for another configuration or code",
            )  # fmt: skip
        return EntryType.RUN_OPENED, {"genesis": digest}


def live_entries(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Name to the last publication of it, in the order of publication."""
    live: dict[str, Entry] = {}
    for entry in entries:
        if entry.type in PUBLICATIONS:
            live.pop(entry.body["name"], None)
            live[entry.body["name"]] = entry
    return live


def _compose_publication(entries: Sequence[Entry], body: Mapping[str, Any]) -> tuple[EntryType, dict[str, Any]]:
    previous = live_entries(entries).get(body["name"])
    if previous is None:
        return EntryType.ARTIFACT_PUBLISHED, dict(body)
    return EntryType.ARTIFACT_SUPERSEDED, {**body, "supersedes": previous.seq}


def _entry_type(text: EntryType | str) -> EntryType:
    try:
        return EntryType(text)
    except ValueError:
        raise EvidenceError(
            400, where="log", what="unknown type of entry", got=str(text), expected=", ".join(EntryType), fix="use EntryType"
        ) from None


def _other_work(run: str, entry: Entry, asked: str) -> EvidenceError:
    return EvidenceError(
        409, where=f"{run} entry {entry.seq}", what="the idempotency key belongs to other work", got=asked, expected=entry.type.value,
        fix="give each piece of work its own step name",
    )  # fmt: skip
