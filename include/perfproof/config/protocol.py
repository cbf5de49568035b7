"""The protocol file as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from perfproof.config.captures import RecurringCaptures
from perfproof.config.instrumentation import Instrumentation
from perfproof.config.judging import Baseline, Judge, Thresholds
from perfproof.config.load import Load
from perfproof.config.optimizations import Cost, Distribution, Optimization
from perfproof.config.people import Approvals, Person, Role
from perfproof.config.services import Service
from perfproof.config.sources import Environment, PrerequisiteArtifact, Source
from perfproof.config_checks import SCHEMA_VERSION as SCHEMA_VERSION
from perfproof.config_checks import check_protocol, check_schema_version
from perfproof.strict import build, read_yaml
from perfproof.telemetry import sha256_hex


@dataclass(frozen=True, slots=True)
class Labels:
    """What the neighbouring protocols are called here. Labels only, never identifiers."""

    monitoring: str = "Protocol 19"
    incidents: str = "Protocol 20"
    deployments: str = "Protocol 15"
    implementation: str = "Protocol 21"
    next_protocol: str = "Protocol 22"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol file. `digest` is the SHA-256 of its bytes: it stands in the log before anything is measured."""

    schema_version: int
    name: str
    target_metric: str
    objective: str
    context_directory: str
    instrumentation_directory: str
    roles: dict[str, Role]
    approvals: Approvals
    prerequisites: tuple[PrerequisiteArtifact, ...]
    environment: Environment
    sources: tuple[Source, ...]
    baseline: Baseline
    services: tuple[Service, ...]
    load: Load
    optimizations: tuple[Optimization, ...]
    cost: Cost
    distribution: Distribution
    thresholds: Thresholds = field(default_factory=Thresholds)
    judge: Judge = field(default_factory=Judge)
    labels: Labels = field(default_factory=Labels)
    captures: RecurringCaptures = field(default_factory=RecurringCaptures)
    instrumentation: Instrumentation = field(default_factory=Instrumentation)
    digest: str = field(default="", init=False)

    def service(self, name: str) -> Service:
        """The service of that name. KeyError if the file has none."""
        return next(s for s in self.services if s.name == name)

    def person(self, person_id: str) -> Person | None:
        """The person with that id, in any role, or None."""
        return next((p for role in self.roles.values() for p in role.people if p.id == person_id), None)


def load_protocol(data: bytes, *, where: str) -> Protocol:
    """The protocol in `data` (YAML), checked. Raises ConfigError; `where` is the file's name in its messages."""
    document = read_yaml(data, where=where)
    check_schema_version(document, where=where)
    protocol = _with_owners(build(Protocol, document, where=where))
    check_protocol(protocol, where=where)
    object.__setattr__(protocol, "digest", sha256_hex(data))
    return protocol


def _with_owners(protocol: Protocol) -> Protocol:
    """`protocol` whose optimizations all have an owner: their own, or that of their service's entry."""
    owners = {service.name: service.owner for service in protocol.services}
    owned = (o if o.owner is not None else replace(o, owner=owners.get(o.service)) for o in protocol.optimizations)
    return replace(protocol, optimizations=tuple(owned))
