"""A lock between machines in an S3 bucket: an object that names its holder until a moment, changed only if nobody else has."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfproof.errors import EvidenceError
from perfproof_airflow.hooks.s3_store import S3Backend

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


class Busy(EvidenceError):
    """Somebody else holds the lease."""


@contextmanager
def lease(backend: S3Backend, name: str, *, patience: float, seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Holds `locks/<name>` alone. Raises Busy after `patience` seconds.

    The holder renews it; after a killed one it is free once `seconds` have passed. Workers' clocks may differ by less than that.
    """
    held = _Lease(backend, name, seconds)
    deadline = time.monotonic() + patience
    while not held.take():
        if time.monotonic() > deadline:
            raise Busy(508, where=f"locks/{name}", what="somebody else holds it", fix="try again when they have ended")
        time.sleep(POLL_SECONDS)
    ended = threading.Event()
    renewal = threading.Thread(target=held.keep, args=(ended, min(RENEW_SECONDS, seconds / 4)), name=f"lease {name}", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        held.give_back()


class _Lease:
    def __init__(self, backend: S3Backend, name: str, seconds: float) -> None:
        self.backend = backend
        self.key = f"{backend.prefix}locks/{name}"
        self.seconds = seconds
        self.holder = uuid.uuid4().hex
        self.etag: str | None = None

    def take(self) -> bool:
        """Whether it is ours now."""
        client, bucket = self.backend.client, self.backend.bucket
        try:
            found = client.get_object(Bucket=bucket, Key=self.key)
        except client.exceptions.NoSuchKey:
            return self._put(self.seconds, IfNoneMatch="*")
        document = json.loads(found["Body"].read())
        if document["holder"] == self.holder:
            # Ours already: only the answer to the write was lost.
            self.etag = found["ETag"]
            return True
        return float(document["until"]) <= time.time() and self._put(self.seconds, IfMatch=found["ETag"])

    def keep(self, ended: threading.Event, every: float) -> None:
        """Renews it until `ended`; says so once if it was lost."""
        while not ended.wait(every):
            if not self._put(self.seconds, IfMatch=self.etag) and not self._still_ours():
                log.error("the lease %s was lost: another load test may have begun", self.key)
                return

    def give_back(self) -> None:
        """Frees it at once, unless it was lost."""
        if not self._put(0.0, IfMatch=self.etag) and self._still_ours():
            self._put(0.0, IfMatch=self.etag)

    def _still_ours(self) -> bool:
        """Whether it may still be ours after a write that was refused or got no answer; then the next write can follow it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.backend.client.get_object(Bucket=self.backend.bucket, Key=self.key)
        except (ClientError, BotoCoreError):
            return True
        ours = bool(json.loads(found["Body"].read())["holder"] == self.holder)
        self.etag = found["ETag"] if ours else self.etag
        return ours

    def _put(self, seconds: float, **condition: Any) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        body = json.dumps({"holder": self.holder, "until": time.time() + seconds if seconds else 0.0}).encode()
        try:
            answer = self.backend.client.put_object(Bucket=self.backend.bucket, Key=self.key, Body=body, **condition)
        except (ClientError, BotoCoreError) as error:
            log.info("the lease %s is not changed: %s", self.key, error)
            return False
        self.etag = answer["ETag"]
        return True
