"""The error tree. Every error is one line: what, where, got, expected, fix.

PerfproofError
├── ConfigError      CFG  the protocol file
├── ParameterError   PAR  the parameters of a run
├── TelemetryError   TEL  metrics, logs, traces and what they contain
├── ArtifactError    ART  files that people or other systems supply, and the artifacts of a cycle
├── ApprovalError    APR  requests, acts and records
├── WaiverError      WAV  waivers of a gate's criterion
├── LoadError        LOD  load tests: authorization, targets, safety
├── ProfileError     PRO  profiles and query plans
├── GateError        GAT  a gate that cannot be evaluated (a gate that does not pass is a result, not an error)
└── EvidenceError    EVI  the store, the log, the manifest
    ├── Missing      EVI  nothing is stored there (perfproof.evidence.backend)
    └── Tampered     EVI  evidence that differs from what was committed

Findings of `perfproof doctor` have the same form and the prefix DOC. They are shown and never raised.
"""

from __future__ import annotations

from typing import Any

QUOTED_LENGTH = 200
LINE_LENGTH = 600


def quoted(value: Any, length: int = QUOTED_LENGTH) -> str:
    """`value` as one line of at most `length` characters, with control characters escaped."""
    text = value if isinstance(value, str) else repr(value)
    # Nothing gets shorter by escaping, so what lies behind need not be looked at.
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: length + 1])
    return escaped if len(escaped) <= length else escaped[: length - 1] + "…"


class PerfproofError(Exception):
    """Bad input or a failed step, in the one-line form `CODE where: what (got …, expected …). Fix: …`.

    `code` is stable and made for scripts; the words may change.
    """

    prefix = "PRF"

    def __init__(
        self,
        number: int,
        *,
        where: str,
        what: str,
        fix: str,
        got: Any = None,
        expected: Any = None,
    ) -> None:
        self.code = f"{self.prefix}-{number:03d}"
        self.where = where
        self.what = what
        self.got = got
        self.expected = expected
        self.fix = fix
        super().__init__(self._line())

    def _line(self) -> str:
        line = self._composed(QUOTED_LENGTH)
        # Five parts of 200 characters are a line that nobody reads; five of 100 still say what and where.
        return line if len(line) <= LINE_LENGTH else self._composed(QUOTED_LENGTH // 2)

    def _composed(self, length: int) -> str:
        found = []
        if self.got is not None:
            found.append(f"got {quoted(self.got, length)}")
        if self.expected is not None:
            found.append(f"expected {quoted(self.expected, length)}")
        parentheses = f" ({', '.join(found)})" if found else ""
        return f"{self.code} {quoted(self.where, length)}: {quoted(self.what, length)}{parentheses}. Fix: {quoted(self.fix, length)}"


class ConfigError(PerfproofError):
    """The protocol file is missing, unreadable or says something it may not say."""

    prefix = "CFG"


class ParameterError(PerfproofError):
    """A parameter of the run is unknown, of the wrong type or out of range."""

    prefix = "PAR"


class TelemetryError(PerfproofError):
    """A telemetry source did not answer, or answered something that is no measurement."""

    prefix = "TEL"


class ArtifactError(PerfproofError):
    """A supplied file or an artifact of the cycle is missing, stale or invalid."""

    prefix = "ART"


class ApprovalError(PerfproofError):
    """An approval is missing, refused, rejected or not bound to this evidence."""

    prefix = "APR"


class WaiverError(PerfproofError):
    """A waiver is incomplete, expired, for something else, or for what cannot be waived."""

    prefix = "WAV"


class LoadError(PerfproofError):
    """A load test is not authorized, not safe, or did not run as planned."""

    prefix = "LOD"


class ProfileError(PerfproofError):
    """A profile or a query plan could not be taken or read."""

    prefix = "PRO"


class GateError(PerfproofError):
    """A gate has nothing to judge, or its checks did not run."""

    prefix = "GAT"


class EvidenceError(PerfproofError):
    """The evidence store cannot be written or read."""

    prefix = "EVI"


class Tampered(EvidenceError):
    """Stored evidence differs from what was committed."""
