"""Which phase of the protocol an entry of the log belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from perfproof.evidence.records import Entry, EntryType

# The task groups of the protocol's DAG.
PHASES = {
    "prerequisites": (0, "Prerequisites"),
    "intake_and_baseline": (1, "Intake and baseline"),
    "diagnostics": (2, "Diagnostics"),
    "optimization": (3, "Optimization"),
    "governance": (4, "Governance"),
}
NAMES = dict(PHASES.values())
_START = re.compile(r"\[MASTER RAY™ \| PHASE ([1-4]) START\]")


def phase_of(entry: Entry) -> int | None:
    """Number of the phase whose task wrote `entry`, 0 for the prerequisites; None where its task belongs to none."""
    found = PHASES.get(entry.attempt.task_id.partition(".")[0]) if entry.attempt else None
    return found[0] if found else None


def last_phase(entries: Iterable[Entry]) -> int | None:
    """The phase of the last entry that has one: a retry goes back to an earlier phase."""
    found = None
    for entry in entries:
        phase = phase_of(entry)
        found = found if phase is None else phase
    return found


def started_phase(entry: Entry) -> int | None:
    """The phase that `entry` announces the start of, or None."""
    if entry.type is not EntryType.ANNOUNCE:
        return None
    match = _START.match(str(entry.body.get("text")))
    return int(match.group(1)) if match else None
