"""The act: what Airflow itself saw a person do with the task of a request, signed where it was seen.

The signature is an HMAC with a key that only the parts of this Airflow can read (the Connection `perfproof_approvals`).
It proves that the act went through Airflow (assurance A1), not that it was made by a person's own key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import rfc8785

from perfproof.approvals.keys import KeyRing, ring_of
from perfproof.approvals.keys import SigningKey as SigningKey
from perfproof.errors import ApprovalError
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import build, read_json

ACT_VERSION = 1
SIGNATURE = "hmac_sha256"
# A record holds the act, and a log entry must stay small.
MAX_ACT_BYTES = 1 << 16
# How often one task can change its state before nothing more is kept of it.
MAX_ACTS = 16
FIX = "mark the task or answer its form in Airflow"


class Channel(StrEnum):
    """How the person answered."""

    MARK = "mark"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Act:
    """One person's act on one task instance of a request.

    `state` is what the task became, `decision` the option chosen in a form (None for a mark), `note` the words of the
    person, `conf_sha256` the digest of what stood in the request at that moment.
    """

    actor_id: str
    actor_name: str
    state: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    ti_id: str
    try_number: int
    time: str
    note: str | None
    decision: str | None
    channel: Channel
    conf_sha256: str
    key_id: str
    version: int = ACT_VERSION


def _signature(document: dict[str, Any], key: SigningKey) -> str:
    return hmac.new(key.secret, rfc8785.dumps(document), hashlib.sha256).hexdigest()


def sign(act: Act, *, key: SigningKey) -> dict[str, Any]:
    """`act` as a JSON document with its signature, as it is stored."""
    document = asdict(act) | {"channel": str(act.channel)}
    if document["key_id"] != key.id:
        raise ApprovalError(424, where="act", what="names another key", got=act.key_id, expected=key.id, fix="sign with the key it names")
    return document | {SIGNATURE: _signature(document, key)}


def acts_in(stored: object, *, where: str) -> list[object]:
    """The acts in what is stored for one task, oldest first: one act as it is, or a list of at most 16.

    What is neither comes back as it is, for `read_act` to refuse.
    """
    if isinstance(stored, str):
        try:
            stored = read_json(
                stored.encode("utf-8", "surrogatepass"), where=where, limit=MAX_ACTS * MAX_ACT_BYTES, error=ApprovalError, number=401
            )
        except ApprovalError:
            return [stored]
    return list(stored[:MAX_ACTS]) if isinstance(stored, list) and stored else [stored]


def with_act(stored: object, document: dict[str, Any], *, key: SigningKey, where: str) -> dict[str, Any] | list[Any]:
    """What is to be stored when `document` is the newest act: the acts that `key` signed before, then this one.

    A later act takes nothing back: whoever may edit tasks could otherwise undo an answer that nobody has looked at yet. What
    `key` did not sign is dropped, and of more than 16 the newest.
    """
    kept: list[Any] = []
    for item in acts_in(stored, where=where) if stored is not None else []:
        try:
            read_act(item, key=key, where=where)
        except ApprovalError:
            continue
        kept.append(item)
    acts = [*kept, document][:MAX_ACTS]
    return acts if len(acts) > 1 else document


def read_act(stored: object, *, key: SigningKey | KeyRing, where: str) -> Act:
    """The act in `stored` (a document, or its JSON text), if `key` or a key of the ring signed it.

    Raises ApprovalError 401 when there is no signed act of 64 KiB at most; 402 when the signature is not one of these keys',
    or a retired key's on an act that is dated after its time.
    """
    if isinstance(stored, str):
        stored = read_json(stored.encode("utf-8", "surrogatepass"), where=where, limit=MAX_ACT_BYTES, error=ApprovalError, number=401)
    if not isinstance(stored, dict) or not isinstance(stored.get(SIGNATURE), str):
        raise ApprovalError(401, where=where, what="no signed act", fix=FIX)
    ring = ring_of(key)
    document = {name: value for name, value in stored.items() if name != SIGNATURE}
    signer = ring.key(document.get("key_id"))
    if signer is None:
        raise ApprovalError(402, where=where, what="signed with a key that this Airflow does not know", got=document.get("key_id"), fix=FIX)
    expected = _expected(document, signer, where)
    if expected is None or not hmac.compare_digest(expected.encode(), stored[SIGNATURE].encode("utf-8", "replace")):
        raise ApprovalError(402, where=where, what="the signature is not of this Airflow", fix=FIX)
    act = build(Act, document, where=where, error=ApprovalError)
    if act.version != ACT_VERSION:
        raise ApprovalError(402, where=where, what="signed in another form", got=act.version, expected=ACT_VERSION, fix="answer again")
    until = ring.until(act.key_id)
    if until is not None and parse_stamp(act.time, where=where) > until:
        raise ApprovalError(
            402, where=where, what=f"signed with the key {act.key_id} after it was retired", got=act.time, expected=f"until {stamp(until)}",
            fix="answer again",
        )  # fmt: skip
    return act


def _expected(document: dict[str, Any], key: SigningKey, where: str) -> str | None:
    """The signature that `document` must have; None if it has no canonical form, so that nothing can have signed it."""
    try:
        canonical = rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError):
        return None
    if len(canonical) > MAX_ACT_BYTES:
        raise ApprovalError(
            401, where=where, what="the act is too large", got=f"{len(canonical)} bytes", expected=f"at most {MAX_ACT_BYTES}",
            fix="answer again with a shorter note",
        )  # fmt: skip
    return hmac.new(key.secret, canonical, hashlib.sha256).hexdigest()


def act_text(document: dict[str, Any]) -> str:
    """A signed act as one line of JSON, for the audit log."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True)
