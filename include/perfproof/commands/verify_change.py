"""`perfproof verify --change REF [--build ID] [--root DIR]`: may this change be deployed, as far as its proof says?

Exit codes: 0 passed, 4 passed with a waiver in force, 1 tampered, 2 not proved (no such cycle, one that is not finished, or one
whose waiver expired), 3 usage. The first word of the output is the answer, one of `perfproof.change_proof.Proof`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from perfproof.change_proof import CycleProof, Proof, conclude_change, prove_change
from perfproof.commands.removed import tell_removed
from perfproof.errors import EvidenceError, quoted
from perfproof.evidence.backend import Backend
from perfproof.evidence.directory import RunDirectory
from perfproof.evidence.local import LocalBackend
from perfproof.evidence.verdict import Outcome, Verification
from perfproof.evidence.verify import run_in

MOST_NOTES = 5


def run_change(options: argparse.Namespace, *, check: Callable[[Path], Verification]) -> int:
    """Looks through the cycles below the root, prints the answer and what each cycle says, and returns the exit code."""
    for name in ("change", "build"):
        value = getattr(options, name)
        if value is not None and (not value.strip() or value != value.strip() or len(value.split()) != 1):
            sys.stderr.write(
                f"{EvidenceError(643, where=f'--{name}', what='not one word', got=value, fix='give the reference as noted')}\n"
            )
            return Outcome.USAGE.exit_code
    if not options.root.is_dir():
        missing = EvidenceError(644, where=str(options.root), what="no such directory", fix="give the evidence directory with --root")
        sys.stderr.write(f"{missing}\n")
        return Outcome.USAGE.exit_code
    # `latest` is a link to one of the others.
    directories = sorted(path for path in options.root.iterdir() if path.is_dir() and not path.is_symlink())
    # When a waiver ends is a question about today.
    now = datetime.now(UTC)
    cycles = prove_change(directories, open_run=_opened, check=check, change=options.change, build=options.build, now=now)
    proof = conclude_change(cycles)
    if proof is Proof.NONE and options.change is not None:
        tell_removed(options.root, change=options.change)
    sys.stdout.write(_json(proof, cycles) if options.json else _text(proof, cycles, options))
    return proof.exit_code


def _opened(directory: Path) -> tuple[Backend, str] | None:
    run = run_in(LocalBackend(directory)) if (directory / "log").is_dir() else None
    return (RunDirectory(directory, run), run) if isinstance(run, str) else None


def _text(proof: Proof, cycles: list[CycleProof], options: argparse.Namespace) -> str:
    asked = ", ".join(f"{name} {quoted(getattr(options, name))}" for name in ("change", "build") if getattr(options, name) is not None)
    lines = [f"{proof.value}: {asked}, {len(cycles)} cycle{'' if len(cycles) == 1 else 's'}"]
    for cycle in cycles:
        builds = ", ".join(f"{side} {quoted(build)}" for side, build in cycle.builds.items()) or "no builds"
        lines.append(f"  {cycle.proof.value}: {cycle.run}: {builds}")
        lines += [f"    waiver of {quoted(line)}" for line in cycle.waivers]
        lines += [f"    {quoted(note)}" for note in cycle.notes[:MOST_NOTES]]
        lines += [f"    and {len(cycle.notes) - MOST_NOTES} more"] if len(cycle.notes) > MOST_NOTES else []
    return "\n".join(lines) + "\n"


def _json(proof: Proof, cycles: list[CycleProof]) -> str:
    listed = [
        {
            "run": cycle.run,
            "proof": cycle.proof.value,
            "references": list(cycle.references),
            "builds": dict(cycle.builds),
            "waivers": list(cycle.waivers),
            "notes": list(cycle.notes),
        }
        for cycle in cycles
    ]
    return json.dumps({"proof": proof.value, "cycles": listed}, indent=2) + "\n"
