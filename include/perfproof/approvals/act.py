"""The act: what Airflow itself saw a person do with the task of a request, signed where it was seen.

The signature is an HMAC with a key that only the parts of this Airflow can read (the Connection `perfproof_approvals`).
It proves that the act went through Airflow (assurance A1), not that it was made by a person's own key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import rfc8785

from perfproof.errors import ApprovalError
from perfproof.strict import build, read_json

ACT_VERSION = 1
SIGNATURE = "hmac_sha256"
KEY_BYTES = 32
KEY_CONNECTION = "perfproof_approvals"
KEY_FIX = "store 64 hexadecimal digits as its password and a key id as its login: see the operations guide"


class Channel(StrEnum):
    """How the person answered."""

    MARK = "mark"
    FORM = "form"
    CLI = "cli"


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


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that acts are signed with. Its representation never shows the secret."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"


def read_key(*, login: str | None, password: str | None) -> SigningKey:
    """The key in the Connection `perfproof_approvals`. Raises ApprovalError, without the secret, if it is not one."""
    if not login or not password or not re.fullmatch(r"[0-9a-f]{64}", password):
        raise ApprovalError(
            423,
            where=f"Connection {KEY_CONNECTION}",
            what="no key for signing acts",
            expected="login and 64 hexadecimal digits",
            fix=KEY_FIX,
        )
    return SigningKey(id=login, secret=bytes.fromhex(password))


def _signature(document: dict[str, Any], key: SigningKey) -> str:
    return hmac.new(key.secret, rfc8785.dumps(document), hashlib.sha256).hexdigest()


def sign(act: Act, *, key: SigningKey) -> dict[str, Any]:
    """`act` as a JSON document with its signature, as it is stored."""
    document = asdict(act) | {"channel": str(act.channel)}
    if document["key_id"] != key.id:
        raise ApprovalError(424, where="act", what="names another key", got=act.key_id, expected=key.id, fix="sign with the key it names")
    return document | {SIGNATURE: _signature(document, key)}


def read_act(stored: object, *, key: SigningKey, where: str) -> Act:
    """The act in `stored` (a document, or its JSON text), if `key` signed it.

    Raises ApprovalError 401 when there is no signed act, 402 when the signature is not this key's.
    """
    if isinstance(stored, str):
        stored = read_json(stored.encode("utf-8", "surrogatepass"), where=where, error=ApprovalError, number=401)
    if not isinstance(stored, dict) or not isinstance(stored.get(SIGNATURE), str):
        raise ApprovalError(401, where=where, what="no signed act", fix="mark the task or answer its form in Airflow")
    document = {name: value for name, value in stored.items() if name != SIGNATURE}
    try:
        expected = _signature(document, key)
    except (rfc8785.CanonicalizationError, UnicodeError):
        expected = ""
    if not hmac.compare_digest(expected.encode(), stored[SIGNATURE].encode("utf-8", "replace")):
        raise ApprovalError(
            402, where=where, what="the signature is not of this Airflow", fix="mark the task or answer its form in Airflow"
        )
    act = build(Act, document, where=where, error=ApprovalError)
    if act.version != ACT_VERSION or act.key_id != key.id:
        raise ApprovalError(402, where=where, what="signed in another form or with another key", got=act.key_id, fix="answer again")
    return act


def act_text(document: dict[str, Any]) -> str:
    """A signed act as one line of JSON, for the audit log."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True)
