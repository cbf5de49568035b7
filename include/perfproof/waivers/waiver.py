"""Waivers: an excuse for one unmet criterion of one gate result. A waived gate is never a passed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.errors import PerfproofError, WaiverError
from perfproof.gates.figures import mappings, number, text_at
from perfproof.gates.result import GATE_NAMES, Outcome
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import build

# Criteria that count metrics: their waivers name metric and limit.
BY_METRIC = frozenset({"regressions", "guards_undecided"})
# The improvement and its proof are one question: who justifies the short improvement justifies its short proof.
ALSO_COVERS = {"improvement": frozenset({"improvement_proved"})}


class Decision(StrEnum):
    """What a gate comes to after waivers. WAIVED is shown as such everywhere."""

    PASS = "PASS"  # noqa: S105  an outcome, no secret
    WAIVED = "WAIVED"
    FAIL = "FAIL"
    INDETERMINATE = "INDETERMINATE"

    @property
    def lets_through(self) -> bool:
        """Whether the next phase may start."""
        return self in (Decision.PASS, Decision.WAIVED)


@dataclass(frozen=True, slots=True)
class Approver:
    """A person who signed a waiver, and in which role (its key in the protocol file)."""

    person_id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """An excuse for one criterion of one gate result of one run. `limit` is the worst change of `metric` it accepts, in percent."""

    gate: int
    criterion: str
    justification: str
    approvers: tuple[Approver, ...]
    requester: str
    run: str
    result_sha256: str
    granted_at: datetime
    expires_at: datetime
    metric: str | None = None
    limit: float | None = None

    def document(self) -> dict[str, Any]:
        """The waiver as the log and the report show it."""
        return {
            "gate": self.gate,
            "gate_name": GATE_NAMES[self.gate],
            "criterion": self.criterion,
            "metric": self.metric,
            "limit": self.limit,
            "reason": self.justification,
            "approver": ", ".join(f"{a.name} ({a.person_id})" for a in self.approvers),
            "approvers": [{"person_id": a.person_id, "name": a.name, "role": a.role} for a in self.approvers],
            "requester": self.requester,
            "run": self.run,
            "result_sha256": self.result_sha256,
            "granted_at": stamp(self.granted_at),
            "expires_at": stamp(self.expires_at),
        }


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is read of `Waiver.document`; its other keys are there for people."""

    gate: int
    criterion: str
    reason: str
    approvers: tuple[Approver, ...]
    requester: str
    run: str
    result_sha256: str
    granted_at: str
    expires_at: str
    metric: str | None
    limit: float | None


_STORED = tuple(field.name for field in fields(_Stored))


def read_waiver(document: Mapping[str, Any]) -> Waiver:
    """The waiver in a document of `Waiver.document`. Raises WaiverError if a field is missing or has another type."""
    try:
        shaped = build(_Stored, {key: document[key] for key in _STORED if key in document}, where="waiver", error=WaiverError)
        granted, expires = (parse_stamp(moment, where="waiver") for moment in (shaped.granted_at, shaped.expires_at))
        if shaped.gate not in GATE_NAMES or not shaped.approvers:
            raise WaiverError(122, where="waiver", what="no such gate, or nobody who approved", fix="grant it again")
    except PerfproofError as error:
        raise WaiverError(122, where="waiver", what=f"not a waiver: {error.what}", got=error.got, fix="grant it again") from None
    return Waiver(
        shaped.gate, shaped.criterion, shaped.reason, shaped.approvers, shaped.requester, shaped.run, shaped.result_sha256,
        granted, expires, shaped.metric, shaped.limit,
    )  # fmt: skip


def apply_waivers(*, result: Mapping[str, Any], result_sha256: str, run: str, waivers: Sequence[Waiver], now: datetime) -> Decision:
    """What the gate comes to. WAIVED only if every criterion that is not met is covered by a waiver in force for this very result.

    Raises WaiverError if `result` is not a gate's.
    """
    if result.get("outcome") not in list(Outcome) or result.get("gate") not in list(GATE_NAMES):
        raise WaiverError(123, where="waiver", what="not the result of a gate", got=result.get("outcome"), fix="evaluate the gate again")
    outcome = Outcome(result["outcome"])
    if outcome is Outcome.PASS:
        return Decision.PASS
    valid = [w for w in waivers if (w.gate, w.run, w.result_sha256) == (result["gate"], run, result_sha256) and now <= w.expires_at]
    unmet = [c for c in mappings(result, "criteria") if c.get("met") is not True]
    # A gate that did not pass although no criterion is unmet has a check that did not run: nothing can excuse that.
    if unmet and all(c.get("waivable") is True and c.get("actual") is not None and _covered(c, result, valid) for c in unmet):
        return Decision.WAIVED
    return Decision(outcome.value)


def _covered(criterion: Mapping[str, Any], result: Mapping[str, Any], waivers: Sequence[Waiver]) -> bool:
    name = text_at(criterion, "criterion")
    own = [w for w in waivers if w.criterion == name or name in ALSO_COVERS.get(w.criterion, ())]
    if name not in BY_METRIC:
        return bool(own)
    entries = mappings(result, "figures", name)
    return bool(entries) and all(any(_accepts(w, entry) for w in own) for entry in entries)


def _accepts(waiver: Waiver, entry: Mapping[str, Any]) -> bool:
    worst = worst_of(entry)
    return waiver.metric == entry.get("metric") and worst is not None and waiver.limit is not None and worst <= waiver.limit


def worst_of(entry: Mapping[str, Any]) -> float | None:
    """How bad the metric may have become: in percent, in the guard's own scale where the baseline is zero.

    An undecided guard counts with the upper end of its interval.
    """
    for key in ("regression_percentage", "ci_high", "worsening_percent", "worsening"):
        figure = number(entry.get(key))
        if figure is not None:
            return float(figure)
    return None
