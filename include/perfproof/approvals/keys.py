"""The keys that acts are signed with: the current one, and retired ones for what was signed while they were current.

Both lie in the Connection `perfproof_approvals`: the current key as login (its id) and password, retired ones in its extra,
`{"retired": {"<key id>": {"password": "<64 hexadecimal digits>", "until": "<moment>"}}}`. The word is `password` because that is
what Airflow masks: a value under another name would be shown to everybody who may look at Connections.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.errors import ApprovalError, PerfproofError
from perfproof.moments import parse_stamp
from perfproof.strict import read_json

KEY_CONNECTION = "perfproof_approvals"
KEY_FIX = "store 64 hexadecimal digits as its password and a key id as its login: see the operations guide"
RING_FIX = 'write {"retired": {"<key id>": {"password": "<64 hexadecimal digits>", "until": "<moment>"}}} as its extra'
MAX_EXTRA_BYTES = 1 << 16
HEX_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that acts are signed with. Its representation never shows the secret."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """A key that signs nothing any more. Acts that it signed count if they are not dated after `until`."""

    key: SigningKey
    until: datetime


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The current key, and retired ones. Only the current one signs."""

    current: SigningKey
    retired: tuple[RetiredKey, ...] = ()

    def key(self, key_id: object) -> SigningKey | None:
        """The key of that id, current or retired, or None."""
        return next((key for key in (self.current, *(r.key for r in self.retired)) if key.id == key_id), None)

    def until(self, key_id: str) -> datetime | None:
        """The last moment of a retired key; None for the current one."""
        return next((r.until for r in self.retired if r.key.id == key_id), None)


def ring_of(key: SigningKey | KeyRing) -> KeyRing:
    """`key` as a ring: a single key is one without retired keys."""
    return key if isinstance(key, KeyRing) else KeyRing(current=key)


def read_key(*, login: str | None, password: str | None) -> SigningKey:
    """The current key in the Connection `perfproof_approvals`. Raises ApprovalError 423, without the secret, if it is not one."""
    if not login or not password or not HEX_KEY.fullmatch(password):
        raise ApprovalError(
            423,
            where=f"Connection {KEY_CONNECTION}",
            what="no key for signing acts",
            expected="login and 64 hexadecimal digits",
            fix=KEY_FIX,
        )
    return SigningKey(id=login, secret=bytes.fromhex(password))


def read_ring(*, login: str | None, password: str | None, extra: str | None) -> KeyRing:
    """All keys in the Connection; `extra` is its extra as text, which may be empty.

    Raises ApprovalError 423 if there is no current key, 425 if the extra is not what is described above. Neither quotes
    anything of a key.
    """
    current = read_key(login=login, password=password)
    if extra is None or not extra.strip():
        return KeyRing(current)
    try:
        document = read_json(extra.encode("utf-8", "surrogatepass"), where=KEY_CONNECTION, limit=MAX_EXTRA_BYTES)
    except PerfproofError:
        # Whatever the reader says quotes what it read.
        raise _malformed("the extra is not JSON that can be read") from None
    if not isinstance(document, dict) or set(document) - {"retired"}:
        raise _malformed("the extra holds something else than retired keys")
    entries = document.get("retired", {})
    if not isinstance(entries, dict):
        raise _malformed("the retired keys are no mapping")
    return KeyRing(current, tuple(_retired(number, key_id, entry, current) for number, (key_id, entry) in enumerate(entries.items(), 1)))


def _retired(number: int, key_id: str, entry: Any, current: SigningKey) -> RetiredKey:
    # By its position: whoever mixed up the two would have the secret where the id belongs.
    name = f"retired key {number}"
    if not isinstance(entry, dict) or set(entry) != {"password", "until"}:
        raise _malformed(f"{name} needs password and until, and nothing else")
    password = entry["password"]
    if not isinstance(password, str) or not HEX_KEY.fullmatch(password):
        raise _malformed(f"{name} is not 64 hexadecimal digits")
    if not key_id.strip() or key_id == current.id:
        raise _malformed(f"{name} has no id, or the id of the current key")
    try:
        until = parse_stamp(entry["until"])
    except PerfproofError:
        raise _malformed(f"until of {name} is not a moment like 2026-12-01T10:00:00Z") from None
    return RetiredKey(SigningKey(id=key_id, secret=bytes.fromhex(password)), until)


def _malformed(what: str) -> ApprovalError:
    return ApprovalError(425, where=f"Connection {KEY_CONNECTION}", what=what, fix=RING_FIX)
