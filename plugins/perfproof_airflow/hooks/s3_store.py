"""Evidence in an S3 bucket. `If-None-Match: *` is what makes a create exclusive; a SHA-256 checksum is what makes it whole."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from perfproof.errors import ConfigError, EvidenceError, Tampered
from perfproof.evidence.backend import Missing, key_parts

TRIES = 4
PAUSE_SECONDS = 0.2
PROBE = "probe/create-only"
PROBE_CHECKSUM = "probe/checksum"
_EXISTS = ("PreconditionFailed", "412")
# Two creates of one key at once: neither says which one wins, so ask again.
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted", "409")
_ABSENT = ("NoSuchKey", "404", "NotFound")
_DENIED = ("AccessDenied", "403", "SignatureDoesNotMatch", "InvalidAccessKeyId", "NoSuchBucket")
_DAMAGED = ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch")
_FINAL = (*_DENIED, *_DAMAGED, "InvalidRequest", "InvalidArgument", "EntityTooLarge")


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """Nobody can delete or overwrite a version of what is created for `days`; in COMPLIANCE mode not even the bucket's owner."""

    mode: str
    days: int


class S3Backend:
    """Keys are objects below `prefix` of `bucket`. `client` is a boto3 client for S3; many threads and processes may use one bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str, *, lock: ObjectLock | None = None) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.lock = lock

    def create(self, key: str, data: bytes) -> bool:
        """True when `data` is durable under `key`, False when the key existed.

        A lost answer, a conflict or a time-out says nothing about what was stored: the key is read and compared.
        """
        name = self._name(key)
        for attempt in range(1, TRIES + 1):
            try:
                self.client.put_object(**self._content(name, data), IfNoneMatch="*", **self._retention())
                return True
            except Exception as error:
                code = _code(error)
                if code in _EXISTS:
                    return False
                if code in _FINAL:
                    raise _failure(key, error) from error
                # A conflict alone proves that another create of this key is under way, and not that one is done.
                stored = self._stored(key)
                if stored is not None:
                    return stored == data
                if attempt == TRIES:
                    raise _failure(key, error) from error
            time.sleep(PAUSE_SECONDS * attempt)
        raise AssertionError  # the last try returns or raises

    def read(self, key: str) -> bytes:
        """The bytes under `key`, their checksum compared where the store keeps one. Raises Missing when there are none."""
        name = self._name(key)
        with _calls_on(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
            data: bytes = answer["Body"].read()
        expected = answer.get("ChecksumSHA256")
        if expected is not None and expected != _checksum(data):
            raise Tampered(607, where=key, what="the bytes have another checksum than was stored", fix="restore it from another version")
        return data

    def names(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted."""
        if prefix:
            key_parts(prefix.removesuffix("/"))
        found: list[str] = []
        with _calls_on(prefix or self.bucket):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                found += [item["Key"].removeprefix(self.prefix) for item in page.get("Contents", ())]
        return sorted(found)

    def replace_view(self, key: str, data: bytes) -> None:
        """Puts `data` under `key` at once; never locked, since it can be rebuilt."""
        with _calls_on(key):
            self.client.put_object(**self._content(self._name(key), data))

    def uri(self, key: str) -> str:
        """The `s3://` address of the key."""
        return f"s3://{self.bucket}/{self._name(key)}"

    def probe(self) -> None:
        """Raises EvidenceError unless the store creates exclusively and refuses damaged content. Two empty objects stay behind."""
        self.create(PROBE, b"")
        if self.create(PROBE, b"other"):
            raise self._unsupported("overwrites what exists in spite of If-None-Match")
        try:
            content = self._content(self._name(PROBE_CHECKSUM), b"x") | {"ChecksumSHA256": _checksum(b"y")}
            self.client.put_object(**content)
        except Exception as error:
            if _code(error) in _DAMAGED:
                return
            raise _failure(PROBE_CHECKSUM, error) from error
        raise self._unsupported("stores content that differs from its checksum")

    def _unsupported(self, what: str) -> EvidenceError:
        return EvidenceError(
            505,
            where=f"s3://{self.bucket}",
            what=f"this store cannot keep evidence: it {what}",
            fix="use AWS S3, SeaweedFS or a local disk",
        )

    def _name(self, key: str) -> str:
        return self.prefix + "/".join(key_parts(key))

    def _content(self, name: str, data: bytes) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": name, "Body": data, "ChecksumSHA256": _checksum(data)}

    def _retention(self) -> dict[str, Any]:
        if self.lock is None:
            return {}
        until = datetime.now(UTC) + timedelta(days=self.lock.days)
        return {"ObjectLockMode": self.lock.mode, "ObjectLockRetainUntilDate": until}

    def _stored(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except Tampered:
            raise
        except EvidenceError:
            return None


def s3_backend(uri: str, *, connection_id: str, lock: str) -> S3Backend:
    """The store at `s3://bucket/prefix`, with the client of an Airflow Connection of type aws. Nothing is asked of the store yet.

    `lock` is empty, or a mode of S3 Object Lock and a number of days, `COMPLIANCE 365`.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    where = "[perfproof] evidence_uri"
    if not bucket:
        raise ConfigError(182, where=where, what="no bucket", got=uri, expected="s3://bucket/prefix", fix="name a bucket")
    try:
        key_parts(prefix.strip("/") or "x")
    except EvidenceError:
        raise ConfigError(182, where=where, what="not a prefix", got=uri, expected="letters, digits, . _ - /", fix="correct it") from None
    return S3Backend(S3Hook(aws_conn_id=connection_id).get_conn(), bucket, prefix, lock=_object_lock(lock))


def _object_lock(text: str) -> ObjectLock | None:
    if not text.strip():
        return None
    mode, _, days = text.strip().partition(" ")
    if mode not in ("COMPLIANCE", "GOVERNANCE") or not days.isdecimal() or int(days) < 1:
        raise ConfigError(
            183, where="[perfproof] evidence_object_lock", what="not a lock", got=text, expected="COMPLIANCE 365 or GOVERNANCE 365",
            fix="name mode and days, or leave it empty",
        )  # fmt: skip
    return ObjectLock(mode, int(days))


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _code(error: Exception) -> str:
    """The code of an answer of the store; empty for everything else, a time-out for example."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


@contextmanager
def _calls_on(key: str) -> Iterator[None]:
    """Turns a failed call into the EvidenceError that says what to do."""
    try:
        yield
    except EvidenceError:
        raise
    except Exception as error:
        raise _failure(key, error) from error


def _failure(key: str, error: Exception) -> EvidenceError:
    code = _code(error)
    if code in _ABSENT:
        return Missing(404, where=key, what="not found", fix="check the name and the evidence bucket")
    if code in _DENIED:
        return EvidenceError(503, where=key, what="the bucket refuses this account", got=code, fix="correct bucket, Connection or policy")
    if type(error).__name__ == "FlexibleChecksumError":
        return Tampered(607, where=key, what="the bytes have another checksum than was stored", fix="restore it from another version")
    return EvidenceError(
        500, where=key, what="evidence cannot be read or written", got=code or str(error), fix="check the store, clear the task"
    )
