"""How a generator ended, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import LoadError
from perfproof.load.plan import SCHEMA_VERSION
from perfproof.strict import build

# What a summary's `generator` begins with: it runs plans of this version.
GENERATOR = f"perfproof.load {SCHEMA_VERSION}"


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
    """The summary in `document`. Raises LoadError for unknown keys and wrong types, 313 for one of another generator."""
    summary = build(GeneratorSummary, document, where=where, error=LoadError)
    if not summary.generator.startswith(GENERATOR + ","):
        raise LoadError(
            313,
            where=f"{where}.generator",
            what="another generator, or another version of it",
            got=summary.generator,
            expected=GENERATOR,
            fix="install one version of perfproof on this worker, then run the test again",
        )
    return summary
