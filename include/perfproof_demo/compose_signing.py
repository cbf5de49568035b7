"""The key that signs checkpoints in the compose stack: `python -m perfproof_demo.compose_signing .env > trust-root.json`.

SIGNING_KEY of the `.env` is the private key. The trust root names its public half; auditors get it from here, and not from the
stack whose evidence they check.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfproof.errors import PerfproofError
from perfproof.evidence.envelope import CheckpointKey, key_id_of, signing_fields
from perfproof.evidence.trust import trust_root_of
from perfproof_demo.errors import DemoError

VARIABLE = "SIGNING_KEY"
_HEX = re.compile(r"[0-9a-f]{64}")


def signing_connection(text: str) -> dict[str, Any]:
    """The fields of the Connection that checkpoints are signed with."""
    return dict(signing_fields(_key(text)))


def trust_root(text: str) -> str:
    """The trust root that names the public half of the key, as JSON."""
    return trust_root_of(_key(text))


def _key(text: str) -> CheckpointKey:
    """The private key in 64 hexadecimal digits. Raises DemoError 184, without them, for anything else."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _HEX.fullmatch(text):
        raise DemoError(184, where=VARIABLE, what="not a key of 64 hexadecimal digits", fix="take the line that `make compose-env` wrote")
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    return CheckpointKey(key_id_of(private), private)


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
