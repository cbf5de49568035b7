"""What `perfproof verify` says of cycles that retention removed."""

from __future__ import annotations

import sys
from pathlib import Path

from perfproof.errors import PerfproofError, quoted
from perfproof.evidence.local import LocalBackend
from perfproof.retention.records import read_removed


def tell_removed(root: Path, *, run: str | None = None, change: str | None = None) -> None:
    """Says on standard error what retention removed below `root`: the cycle `run`, or those that proved `change`."""
    try:
        records = read_removed(LocalBackend(root))
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return
    for record in records:
        if record.run == run or (change is not None and change in record.document["changes"]):
            sys.stderr.write(f"{quoted(record.words, 600)}\n")
