"""`perfproof verify DIR [--json]`: is this evidence what was committed?

Exit codes: 0 verified, 1 tampered, 2 unfinished, 3 usage, 4 verified but with waivers or below the demanded assurance.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from perfproof.errors import quoted
from perfproof.evidence.verdict import Verification
from perfproof.evidence.verify import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The directory of a cycle, or a copy of it."""
    parser.add_argument("directory", type=Path, help="directory of one cycle, for example .artifacts/performance/latest")
    parser.add_argument("--min-assurance", choices=("A0", "A1", "A2", "A3"), default="A0", help="exit 4 below this level")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Verifies and prints what was found, the file and entry named."""
    verification = verify(options.directory.resolve(), minimum_assurance=options.min_assurance)
    sys.stdout.write(_json(verification) if options.json else _text(verification))
    return verification.outcome.exit_code


def _json(verification: Verification) -> str:
    findings = [{"where": f.where, "what": f.what, "counts": f.outcome.value} for f in verification.findings]
    document = {"outcome": verification.outcome.value, "findings": findings, "figures": dict(verification.figures)}
    return json.dumps(document, indent=2) + "\n"


def _text(verification: Verification) -> str:
    lines = [f"{f.outcome.value}: {quoted(f.where)}: {quoted(f.what)}" for f in verification.findings]
    figures = ", ".join(f"{name} {value}" for name, value in verification.figures.items())
    return "\n".join([*lines, f"{verification.outcome.value} ({figures})"]) + "\n"
