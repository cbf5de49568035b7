"""What a verification can find, and what it then says about the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """From good to bad, as far as one finding decides."""

    VERIFIED = "verified"
    WAIVED = "waived"
    UNFINISHED = "unfinished"
    USAGE = "usage"
    TAMPERED = "tampered"

    @property
    def exit_code(self) -> int:
        """What `perfproof verify` exits with."""
        return {"verified": 0, "tampered": 1, "unfinished": 2, "usage": 3, "waived": 4}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say: `where` is a path in the run's directory; `outcome` is how far it counts (VERIFIED: only worth a note)."""

    where: str
    what: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer of `verify`. `figures` are counts, and the head that an anchor elsewhere can be compared with."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    figures: Mapping[str, int | str]


def conclude(findings: Iterable[Finding], figures: Mapping[str, int | str]) -> Verification:
    """The verification whose outcome is the worst of its findings."""
    everything = tuple(findings)
    order = list(Outcome)
    outcome = max((finding.outcome for finding in everything), key=order.index, default=Outcome.VERIFIED)
    return Verification(outcome=outcome, findings=everything, figures=dict(figures))
