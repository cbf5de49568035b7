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
    """An optimization that the team can make; the plan takes those that the findings support or the trigger form names.

    `load_protocol` gives one without an owner that of its service's entry.
    """

    id: str
    title: str
    service: str
    cause: Cause
    risk: Risk
    risk_notes: str
    expected_gain_percent: float
    confirms: str
    owner: str | None = None
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class InstancePrice:
    """An instance that is paid as a whole. `services` run on it; without names: all that no entry before names."""

    type: str
    vcpu: float
    gib: float
    hour: float
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AwsPrices:
    """What to ask the AWS Price List for: the on-demand price of an EC2 instance. `services` run on it; without names: all."""

    connection: str
    region: str
    instance_type: str
    operating_system: str = "Linux"
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Price table for the cost per 1,000 requests. `as_of` is the day of the prices, like 2025-02-16."""

    currency: str
    core_hour: float
    gib_hour: float
    as_of: str | None = None
    instances: tuple[InstancePrice, ...] = ()
    aws: AwsPrices | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where the report or the notes go: a file drop (a directory relative to the workspace), a channel, or both.

    `channel` is `slack:`, `email:`, `pagerduty:` or `webhook:` and a Connection id. Gate 4 demands the delivery unless `required` is
    false.
    """

    name: str
    directory: str | None = None
    channel: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Distribution:
    """Who receives the report and the improvement notes (the next protocol and monitoring)."""

    report: tuple[Recipient, ...]
    next_protocol: Recipient
    monitoring: Recipient
