"""What pages read from: the cycles in this Airflow's evidence, their verification, and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends

from perfproof.commands.verify import Trusted, assurance, not_checked, verify_directory
from perfproof.evidence.backend import Missing
from perfproof.evidence.names import is_run
from perfproof.evidence.verdict import Verification
from perfproof_airflow import settings
from perfproof_airflow.web.cycles import CycleReader, cycle_reader


def now() -> datetime:
    """The clock of the pages."""
    return datetime.now(UTC)


ReaderDep = Annotated[CycleReader, Depends(cycle_reader)]
NowDep = Annotated[datetime, Depends(now)]


@dataclass(frozen=True, slots=True)
class Checked:
    """A verification as `perfproof verify` makes it without keys: what it found, what it proves, and what it did not look at."""

    verification: Verification
    assurance: str
    not_checked: str | None


def verification_of(run: str) -> Checked | None:
    """The verification of a cycle on this machine; None where evidence lies in a bucket, which is copied before it is checked."""
    if not is_run(run):
        raise Missing(404, where="cycles", what="no such cycle", got=run, fix="choose one from the list of cycles")
    if settings.evidence_in_s3():
        return None
    found = verify_directory(settings.evidence_root() / run, trusted=Trusted())
    return Checked(found, assurance(found, Trusted()), not_checked(found, Trusted()))
