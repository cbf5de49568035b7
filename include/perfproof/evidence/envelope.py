"""DSSE envelopes with one Ed25519 signature: made with a private key, and read strictly before anything in them is believed."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.records import canonical
from perfproof.strict import read_json
from perfproof.telemetry import sha256_hex

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Login: the key id; password: the PEM itself, so that the key lies in no file of a worker.
SIGNING_CONNECTION = "perfproof_signing"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_ENVELOPE = 16 << 20
_KEYS = {"payload", "payloadType", "signatures"}


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """The private key that checkpoints are signed with. Its representation never shows it."""

    id: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_hex(self) -> str:
        """The public half, as a trust root names it."""
        return self.private.public_key().public_bytes_raw().hex()


def key_id_of(private: Ed25519PrivateKey) -> str:
    """The id of a key that was given none: a part of the digest of its public half."""
    return sha256_hex(private.public_key().public_bytes_raw())[:16]


def signing_fields(key: CheckpointKey) -> dict[str, str]:
    """The fields of the Connection that checkpoints are signed with. They hold the private key."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"conn_type": "generic", "login": key.id, "password": pem.decode()}


def read_checkpoint_key(pem: bytes, *, key_id: str, where: str) -> CheckpointKey:
    """The Ed25519 key in a PEM (PKCS #8, no passphrase). Raises EvidenceError, without the secret, if there is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not KEY_ID.fullmatch(key_id):
        raise EvidenceError(
            620, where=where, what="not a key id", got=key_id, expected="letters, digits, . _ -", fix="use what perfproof keygen wrote"
        )
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise EvidenceError(
            621, where=where, what="not an Ed25519 private key in PEM without a passphrase", fix="make one with perfproof keygen"
        )
    return CheckpointKey(id=key_id, private=private)


@dataclass(frozen=True, slots=True)
class Signed:
    """What an envelope holds. Nothing of it is proved until `signed_by` says so."""

    payload: bytes
    key_id: str
    signature: bytes

    def signed_by(self, public_hex: str) -> bool:
        """Whether the key made this signature over exactly this payload and payload type."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex)).verify(self.signature, signed_bytes(self.payload))
        except (InvalidSignature, ValueError):
            return False
        return True


def signed_bytes(payload: bytes) -> bytes:
    """What a signature is over: the pre-authentication encoding of the DSSE specification, version 1.0.2.

    Written out here because securesystemslib, which `seal` uses, imports the clients of every cloud with its signers: who only
    verifies would wait for them.
    """
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(payload: bytes, *, key: CheckpointKey) -> bytes:
    """The envelope of `payload`, signed, in RFC 8785 form."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key.private, SSlibKey.from_crypto(key.private.public_key(), keyid=key.id)))
    return canonical(envelope.to_dict(), where="envelope")


def read_envelope(data: bytes, *, where: str) -> Signed:
    """The envelope in `data`. Raises Tampered unless it is the one form that `seal` writes, with one signature."""
    document = read_json(data, where=where, limit=MAX_ENVELOPE, error=Tampered, number=622)
    problem = _malformed(document)
    if problem is None and canonical(document, where=where, error=Tampered) != data:
        problem = "the envelope is not in canonical form"
    if problem is not None:
        raise _refused(where, problem)
    signature = document["signatures"][0]
    return Signed(_base64(document["payload"], where), signature["keyid"], _base64(signature["sig"], where))


def _malformed(document: Any) -> str | None:
    if not isinstance(document, dict) or set(document) != _KEYS or not isinstance(document["payload"], str):
        return "not an envelope: keys are missing or unknown"
    if document["payloadType"] != PAYLOAD_TYPE:
        return f"the payload type is not {PAYLOAD_TYPE}"
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        return "not exactly one signature"
    one = signatures[0]
    if not isinstance(one, dict) or set(one) != {"keyid", "sig"} or not all(isinstance(value, str) for value in one.values()):
        return "a signature needs keyid and sig"
    return None


def _base64(text: str, where: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(where, "not base64") from None
    if base64.b64encode(data).decode() != text:
        raise _refused(where, "not the one spelling of its base64")
    return data


def _refused(where: str, what: str) -> Tampered:
    return Tampered(623, where=where, what=what, fix="restore the checkpoint from a copy")
