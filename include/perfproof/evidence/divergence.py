"""DIVERGED: Airflow's database and a cycle's evidence are not of the same history, since one of them was restored from an older copy.

Within one history the numbers of rounds and tries only grow. A log that knows a later one than Airflow was written after the copy that
Airflow now has; a reference that Airflow knows and the log does not was made after the copy of the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from perfproof.errors import EvidenceError
from perfproof.evidence.records import Attempt, Entry

DATABASE_OLDER = "DIVERGED: Airflow's database is older than this cycle's evidence"
EVIDENCE_OLDER = "DIVERGED: this cycle's evidence is older than Airflow's database"
DATABASE_FIX = "restore a database that is as new as the evidence, or leave this run and trigger a new cycle: see Backup and restore"
EVIDENCE_FIX = "restore evidence that is as new as the database, or leave this run and trigger a new cycle: see Backup and restore"


class Diverged(EvidenceError):
    """Database and evidence are not of the same history. Whatever goes on would mix two of them."""


def require_same_history(entries: Sequence[Entry], *, attempt: Attempt, round_: int, run_after: datetime | None) -> None:
    """Raises Diverged if the log was written by a later round, or by a later or another try of the same task, than Airflow knows.

    `run_after` is when the run was triggered. One that was triggered after the log was opened is a run that was deleted and made anew
    under its old id: its numbers begin anew, and nothing is compared. None: not known, nothing is compared.
    """
    if not entries or run_after is None or run_after > entries[0].moment:
        return
    rounds = [entry.body["round"] for entry in entries if type(entry.body.get("round")) is int]
    if max(rounds, default=0) > round_:
        raise _older(attempt, f"the log has round {max(rounds)}, Airflow is in round {round_}")
    for entry in reversed(entries):
        other = entry.attempt
        if other is None or (other.task_id, other.map_index) != (attempt.task_id, attempt.map_index):
            continue
        if other.try_number > attempt.try_number:
            raise _older(attempt, f"entry {entry.seq} is of try {other.try_number}, Airflow makes try {attempt.try_number}")
        if other.try_number == attempt.try_number and other.ti_id != attempt.ti_id:
            raise _older(attempt, f"entry {entry.seq} is of another try {other.try_number} than the one that Airflow makes")


def not_in_evidence(name: str, *, sha256: str) -> Diverged:
    """The error for a reference that Airflow knows, to content that is not there."""
    return Diverged(531, where=name, what=EVIDENCE_OLDER, got=f"no content with the digest {sha256}", fix=EVIDENCE_FIX)


def _older(attempt: Attempt, got: str) -> Diverged:
    return Diverged(530, where=attempt.task_id, what=DATABASE_OLDER, got=got, fix=DATABASE_FIX)
