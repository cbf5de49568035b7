"""What the log is made of: entries, who wrote them, and references to content."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias, cast

import rfc8785

from perfproof.errors import EvidenceError, PerfproofError, Tampered
from perfproof.evidence.canonical import canonical_bytes
from perfproof.evidence.names import is_name
from perfproof.strict import read_json
from perfproof.telemetry import sha256_hex

ENTRY_VERSION = 1
MAX_ENTRY_BYTES = 1 << 20
DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
ErrorClass: TypeAlias = type[PerfproofError]
_TEXTS = ("run", "prev", "time", "type", "idem")
_KEYS = frozenset(("v", "run", "seq", "prev", "time", "type", "actor", "attempt", "idem", "body"))


class EntryType(StrEnum):
    """Everything that a log can say. A closed set: an entry of another type is not evidence."""

    RUN_OPENED = "run.opened"
    RUN_CLOSED = "run.closed"
    ARTIFACT_PUBLISHED = "artifact.published"
    ARTIFACT_SUPERSEDED = "artifact.superseded"
    GATE_EVALUATED = "gate.evaluated"
    WAIVER_GRANTED = "waiver.granted"
    WAIVER_REFUSED = "waiver.refused"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_GRANTED = "approval.granted"
    APPROVAL_REJECTED = "approval.rejected"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_VOID = "approval.void"
    APPROVAL_EXPIRED = "approval.expired"
    APPROVAL_CONFLICT = "approval.conflict"
    APPROVAL_REMINDED = "approval.reminded"
    APPROVAL_ESCALATED = "approval.escalated"
    LOADTEST_AUTHORISED = "loadtest.authorised"
    LOADTEST_STARTED = "loadtest.started"
    LOADTEST_ABORTED = "loadtest.aborted"
    LOADTEST_FINISHED = "loadtest.finished"
    SLO_UPDATED = "slo.updated"
    ANNOUNCE = "announce"
    ERROR = "error"
    NOTIFY_DELIVERED = "notify.delivered"
    NOTIFY_FAILED = "notify.failed"
    CODE_CHANGED = "code.changed"
    RECOVERY_NOTED = "recovery.noted"
    DECISION_RECORDED = "decision.recorded"
    HANDOFF_COMPLETED = "handoff.completed"


_TYPES = frozenset(EntryType)
PUBLICATIONS = (EntryType.ARTIFACT_PUBLISHED, EntryType.ARTIFACT_SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Reference:
    """Content by name and digest. `uri` says where people find it; only `sha256` decides what it is."""

    name: str
    sha256: str
    uri: str

    def as_dict(self) -> dict[str, str]:
        """The reference as JSON, the only thing that passes between tasks."""
        return {"name": self.name, "sha256": self.sha256, "uri": self.uri}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Reference:
        """The reference in `document`. Raises EvidenceError for a missing key, another type or a malformed digest."""
        values = [document.get(key) for key in ("name", "sha256", "uri")]
        if not all(isinstance(value, str) for value in values) or not DIGEST.fullmatch(str(values[1])):
            raise EvidenceError(
                400, where="reference", what="not a reference", got=dict(document), expected="name, sha256, uri",
                fix="pass on what publish returned",
            )  # fmt: skip
        name, sha256, uri = map(str, values)
        return cls(name=name, sha256=sha256, uri=uri)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wrote an entry: `kind` task, person or service; `auth` A0 (nobody checked), A1 (Airflow did) or A2 (their own key)."""

    kind: str
    id: str
    auth: str = "A0"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The try of the task that wrote an entry, as Airflow names it."""

    dag_id: str
    task_id: str
    map_index: int
    try_number: int
    ti_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact. `prev` is the digest of the entry before, `sha256` the digest of this entry's exact bytes (and not in them)."""

    v: int
    run: str
    seq: int
    prev: str
    time: str
    type: EntryType
    actor: Actor
    attempt: Attempt | None
    idem: str
    body: dict[str, Any]
    sha256: str

    @property
    def moment(self) -> datetime:
        """`time` as an aware datetime in UTC."""
        return datetime.fromisoformat(self.time)

    def as_bytes(self) -> bytes:
        """The canonical bytes, those of the file. Raises EvidenceError for a body that JSON cannot hold (NaN, huge integers)."""
        tried = self.attempt
        document = {
            "v": self.v,
            "run": self.run,
            "seq": self.seq,
            "prev": self.prev,
            "time": self.time,
            "type": self.type.value,
            "actor": {"kind": self.actor.kind, "id": self.actor.id, "auth": self.actor.auth},
            "attempt": None
            if tried is None
            else {
                "dag_id": tried.dag_id,
                "task_id": tried.task_id,
                "map_index": tried.map_index,
                "try": tried.try_number,
                "ti_id": tried.ti_id,
            },
            "idem": self.idem,
            "body": self.body,
        }
        return canonical(document, where=f"{self.run} entry {self.seq} ({self.type.value})")

    def sealed(self) -> tuple[bytes, Entry]:
        """The canonical bytes, and the entry as every reader will find it in them. Raises EvidenceError for one that they would refuse."""
        data, where = self.as_bytes(), f"{self.run} entry {self.seq} ({self.type.value})"
        return data, Entry._read(_document(data, where, EvidenceError), sha256_hex(data))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str, error: ErrorClass = Tampered) -> Entry:
        """The entry in `data`. Raises `error` unless the bytes are the one canonical form of a well-formed entry."""
        document = _document(data, where, error)
        if canonical(document, where=where, error=error) != data:
            raise error(601, where=where, what="the bytes are not canonical JSON", fix="restore the entry from a copy")
        return cls._read(document, sha256_hex(data))

    @classmethod
    def _read(cls, document: dict[str, Any], sha256: str) -> Entry:
        attempt = document["attempt"]
        if attempt is not None:
            attempt = Attempt(attempt["dag_id"], attempt["task_id"], attempt["map_index"], attempt["try"], attempt["ti_id"])
        return cls(
            **{key: document[key] for key in ("v", "run", "seq", "prev", "time", "idem", "body")},
            type=EntryType(document["type"]),
            actor=Actor(**document["actor"]),
            attempt=attempt,
            sha256=sha256,
        )


def canonical(value: Any, *, where: str, error: ErrorClass = EvidenceError) -> bytes:
    """`value` as RFC 8785 bytes. Raises `error` for what JSON cannot hold."""
    try:
        return canonical_bytes(value)
    except (rfc8785.CanonicalizationError, RecursionError) as problem:
        raise error(
            422, where=where, what="not JSON", got=str(problem), fix="only text, finite numbers, booleans, null, lists and mappings"
        ) from None


def entry_time(moment: datetime) -> str:
    """`moment` as `2025-02-16T10:00:00.000Z`. Raises EvidenceError when it has no time zone."""
    if moment.tzinfo is None:
        raise EvidenceError(400, where="time", what="no time zone", got=moment.isoformat(), fix="pass an aware datetime")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def idempotency(
    type: str,  # noqa: A002  the names of the log and of the design
    step: str,
    round: int,  # noqa: A002
    inputs: Sequence[str],
    map_index: int = -1,
) -> str:
    """The key of one piece of work: a retry of it finds what an earlier try committed, a new round or other inputs do not.

    `round` is the clear number of the run; `inputs` are digests, in any order.
    """
    return sha256_hex(canonical([str(type), step, map_index, round, sorted(inputs)], where="idempotency key"))


def _document(data: bytes, where: str, error: ErrorClass) -> dict[str, Any]:
    document = read_json(data, where=where, limit=MAX_ENTRY_BYTES, error=error, number=601)
    problem = _malformed(document)
    if problem is not None:
        raise error(601, where=where, what=problem, fix="restore the entry from a copy")
    return cast("dict[str, Any]", document)


def _malformed(document: Any) -> str | None:
    if not isinstance(document, dict) or set(document) != _KEYS:
        return "not an entry: keys are missing or unknown"
    if document["v"] != ENTRY_VERSION or type(document["v"]) is not int:
        return "unknown version of the entry format"
    if type(document["seq"]) is not int or document["seq"] < 0:
        return "seq is not a number"
    if not all(isinstance(document[key], str) for key in _TEXTS) or not isinstance(document["body"], dict):
        return "a field has another type"
    if not DIGEST.fullmatch(document["prev"]) or not DIGEST.fullmatch(document["idem"]):
        return "prev or idem is not a digest"
    if document["type"] not in _TYPES:
        return "unknown type of entry"
    if not _is_time(document["time"]):
        return "time is not a moment in UTC with milliseconds"
    if document["type"] in PUBLICATIONS and not _is_publication(document["body"]):
        return "the body does not describe a published artifact"
    return _malformed_origin(document["actor"], document["attempt"])


def _is_publication(body: dict[str, Any]) -> bool:
    inputs = body.get("inputs")
    return (
        is_name(body.get("name"))
        and _is_digest(body.get("sha256"))
        and type(body.get("size")) is int
        and isinstance(inputs, list)
        and all(isinstance(i, dict) and isinstance(i.get("name"), str) and _is_digest(i.get("sha256")) for i in inputs)
        and "verified_by" in body
    )


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _malformed_origin(actor: Any, attempt: Any) -> str | None:
    if not isinstance(actor, dict) or set(actor) != {"kind", "id", "auth"}:
        return "actor needs kind, id and auth"
    if actor["kind"] not in ("task", "person", "service") or actor["auth"] not in ("A0", "A1", "A2"):
        return "unknown kind or auth of actor"
    if not isinstance(actor["id"], str) or not actor["id"].strip():
        return "an actor without id"
    if attempt is None:
        return None
    shape = {"dag_id": str, "task_id": str, "map_index": int, "try": int, "ti_id": str}
    if not isinstance(attempt, dict) or set(attempt) != set(shape):
        return "attempt needs dag_id, task_id, map_index, try and ti_id"
    if any(type(attempt[key]) is not kind for key, kind in shape.items()):
        return "a field of attempt has another type"
    return None
