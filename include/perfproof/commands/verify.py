"""`perfproof verify DIR [--trust FILE] [--anchor SIZE:HEAD] [--json]`: is this evidence what was committed, and does it give what the
gates say?

Exit codes: 0 verified, 1 tampered, 2 unfinished, 3 usage, 4 verified but with waivers or below the demanded assurance.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from perfproof.errors import EvidenceError, PerfproofError, quoted
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.trust import TrustRoot, read_trust_root
from perfproof.evidence.verdict import Finding, Outcome, Verification
from perfproof.evidence.verify import verify

_ANCHOR = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{64})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The directory of a cycle, or a copy of it; or a change that is looked for in all cycles."""
    parser.add_argument("directory", type=Path, nargs="?", help="directory of one cycle, for example .artifacts/performance/latest")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root: checkpoints must be signed by its keys and cover the log")
    parser.add_argument("--anchor", action="append", default=[], metavar="SIZE:HEAD", help="size and head of the log, kept elsewhere")
    parser.add_argument("--change", metavar="REF", help="a change reference, as the approval of its implementation names it")
    parser.add_argument("--build", metavar="ID", help="the build that the cycle must have measured as its candidate")
    parser.add_argument("--root", type=Path, default=Path(".artifacts/performance"), help="where --change and --build look for cycles")
    parser.add_argument("--min-assurance", choices=("A0", "A1", "A2", "A3"), default="A0", help="exit 4 below this level")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Verifies and prints what was found, the file and entry named."""
    try:
        trust = trust_root(options.trust)
        anchors = [_anchor(text) for text in options.anchor]
        about_change = options.change is not None or options.build is not None
        if about_change == (options.directory is not None) or (about_change and anchors):
            raise EvidenceError(
                641,
                where="verify",
                what="neither one directory nor one change",
                fix="name a directory, or --change or --build alone",
            )
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return Outcome.USAGE.exit_code
    if about_change:
        from perfproof.commands.verify_change import run_change

        return run_change(options, check=lambda path: verify_directory(path, trust=trust, minimum_assurance=options.min_assurance))
    verification = verify_directory(options.directory.resolve(), trust=trust, anchors=anchors, minimum_assurance=options.min_assurance)
    unchecked = not_checked(verification, trust)
    sys.stdout.write(_json(verification, unchecked) if options.json else _text(verification, unchecked))
    return verification.outcome.exit_code


def verify_directory(
    directory: Path, *, trust: TrustRoot | None, anchors: Sequence[tuple[int, str]] = (), minimum_assurance: str = "A0"
) -> Verification:
    """The verification of a cycle's directory, gates computed again."""
    return verify(
        directory, anchors=anchors, checks=[lambda store: _gates(store, directory)], minimum_assurance=minimum_assurance, trust=trust
    )


def trust_root(path: Path | None) -> TrustRoot | None:
    """The trust root in a file. Raises EvidenceError if it is none."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvidenceError(630, where=str(path), what="cannot be read", got=error.strerror, fix="name the trust root") from None
    return read_trust_root(data, where=str(path))


def not_checked(verification: Verification, trust: TrustRoot | None) -> str | None:
    """One line about what the answer does not rest on; None when there is nothing to say."""
    if trust is not None or verification.outcome is Outcome.USAGE:
        return None
    count = verification.figures.get("checkpoints", 0)
    signatures = f"the signatures of {count} checkpoints (give --trust FILE)" if count else "no signatures: there are no checkpoints"
    return f"not checked: {signatures}; a whole rewrite would not be seen"


def _anchor(text: str) -> tuple[int, str]:
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise EvidenceError(
            642, where="--anchor", what="not an anchor", got=text, expected="SIZE:HEAD", fix="give entries and head as verify printed them"
        )
    return int(found[1]), found[2]


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


def _json(verification: Verification, unchecked: str | None) -> str:
    findings = [{"where": f.where, "what": f.what, "counts": f.outcome.value} for f in verification.findings]
    document = {
        "outcome": verification.outcome.value,
        "findings": findings,
        "figures": dict(verification.figures),
        "not_checked": unchecked,
    }
    return json.dumps(document, indent=2) + "\n"


def _text(verification: Verification, unchecked: str | None) -> str:
    lines = [f"{f.outcome.value}: {quoted(f.where)}: {quoted(f.what)}" for f in verification.findings]
    figures = ", ".join(f"{name} {value}" for name, value in verification.figures.items())
    return "\n".join([*lines, *([unchecked] if unchecked else []), f"{verification.outcome.value} ({figures})"]) + "\n"
