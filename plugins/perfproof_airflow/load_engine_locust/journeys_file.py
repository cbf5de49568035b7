"""The Locust file of a test: exactly the one that the protocol file names by its digest."""

from __future__ import annotations

import hashlib

from perfproof.errors import LoadError
from perfproof.load.journeys import JourneyPlan

MAX_FILE = 1 << 20


def require_digest(plan: JourneyPlan, content: bytes) -> None:
    """Raises LoadError 833 unless `content` is the file of the plan."""
    found = hashlib.sha256(content).hexdigest()
    if found != plan.file_sha256:
        raise LoadError(
            833, where=plan.file, what="not the file that the protocol file names", got=found, expected=plan.file_sha256,
            fix="review the file, write its SHA-256 into journeys.sha256, and have it authorized",
        )  # fmt: skip
