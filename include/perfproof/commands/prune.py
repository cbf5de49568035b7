"""`perfproof prune --older-than DAYS [--delete]`: which cycles retention lets go, and with --delete removes them, each after a record.

A cycle goes whole or not at all. What stays of it is a record in `removed-cycles/` of the evidence directory: the head of its log and the
digests of its artifacts, so that a copy elsewhere can still be verified. Without --delete nothing is written.

Exit codes: 0 listed or removed, 1 something could not be removed or does not verify, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perfproof.announcements import one_line
from perfproof.artifacts import gate_result_name
from perfproof.change_proof import subject_of
from perfproof.commands.account import account
from perfproof.commands.verify import Trusted, trust_root, verify_directory
from perfproof.errors import EvidenceError, ParameterError, PerfproofError
from perfproof.evidence.directory import RunDirectory
from perfproof.evidence.inspection import is_closed
from perfproof.evidence.local import LocalBackend
from perfproof.evidence.manifest import genesis_of
from perfproof.evidence.names import GATES
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.views import LATEST
from perfproof.moments import stamp
from perfproof.retention.records import append_removed, read_removed, removed_document
from perfproof.retention.rules import UNFINISHED_DAYS, Candidate, Decision, Kept, changes_of, decide
from perfproof.run_key import RUN_KEY
from perfproof.strict import read_json

REMOVING = ".removing-"
DONE, WRONG = 0, 1
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Found:
    """A cycle's directory, what its log holds, and what the rules ask of it."""

    directory: Path
    entries: tuple[Entry, ...]
    candidate: Candidate
    builds: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How old, what else may go, and whether it goes."""
    parser.add_argument("--root", type=Path, default=Path(".artifacts/performance"), help="the evidence directory (.artifacts/performance)")
    parser.add_argument("--older-than", type=float, required=True, metavar="DAYS", help="days since the last entry of a cycle's log")
    parser.add_argument(
        "--unfinished", action="store_true", help=f"also cycles that were never closed, {UNFINISHED_DAYS} days old at least"
    )
    parser.add_argument(
        "--changes", action="store_true", help="also the newest proof of a change, which verify --change then no longer finds"
    )
    parser.add_argument("--keep", action="append", default=[], metavar="RUN", help="a cycle that stays, by the name of its directory")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root: a cycle whose checkpoints it does not cover stays")
    parser.add_argument("--delete", action="store_true", help="remove them; without it they are only listed")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> int:
    """Looks, decides, and with --delete removes."""
    if not 1 <= options.older_than <= 36_500:
        raise ParameterError(
            961, where="--older-than", what="not a number of days", got=options.older_than, expected="1 to 36500", fix="give whole days"
        )
    root: Path = options.root.absolute()
    if not root.is_dir():
        raise ParameterError(962, where=str(root), what="no such directory", fix="give the evidence directory with --root")
    now = datetime.now(UTC)
    before, trusted = now - timedelta(days=options.older_than), Trusted(root=trust_root(options.trust))
    backend = LocalBackend(root)
    known = {record.run: record for record in read_removed(backend)}
    unfinished = min(before, now - timedelta(days=UNFINISHED_DAYS)) if options.unfinished else None
    found = {one.candidate.run: one for one in _cycles(root, before=before, trusted=trusted)}
    decisions = decide(
        [one.candidate for one in found.values()], before=before, unfinished_before=unfinished, changes=options.changes, keep=options.keep
    )
    failed: dict[str, str] = {}
    for decision in [d for d in decisions if d.kept is None and options.delete]:
        try:
            if decision.run not in known or known[decision.run].document["head"] != found[decision.run].entries[-1].sha256:
                append_removed(backend, _record(found[decision.run], rule=_rule(options), now=now))
            _remove(root, found[decision.run].directory)
        except (PerfproofError, OSError) as error:
            failed[decision.run] = str(error)
    if options.delete:
        _finish(root)
    sys.stdout.write(_json(decisions, found, failed, options) if options.json else _text(decisions, found, failed, options))
    return WRONG if failed or any(d.kept in (Kept.TAMPERED.value, Kept.UNREADABLE.value) for d in decisions) else DONE


def _cycles(root: Path, *, before: datetime, trusted: Trusted) -> Iterator[Found]:
    # `latest` is a link to one of the others; what has another name is no cycle.
    named = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink() and RUN_KEY.fullmatch(path.name)]
    latest = (root / LATEST).resolve() if (root / LATEST).is_symlink() else None
    for directory in named:
        run = directory.name
        backend = RunDirectory(directory, run)
        try:
            subject = subject_of(backend, run)
        except (PerfproofError, *MISSHAPEN):
            yield Found(directory, (), Candidate(run, None, False, False, Outcome.USAGE, latest=directory == latest), {})
            continue
        entries = subject.entries
        last = entries[-1].moment if entries else None
        # Only what may go is verified: that reads all of it.
        outcome = verify_directory(directory, trusted=trusted).outcome if last is None or last < before else None
        candidate = Candidate(
            run=run,
            last=last,
            closed=is_closed(entries),
            handed_off=any(entry.type is EntryType.HANDOFF_COMPLETED for entry in entries),
            outcome=outcome,
            references=subject.references,
            latest=directory == latest,
        )
        yield Found(directory, entries, candidate, dict(subject.builds))


def _record(found: Found, *, rule: str, now: datetime) -> dict[str, Any]:
    """The record of a cycle that is about to go."""
    entries, run = found.entries, found.candidate.run
    store = EvidenceStore(RunDirectory(found.directory, run), run)
    genesis = genesis_of(store, entries)
    live = live_entries(entries)
    outcome = found.candidate.outcome
    return removed_document(
        run=run,
        dag_id=str(genesis.get("dag_id")),
        run_id=str(genesis.get("run_id")),
        opened_at=entries[0].time,
        last_entry_at=entries[-1].time,
        entries=len(entries),
        head=entries[-1].sha256,
        outcome="" if outcome is None else outcome.value,
        gates={str(gate): _gate(store, gate) for gate in GATES if gate_result_name(gate) in live},
        changes=sorted(changes_of(found.candidate.references)),
        builds=found.builds,
        artifacts={name: entry.body["sha256"] for name, entry in sorted(live.items()) if not name.startswith(("evidence/", "approvals/"))},
        removed_at=stamp(now),
        removed_by=account(),
        rule=rule,
    )


def _gate(store: EvidenceStore, gate: int) -> str:
    document = read_json(store.read(gate_result_name(gate)), where=gate_result_name(gate))
    return str(document.get("outcome")) if isinstance(document, dict) else "none"


def _rule(options: argparse.Namespace) -> str:
    more = [word for word in ("unfinished", "changes") if getattr(options, word)]
    return " ".join([f"older than {options.older_than:g} days", *(f"--{word}" for word in more)])


def _remove(root: Path, directory: Path) -> None:
    """Takes the cycle out of sight at once, then removes it: nobody ever sees half of one."""
    hidden = root / f"{REMOVING}{directory.name}"
    try:
        directory.rename(hidden)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        shutil.rmtree(hidden)
    except OSError as error:
        raise EvidenceError(
            663, where=str(directory), what="cannot be removed", got=error.strerror, fix="give this user the right to, and run it again"
        ) from None


def _finish(root: Path) -> None:
    """Removes what an earlier call had taken out of sight when it was killed."""
    for left in root.glob(f"{REMOVING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _text(decisions: Sequence[Decision], found: dict[str, Found], failed: dict[str, str], options: argparse.Namespace) -> str:
    lines = []
    for decision in decisions:
        last = found[decision.run].candidate.last
        when = stamp(last) if last is not None else "no entry"
        what = failed.get(decision.run) or (
            f"kept: {decision.kept}" if decision.kept is not None else "removed" if options.delete else "would be removed"
        )
        lines.append(one_line(f"{decision.run}  {when}  {what}"))
    going = sum(1 for d in decisions if d.kept is None) - len(failed)
    words = "removed" if options.delete else "would be removed; nothing was written, give --delete"
    lines.append(f"{going} of {len(decisions)} cycles {words}")
    return "\n".join(lines) + "\n"


def _json(decisions: Sequence[Decision], found: dict[str, Found], failed: dict[str, str], options: argparse.Namespace) -> str:
    cycles = []
    for decision in decisions:
        last = found[decision.run].candidate.last
        cycles.append(
            {
                "run": decision.run,
                "last_entry_at": None if last is None else stamp(last),
                "kept": decision.kept,
                "removed": options.delete and decision.kept is None and decision.run not in failed,
                "error": failed.get(decision.run),
            }
        )
    return json.dumps({"document": "prune", "version": 1, "deleted": bool(options.delete), "cycles": cycles}, indent=2) + "\n"
