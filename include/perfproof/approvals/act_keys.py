"""The keys of acts that an auditor was given: a secret file, read strictly, and never shown in a message."""

from __future__ import annotations

import re

from perfproof.approvals.keys import SigningKey
from perfproof.errors import EvidenceError
from perfproof.strict import read_json

ACT_KEYS_VERSION = 1
MAX_ACT_KEYS = 1 << 20
_SECRET = re.compile(r"[0-9a-f]{64}")


def read_act_keys(data: bytes, *, where: str) -> dict[str, SigningKey]:
    """The keys in a JSON file `{"version": 1, "keys": {"<key id>": "<64 hex>"}}`, by id. Raises EvidenceError, without a secret."""
    try:
        document = read_json(data, where=where, limit=MAX_ACT_KEYS, error=EvidenceError, number=633)
    except EvidenceError as problem:
        # What the reader quotes may be a part of a secret.
        raise _no_keys(where, problem.what) from None
    # Not strict.build: its messages show what they found.
    shaped = isinstance(document, dict) and set(document) == {"version", "keys"} and isinstance(document["keys"], dict)
    if not shaped or type(document["version"]) is not int or document["version"] != ACT_KEYS_VERSION or not document["keys"]:
        raise _no_keys(where, "not a file of act keys: a version, which is 1, and keys by id")
    for number, (name, secret) in enumerate(document["keys"].items()):
        if not name.strip() or not isinstance(secret, str) or not _SECRET.fullmatch(secret):
            raise _no_keys(f"{where} keys[{number}]", "not a key id with 64 hexadecimal digits")
    return {name: SigningKey(name, bytes.fromhex(secret)) for name, secret in document["keys"].items()}


def _no_keys(where: str, what: str) -> EvidenceError:
    return EvidenceError(633, where=where, what=what, fix='write {"version": 1, "keys": {"<key id>": "<64 hexadecimal digits>"}}')
