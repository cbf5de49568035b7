"""What is derived from the log for people and for `sha256sum -c`, and can be written again at any time."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from perfproof.evidence.backend import key_parts
from perfproof.evidence.local import TEMPORARY, system_calls_on
from perfproof.evidence.names import CHECKSUMS, LOG_VIEW, log_key
from perfproof.evidence.records import Actor, Attempt, Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.telemetry import sha256_hex

LATEST = "latest"


def rebuild_views(store: EvidenceStore) -> None:
    """Writes every artifact's view, the log as one file, and SHA256SUMS, from what the log says now."""
    for name in store.live_all():
        store.refresh_view(name)
    refresh_log_views(store)


def refresh_log_views(store: EvidenceStore) -> None:
    """Writes `protocol-execution-log.jsonl` and `SHA256SUMS`."""
    entries: list[Entry] = []
    while len(entries) < len(latest := store.entries()):
        # Another writer's entry may have come in between, and its view before ours: the last one to look writes again.
        entries = latest
        store.backend.replace_view(f"{store.run}/{LOG_VIEW}", log_view(entries))
        store.backend.replace_view(f"{store.run}/{CHECKSUMS}", checksums(entries))


def close_run(
    store: EvidenceStore,
    *,
    body: Mapping[str, Any],
    idem: str,
    time: datetime,
    actor: Actor,
    attempt: Attempt | None = None,
) -> Entry:
    """The `run.closed` entry, committed after every view is in place: from then on a view that differs was tampered with."""
    rebuild_views(store)
    entry = store.append(type=EntryType.RUN_CLOSED, body=body, idem=idem, time=time, actor=actor, attempt=attempt)
    refresh_log_views(store)
    return entry


def log_view(entries: Sequence[Entry]) -> bytes:
    """The bytes of the entries' files, one a line."""
    return b"".join(entry.as_bytes() + b"\n" for entry in entries)


def checksums(entries: Sequence[Entry], *, view: bytes | None = None) -> bytes:
    """`<sha256>  <path>` for every live artifact, the log's view and each entry, by path, as `sha256sum -c` reads it.

    `view` is `log_view(entries)` where it is known already.
    """
    digests = {name: entry.body["sha256"] for name, entry in live_entries(entries).items()}
    digests[LOG_VIEW] = sha256_hex(log_view(entries) if view is None else view)
    for entry in entries:
        digests[log_key(entry.run, entry.seq).removeprefix(f"{entry.run}/")] = entry.sha256
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()


def point_latest(root: Path, run: str) -> None:
    """Makes `<root>/latest` a link to the directory of `run`, at once: readers see the old run or the new one."""
    key_parts(run)
    temporary = root / f"{TEMPORARY}{LATEST}-{os.getpid()}-{threading.get_ident()}"
    with system_calls_on(LATEST):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(run, target_is_directory=True)
        try:
            temporary.replace(root / LATEST)
        finally:
            temporary.unlink(missing_ok=True)
