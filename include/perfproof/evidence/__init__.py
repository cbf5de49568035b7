"""Evidence of a run: content by digest, a chained log whose entries are the commits, and views that can be rebuilt.

Layout of a run (every path below the run's key):

    log/00000000.json …             one entry per file, RFC 8785, create-only: the truth
    objects/sha256/<hex>            content, create-only, read-only
    performance-report-manifest.json, … , evidence/…, approvals/…   views, copied from objects
    protocol-execution-log.jsonl    view: the log's entries, one a line
    SHA256SUMS                      view: for `sha256sum -c`

The write rule: the object first, then the entry under the next number, each by create-only link. The entry is the commit; an object
without an entry is an orphan and harmless. There are no lock files, so nothing is stale after a killed writer.
"""

from __future__ import annotations

from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.local import LocalBackend
from perfproof.evidence.memory import MemoryBackend
from perfproof.evidence.records import Actor, Attempt, Entry, EntryType, Reference, idempotency
from perfproof.evidence.store import EvidenceStore

__all__ = [
    "Actor",
    "Attempt",
    "Backend",
    "Entry",
    "EntryType",
    "EvidenceStore",
    "LocalBackend",
    "MemoryBackend",
    "Missing",
    "Reference",
    "idempotency",
]
