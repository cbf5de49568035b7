"""`perfproof verify DIR [--json]`: is this evidence what was committed, and does it give what the gates say?

Exit codes: 0 verified, 1 tampered, 2 unfinished, 3 usage, 4 verified but with waivers or below the demanded assurance.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from perfproof.errors import quoted
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.verdict import Finding, Outcome, Verification
from perfproof.evidence.verify import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The directory of a cycle, or a copy of it."""
    parser.add_argument("directory", type=Path, help="directory of one cycle, for example .artifacts/performance/latest")
    parser.add_argument("--min-assurance", choices=("A0", "A1", "A2", "A3"), default="A0", help="exit 4 below this level")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Verifies and prints what was found, the file and entry named."""
    directory = options.directory.resolve()
    verification = verify(directory, checks=[lambda store: _gates(store, directory)], minimum_assurance=options.min_assurance)
    sys.stdout.write(_json(verification) if options.json else _text(verification))
    return verification.outcome.exit_code


def _gates(store: EvidenceStore, directory: Path) -> list[Finding]:
    """Each gate result against the figures that its evidence gives now, by the rules in plain Python."""
    from perfproof.artifacts import gate_result_name
    from perfproof.expectations import plain_check
    from perfproof.gates.from_directory import recompute

    findings = []
    for gate in (1, 2, 3, 4):
        name = gate_result_name(gate)
        if store.live(name) is not None:
            recomputed = recompute(gate, directory=directory, check=plain_check)
            findings += [Finding(name, difference, Outcome.TAMPERED) for difference in recomputed.differences]
    return findings


def _json(verification: Verification) -> str:
    findings = [{"where": f.where, "what": f.what, "counts": f.outcome.value} for f in verification.findings]
    document = {"outcome": verification.outcome.value, "findings": findings, "figures": dict(verification.figures)}
    return json.dumps(document, indent=2) + "\n"


def _text(verification: Verification) -> str:
    lines = [f"{f.outcome.value}: {quoted(f.where)}: {quoted(f.what)}" for f in verification.findings]
    figures = ", ".join(f"{name} {value}" for name, value in verification.figures.items())
    return "\n".join([*lines, f"{verification.outcome.value} ({figures})"]) + "\n"
