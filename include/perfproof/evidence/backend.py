"""Where evidence is kept: the six operations that a store needs, and nothing else."""

from __future__ import annotations

import re
from typing import Protocol

from perfproof.errors import EvidenceError

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class Missing(EvidenceError):
    """Nothing is stored under the key."""


class Backend(Protocol):
    """Keys are relative paths, `<run>/log/00000000.json`. Every failure is an EvidenceError; what was acknowledged is durable."""

    def create(self, key: str, data: bytes) -> bool:
        """True when `data` is now durable under `key`; False when the key exists (durably), whatever it holds. Never overwrites."""
        ...

    def read(self, key: str) -> bytes:
        """The bytes under `key`. Raises Missing when there are none, Tampered when it is not a plain file."""
        ...

    def names(self, prefix: str) -> list[str]:
        """All keys that start with `prefix` (which ends with a slash, or is empty), sorted; empty when there are none."""
        ...

    def replace_view(self, key: str, data: bytes) -> None:
        """Puts `data` under `key` at once: a reader sees the old bytes or the new ones. Only for what can be rebuilt."""
        ...

    def uri(self, key: str) -> str:
        """Where people find the key."""
        ...

    def probe(self) -> None:
        """Raises EvidenceError, with what to do, when this place cannot keep the promise of `create`."""
        ...


def key_parts(key: str) -> list[str]:
    """The parts of `key`. Raises EvidenceError for one that could name anything outside the store."""
    parts = key.split("/")
    if not all(_PART.fullmatch(part) and ".." not in part for part in parts):
        raise EvidenceError(
            400, where="evidence", what="not a key", got=key, expected="parts of letters, digits, . _ -", fix="use known names"
        )
    return parts
