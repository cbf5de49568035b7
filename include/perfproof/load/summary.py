"""How a generator ended, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import LoadError
from perfproof.strict import build


class Outcome(StrEnum):
    """How a generator ended. `aborted`: a stop condition of the plan; `stopped`: a signal, the lease, the deadline."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    STOPPED = "stopped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class GeneratorSummary:
    """What the generator says about itself. `cpu_percent` is of one core; `reason` tells why it did not complete.

    `build` and `build_after` are what the target named before and after; `build_after` is None for a test cut short.
    """

    outcome: Outcome
    reason: str | None
    started_at: str
    seconds: float
    cpu_percent: float
    planned: int
    sent: int
    dropped: int
    build: str
    build_after: str | None
    plan_sha256: str
    generator: str


def read_summary(document: Any, *, where: str = "generator summary") -> GeneratorSummary:
    """The summary in `document`. Raises LoadError for unknown keys and wrong types."""
    return build(GeneratorSummary, document, where=where, error=LoadError)
