"""The trust root: whose signatures an auditor accepts, and for when. It comes from elsewhere than the evidence."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from perfproof.errors import ArtifactError, EvidenceError
from perfproof.evidence.envelope import KEY_ID, CheckpointKey, Signed
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import build, read_json

TRUST_VERSION = 1
MAX_TRUST_ROOT = 1 << 20
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Listed:
    id: str
    public_key: str
    valid_from: str | None = None
    valid_until: str | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    version: int
    keys: tuple[_Listed, ...]


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key (32 bytes in hexadecimal). A revoked one counts for nothing, whatever the time on a signature says."""

    id: str
    public_hex: str
    valid_from: datetime | None
    valid_until: datetime | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """The keys that are trusted, by id."""

    keys: dict[str, TrustedKey]

    def problem(self, signed: Signed, *, at: datetime) -> str | None:
        """Why the signature, made at `at`, does not count; None when it does."""
        key = self.keys.get(signed.key_id)
        if key is None:
            return f"signed with a key that the trust root does not name: {signed.key_id}"
        if key.revoked:
            return f"signed with a revoked key: {key.id}"
        if not signed.signed_by(key.public_hex):
            return f"the signature is not by the key {key.id} over these bytes"
        if key.valid_from is not None and at < key.valid_from:
            return f"signed at {stamp(at)}, before the key {key.id} was valid"
        if key.valid_until is not None and at > key.valid_until:
            return f"signed at {stamp(at)}, after the key {key.id} had expired"
        return None


def trust_root_of(key: CheckpointKey, *, valid_from: str | None = None, valid_until: str | None = None) -> str:
    """The trust root that names the public half of one key, as JSON. What it says of the moments is not checked here."""
    listed = _Listed(key.id, key.public_hex, valid_from, valid_until)
    return json.dumps({"version": TRUST_VERSION, "keys": [asdict(listed)]}, indent=2) + "\n"


def read_trust_root(data: bytes, *, where: str) -> TrustRoot:
    """The trust root in a JSON file. Raises EvidenceError with the place of what is wrong."""
    document: Any = read_json(data, where=where, limit=MAX_TRUST_ROOT, error=EvidenceError, number=630)
    # Another file may have been given by mistake, with a secret in it that a message must not show.
    if not isinstance(document, dict) or set(document) != {"version", "keys"} or not isinstance(document["keys"], list):
        raise _wrong(where, "not a trust root of version 1 with at least one key")
    listed = build(_File, document, where=where, error=EvidenceError)
    if listed.version != TRUST_VERSION or not listed.keys:
        raise _wrong(where, "not a trust root of version 1 with at least one key")
    keys: dict[str, TrustedKey] = {}
    for number, item in enumerate(listed.keys):
        place = f"{where} keys[{number}]"
        if not KEY_ID.fullmatch(item.id) or item.id in keys:
            raise _wrong(place, "an id that is no key id, or named twice", got=item.id)
        start, end = _moment(item.valid_from, place), _moment(item.valid_until, place)
        if start is not None and end is not None and end <= start:
            raise _wrong(place, "valid_until is not after valid_from", got=item.valid_until)
        keys[item.id] = TrustedKey(item.id, _public_hex(item.public_key, place), start, end, item.revoked)
    return TrustRoot(keys)


def _moment(text: str | None, where: str) -> datetime | None:
    try:
        return None if text is None else parse_stamp(text, where=where)
    except ArtifactError:
        raise _wrong(where, "not a moment in UTC", got=text) from None


def _public_hex(text: str, where: str) -> str:
    if _HEX.fullmatch(text):
        return text
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _wrong(where, "not an Ed25519 public key: 64 hexadecimal digits or a PEM")
    return key.public_bytes_raw().hex()


def _wrong(where: str, what: str, *, got: object = None) -> EvidenceError:
    return EvidenceError(631, where=where, what=what, got=got, fix="use the trust root that perfproof keygen wrote")
