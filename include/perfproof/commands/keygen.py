"""`perfproof keygen DIR`: a new key for signing checkpoints, and the trust root that names its public half.

Writes three files that must not exist yet, and exits 2 if one does: `signing-key.pem` and `signing-connection.json` (both hold the
private key, for their owner only), and `trust-root.json`, which auditors get.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from perfproof.errors import EvidenceError
from perfproof.evidence.envelope import KEY_ID, SIGNING_CONNECTION, CheckpointKey, key_id_of, signing_fields
from perfproof.evidence.trust import read_trust_root, trust_root_of

PRIVATE_FILE, CONNECTION_FILE, TRUST_FILE = "signing-key.pem", "signing-connection.json", "trust-root.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The directory, and what the trust root says about the key."""
    parser.add_argument("directory", type=Path, help="directory for the three files; it is made if need be")
    parser.add_argument("--key-id", help="id of the key; without it, a part of the digest of the public key")
    parser.add_argument("--valid-from", help="moment in UTC from which signatures count, 2026-01-01T00:00:00Z")
    parser.add_argument("--valid-until", help="moment in UTC until which signatures count")


def run(options: argparse.Namespace) -> int:
    """Makes the key and writes the files, the trust root last."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    key_id = options.key_id or key_id_of(private)
    if not KEY_ID.fullmatch(key_id):
        raise EvidenceError(620, where="--key-id", what="not a key id", got=key_id, expected="letters, digits, . _ -", fix="choose another")
    key = CheckpointKey(key_id, private)
    trust = trust_root_of(key, valid_from=options.valid_from, valid_until=options.valid_until).encode()
    read_trust_root(trust, where=TRUST_FILE)
    fields = signing_fields(key)
    files = [
        (PRIVATE_FILE, fields["password"].encode(), 0o600),
        (CONNECTION_FILE, json.dumps({SIGNING_CONNECTION: fields}, indent=2).encode() + b"\n", 0o600),
        (TRUST_FILE, trust, 0o644),
    ]
    directory: Path = options.directory
    for name, _, _ in files:
        if (directory / name).exists() or (directory / name).is_symlink():
            raise EvidenceError(
                640, where=str(directory / name), what="exists already", fix="choose another directory: no key is overwritten"
            )
    directory.mkdir(parents=True, exist_ok=True)
    for name, data, mode in files:
        _create(directory / name, data, mode)
    sys.stdout.write(f"key {key_id}: {PRIVATE_FILE} (secret), {CONNECTION_FILE} (secret), {TRUST_FILE} in {directory}\n")
    return 0


def _create(path: Path, data: bytes, mode: int) -> None:
    """Writes a file that must not exist, with this mode from the start."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise EvidenceError(640, where=str(path), what="cannot be created", got=error.strerror, fix="choose another directory") from None
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(file)
