"""What can be optimized, what it costs, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """The spec's kinds of root cause (phase 1, step 3)."""

    CODE_HOT_PATH = "code_hot_path"
    DATABASE_CONTENTION = "database_contention"
    INFRASTRUCTURE_LIMIT = "infrastructure_limit"


class Risk(StrEnum):
    """Risk of an optimization, as its owner assesses it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something an optimization needs first. An unresolved one blocks the plan's approval."""

    name: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class Optimization:
    """An optimization that the team can make; the plan takes those that the findings support or the trigger form names."""

    id: str
    title: str
    service: str
    cause: Cause
    owner: str
    risk: Risk
    risk_notes: str
    expected_gain_percent: float
    confirms: str
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Price table for the cost per 1,000 requests."""

    currency: str
    core_hour: float
    gib_hour: float


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where the report or the notes go: a file drop (a directory relative to the workspace)."""

    name: str
    directory: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """Who receives the report and the improvement notes (the next protocol and monitoring)."""

    report: tuple[Recipient, ...]
    next_protocol: Recipient
    monitoring: Recipient
