"""Which cycles may go, and what is left of those that went. Nothing inside a cycle is ever removed: its verification would break."""

from __future__ import annotations

from perfproof.retention.records import Removed, read_removed, removed_document
from perfproof.retention.rules import Decision, Kept, decide

__all__ = ["Decision", "Kept", "Removed", "decide", "read_removed", "removed_document"]
