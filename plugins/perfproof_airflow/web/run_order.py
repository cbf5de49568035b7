"""The runs of an evidence root in the order in which they were opened, without reading their logs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from perfproof.errors import EvidenceError
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.local import LocalBackend
from perfproof.evidence.names import log_key
from perfproof.evidence.records import Entry
from perfproof.run_key import RUN_KEY
from perfproof_airflow.hooks.s3_store import S3Backend

Found = TypeVar("Found")
# A bucket answers in tens of milliseconds, each time anew.
READERS = 16


class RunOrder:
    """When each run was opened. That never changes, so each run's first entry is read once per process: one small file."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._opened: dict[str, str] = {}
        self._lock = threading.Lock()

    def newest_first(self) -> list[str]:
        """The keys of all runs that were opened. What is no run (the history of captures, locks, `latest`) is left out."""
        found = {name for name in self._names() if RUN_KEY.fullmatch(name)}
        with self._lock:
            unknown = sorted(found - self._opened.keys())
        moments = self._read(unknown)
        with self._lock:
            self._opened |= moments
            # Evidence may be moved away: nothing is kept of a run that is not there.
            self._opened = {run: at for run, at in self._opened.items() if run in found}
            known = dict(self._opened)
        return sorted(known, key=lambda run: (known[run], run), reverse=True)

    def _names(self) -> Iterable[str]:
        if isinstance(self._backend, LocalBackend):
            return _directories(self._backend)
        if isinstance(self._backend, S3Backend):
            return _folders(self._backend)
        return {key.partition("/")[0] for key in self._backend.names("")}

    def _read(self, runs: list[str]) -> dict[str, str]:
        moments = side_by_side(self._backend, self._opened_at, runs)
        return {run: at for run, at in zip(runs, moments, strict=True) if at is not None}

    def _opened_at(self, run: str) -> str | None:
        """The time of the first entry, empty where it is not one: such a run is listed last. None where there is none."""
        key = log_key(run, 0)
        try:
            return Entry.from_bytes(self._backend.read(key), where=key).time
        except Missing:
            return None
        except EvidenceError:
            return ""


def side_by_side(backend: Backend, read: Callable[[str], Found], runs: Sequence[str]) -> list[Found]:
    """What `read` finds for each run, in their order; of a bucket several at once."""
    if not isinstance(backend, S3Backend) or len(runs) < 2:
        return [read(run) for run in runs]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, runs))


def _folders(backend: S3Backend) -> list[str]:
    try:
        pages = backend.client.get_paginator("list_objects_v2").paginate(Bucket=backend.bucket, Prefix=backend.prefix, Delimiter="/")
        found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
    except Exception as error:
        # The client's errors share no class with those of the network below it.
        raise EvidenceError(
            871, where=f"s3://{backend.bucket}/{backend.prefix}", what="the bucket cannot be listed", got=str(error),
            fix="check the Connection of the evidence, and that it may list the bucket",
        ) from error  # fmt: skip
    return [one.removeprefix(backend.prefix).rstrip("/") for one in found]


def _directories(backend: LocalBackend) -> list[str]:
    try:
        with os.scandir(backend.root) as found:
            return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EvidenceError(
            870, where=str(backend.root), what="the evidence directory cannot be listed", got=error.strerror,
            fix="let this user read the evidence directory",
        ) from error  # fmt: skip
