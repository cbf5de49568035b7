"""The rules of retention: which cycles are old enough to go, and what keeps one for longer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from perfproof.change_proof import words_of
from perfproof.evidence.verdict import Outcome

# A request can be answered for 30 days; before that, a cycle that is not closed may go on any time.
UNFINISHED_DAYS = 31


class Kept(StrEnum):
    """Why a cycle stays."""

    NAMED = "it was named to be kept"
    LATEST = "the next cycle takes its baseline and its backlog from it (latest)"
    NEWEST = "it is the newest cycle that was handed off"
    TAMPERED = "it does not verify: look at it first"
    UNREADABLE = "its log cannot be read"
    YOUNG = "it is not old enough"
    OPEN = "it is not closed: give --unfinished to remove such cycles"
    CHANGE = "it is the newest proof of {}: give --changes to remove it all the same"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cycle as far as the rules ask. `references` are the notes of its implementation approvals, `last` is its last entry's time.

    `outcome` is that of its verification, None where nobody verified it, since it is too young.
    """

    run: str
    last: datetime | None
    closed: bool
    handed_off: bool
    outcome: Outcome | None
    references: tuple[str, ...] = ()
    latest: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a cycle; `kept` is why it stays, None if it may go."""

    run: str
    kept: str | None


def changes_of(references: Sequence[str]) -> set[str]:
    """The words of notes that can be change references: those with a digit in them, as approvals demand."""
    return {word for text in references for word in words_of(text) if any(c.isdigit() for c in word)}


def decide(
    cycles: Sequence[Candidate], *, before: datetime, unfinished_before: datetime | None, changes: bool, keep: Collection[str] = ()
) -> list[Decision]:
    """What becomes of each cycle, oldest first.

    Those whose last entry is before `before` may go. One that is not closed may go if its last entry is before `unfinished_before`
    (None: never). `changes`: the newest proof of a change may go too. `keep` are the runs that were named.
    """
    ordered = sorted(cycles, key=lambda cycle: (cycle.last is not None, cycle.last, cycle.run))
    newest = next((cycle.run for cycle in reversed(ordered) if cycle.handed_off), None)
    proof: dict[str, str] = {}
    for cycle in ordered:
        if cycle.closed:
            proof |= dict.fromkeys(changes_of(cycle.references), cycle.run)
    return [
        Decision(cycle.run, _kept(cycle, before, unfinished_before, newest=newest, proof={} if changes else proof, keep=keep))
        for cycle in ordered
    ]


def _kept(
    cycle: Candidate,
    before: datetime,
    unfinished_before: datetime | None,
    *,
    newest: str | None,
    proof: dict[str, str],
    keep: Collection[str],
) -> str | None:
    own = sorted(change for change, run in proof.items() if run == cycle.run)
    reasons = (
        (cycle.run in keep, Kept.NAMED.value),
        (cycle.latest, Kept.LATEST.value),
        (cycle.run == newest, Kept.NEWEST.value),
        (cycle.outcome is Outcome.TAMPERED, Kept.TAMPERED.value),
        (cycle.last is None or cycle.outcome is Outcome.USAGE, Kept.UNREADABLE.value),
        (cycle.last is not None and cycle.last >= before, Kept.YOUNG.value),
        (not cycle.closed and (unfinished_before is None or cycle.last is None or cycle.last >= unfinished_before), Kept.OPEN.value),
        (bool(own), Kept.CHANGE.value.format(", ".join(own))),
    )
    return next((reason for holds, reason in reasons if holds), None)
