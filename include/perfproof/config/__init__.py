"""The protocol file: what a cycle measures, where, with whose approval, and from which thresholds on it passes.

One YAML file per service group. These dataclasses are its schema: every key is a field, every field is documented, and
an unknown key is an error. `load_protocol` reads and checks one.
"""

from __future__ import annotations

from perfproof.config.captures import RecurringCaptures
from perfproof.config.instrumentation import ApplyWay, CloudWatchTarget, GitTarget, Instrumentation
from perfproof.config.judging import Baseline, Judge, Mode, Thresholds
from perfproof.config.load import (
    Abort,
    Failure,
    Fault,
    JourneyEngine,
    Journeys,
    Load,
    LoadProfile,
    LoadTargets,
    Measurement,
    Peak,
    Proxy,
    Replay,
    Stress,
    Target,
)
from perfproof.config.optimizations import AwsPrices, Cause, Cost, Dependency, Distribution, InstancePrice, Optimization, Recipient, Risk
from perfproof.config.people import Approvals, Deputy, Person, Role
from perfproof.config.protocol import SCHEMA_VERSION, Labels, Protocol, load_protocol
from perfproof.config.services import Endpoint, Endpoints, Guard, GuardKind, Limits, Service, Slo, Span, Transaction
from perfproof.config.sources import Environment, MirrorCheck, MirrorKind, PrerequisiteArtifact, Provides, Source, SourceKind, Validator

__all__ = [
    "SCHEMA_VERSION",
    "Abort",
    "ApplyWay",
    "Approvals",
    "AwsPrices",
    "Baseline",
    "Cause",
    "CloudWatchTarget",
    "Cost",
    "Dependency",
    "Deputy",
    "Distribution",
    "Endpoint",
    "Endpoints",
    "Environment",
    "Failure",
    "Fault",
    "GitTarget",
    "Guard",
    "GuardKind",
    "InstancePrice",
    "Instrumentation",
    "JourneyEngine",
    "Journeys",
    "Judge",
    "Labels",
    "Limits",
    "Load",
    "LoadProfile",
    "LoadTargets",
    "Measurement",
    "MirrorCheck",
    "MirrorKind",
    "Mode",
    "Optimization",
    "Peak",
    "Person",
    "PrerequisiteArtifact",
    "Protocol",
    "Provides",
    "Proxy",
    "Recipient",
    "RecurringCaptures",
    "Replay",
    "Risk",
    "Role",
    "Service",
    "Slo",
    "Source",
    "SourceKind",
    "Span",
    "Stress",
    "Target",
    "Thresholds",
    "Transaction",
    "Validator",
    "load_protocol",
]
