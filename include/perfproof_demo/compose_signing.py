"""The key that signs checkpoints in the compose stack: `python -m perfproof_demo.compose_signing .env > trust-root.json`.

SIGNING_KEY of the `.env` is the private key. The trust root names its public half; auditors get it from here, and not from the
stack whose evidence they check.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfproof.errors import PerfproofError
from perfproof.evidence.trust import TRUST_VERSION
from perfproof_demo.errors import DemoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VARIABLE = "SIGNING_KEY"
_HEX = re.compile(r"[0-9a-f]{64}")


def signing_connection(text: str) -> dict[str, Any]:
    """The fields of the Connection that checkpoints are signed with."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = _private(text)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"conn_type": "generic", "login": _key_id(private), "password": pem.decode()}


def trust_root(text: str) -> str:
    """The trust root that names the public half of the key, as JSON."""
    private = _private(text)
    listed = {
        "id": _key_id(private),
        "public_key": private.public_key().public_bytes_raw().hex(),
        "valid_from": None,
        "valid_until": None,
        "revoked": False,
    }
    return json.dumps({"version": TRUST_VERSION, "keys": [listed]}, indent=2) + "\n"


def _private(text: str) -> Ed25519PrivateKey:
    """The private key in 64 hexadecimal digits. Raises DemoError 184, without them, for anything else."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _HEX.fullmatch(text):
        raise DemoError(184, where=VARIABLE, what="not a key of 64 hexadecimal digits", fix="take the line that `make compose-env` wrote")
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def _key_id(private: Ed25519PrivateKey) -> str:
    return hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()[:16]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the trust root of the `.env` that is named. Exit code 2 and one line if it has no key."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        lines = Path(given[0] if given else ".env").read_text().splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        sys.stdout.write(trust_root(found.get(VARIABLE, "")))
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
