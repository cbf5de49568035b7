"""The names that evidence may have: a closed set, so that no path is ever built from input."""

from __future__ import annotations

import re

from perfproof.artifacts import BASELINE_JSON, INTAKE_BACKLOG, PREREQUISITES, REPORT_HTML, Artifact, gate_result_name
from perfproof.errors import EvidenceError

GATES = (1, 2, 3, 4)
SUPPORTING = frozenset((BASELINE_JSON, INTAKE_BACKLOG, PREREQUISITES, REPORT_HTML, *map(gate_result_name, GATES)))
ARTIFACT_NAMES = frozenset(member.value for member in Artifact) | SUPPORTING
LOG_VIEW = "protocol-execution-log.jsonl"
CHECKSUMS = "SHA256SUMS"
# What pages show of the run at a glance: see perfproof.cycles.view.
CYCLE_VIEW = "cycle-view.json"
CHECKPOINT = re.compile(r"checkpoints/[0-9]{8}\.dsse\.json")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}")
_EVIDENCE = re.compile(r"evidence/[a-z0-9][a-z0-9._-]{0,120}")
_APPROVAL = re.compile(r"approvals/[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


def is_run(run: str) -> bool:
    """Whether `run` can be the key of a run, as `run_key` makes them."""
    return _RUN.fullmatch(run) is not None


def is_name(name: object) -> bool:
    """Whether `name` is an artifact, a supporting document, `evidence/…` or `approvals/…`."""
    if not isinstance(name, str):
        return False
    return name in ARTIFACT_NAMES or ((_EVIDENCE.fullmatch(name) or _APPROVAL.fullmatch(name)) is not None and ".." not in name)


def check_name(name: str) -> None:
    """Raises EvidenceError unless `is_name(name)`."""
    if not is_name(name):
        raise EvidenceError(
            400, where="evidence", what="not the name of an artifact", got=name, expected="one of the artifacts, evidence/… or approvals/…",
            fix="use the names of perfproof.artifacts",
        )  # fmt: skip


def log_key(run: str, seq: int) -> str:
    """Key of entry number `seq`."""
    return f"{run}/log/{seq:08d}.json"


def object_key(run: str, sha256: str) -> str:
    """Key of the content with this digest."""
    return f"{run}/objects/sha256/{sha256}"


def checkpoint_name(seq: int) -> str:
    """Name of the checkpoint whose head is entry number `seq`."""
    return f"checkpoints/{seq:08d}.dsse.json"
