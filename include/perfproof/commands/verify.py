"""`perfproof verify DIR [--trust FILE] [--act-keys FILE] [--anchor SIZE:HEAD] [--json]`: is this evidence what was committed, does it
give what the gates say, and did everybody approve who had to?

Exit codes: 0 verified, 1 tampered, 2 unfinished, 3 usage, 4 verified but with waivers or below the demanded assurance.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from perfproof.commands.removed import tell_removed
from perfproof.errors import EvidenceError, PerfproofError, Tampered, quoted
from perfproof.evidence.manifest import ASSURANCE
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.trust import TrustRoot, read_trust_root
from perfproof.evidence.verdict import Finding, Outcome, Verification, conclude
from perfproof.evidence.verify import verify
from perfproof.input_file import read_input

if TYPE_CHECKING:
    from perfproof.approvals import SigningKey

MAX_KEY_FILE = 1 << 20
_ANCHOR = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{64})")
# It compiles a grammar for almost a second, for a format that no schema of perfproof uses.
_SLOW_FORMATS = "rfc3987_syntax"
Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Trusted:
    """What an auditor brings along: whose checkpoints count, and the keys of acts, both from elsewhere than the evidence."""

    root: TrustRoot | None = None
    act_keys: Mapping[str, SigningKey] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The directory of a cycle, or a copy of it; or a change that is looked for in all cycles."""
    parser.add_argument("directory", type=Path, nargs="?", help="directory of one cycle, for example .artifacts/performance/latest")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root: checkpoints must be signed by its keys and cover the log")
    parser.add_argument("--act-keys", type=Path, metavar="FILE", help="keys of acts (secret): each approval must be signed by one of them")
    parser.add_argument("--anchor", action="append", default=[], metavar="SIZE:HEAD", help="size and head of the log, kept elsewhere")
    parser.add_argument("--change", metavar="REF", help="a change reference, as the approval of its implementation names it")
    parser.add_argument("--build", metavar="ID", help="the build that the cycle must have measured as its candidate")
    parser.add_argument("--root", type=Path, default=Path(".artifacts/performance"), help="where --change and --build look for cycles")
    parser.add_argument("--min-assurance", choices=ASSURANCE, default=ASSURANCE[0], help="exit 4 below this level")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Verifies and prints what was found, the file and entry named."""
    try:
        trusted = Trusted(root=trust_root(options.trust), act_keys=act_keys(options.act_keys))
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

        return run_change(options, check=lambda path: verify_directory(path, trusted=trusted, minimum_assurance=options.min_assurance))
    verification = verify_directory(options.directory.resolve(), trusted=trusted, anchors=anchors, minimum_assurance=options.min_assurance)
    unchecked = not_checked(verification, trusted)
    if verification.outcome is Outcome.USAGE:
        tell_removed(options.directory.absolute().parent, run=options.directory.name)
    sys.stdout.write(_json(verification, trusted, unchecked) if options.json else _text(verification, trusted, unchecked))
    return verification.outcome.exit_code


def verify_directory(
    directory: Path, *, trusted: Trusted, anchors: Sequence[tuple[int, str]] = (), minimum_assurance: str = ASSURANCE[0]
) -> Verification:
    """The verification of a cycle's directory: gates computed again, approvals checked against everything around them."""
    from perfproof.approvals.proof import inspect_approvals
    from perfproof.cycles.view import inspect_view

    _import_schemas()
    verification = verify(
        directory,
        anchors=anchors,
        checks=[lambda store: inspect_approvals(store, keys=trusted.act_keys), lambda store: _gates(store, directory), inspect_view],
        minimum_assurance=minimum_assurance,
        trust=trusted.root,
    )
    level = assurance(verification, trusted)
    if verification.outcome is Outcome.VERIFIED and ASSURANCE.index(level) < ASSURANCE.index(minimum_assurance):
        unproved = Finding("approvals", f"the assurance that is proved here is {level}, below {minimum_assurance}", Outcome.WAIVED)
        return conclude([*verification.findings, unproved], verification.figures)
    return verification


def assurance(verification: Verification, trusted: Trusted) -> str:
    """The assurance level that this verification proves, never more than the lowest that an approval records.

    A record says of itself that a person was authenticated. Without a signature of somebody who saw it, over the act or over the
    log that holds it, that is a claim that anybody can write: A0. So is what stands in evidence that is not whole.
    """
    seen = trusted.root is not None or trusted.act_keys is not None
    whole = verification.outcome in (Outcome.VERIFIED, Outcome.WAIVED)
    return str(verification.figures.get("assurance", ASSURANCE[0])) if seen and whole else ASSURANCE[0]


def trust_root(path: Path | None) -> TrustRoot | None:
    """The trust root in a file. Raises EvidenceError if it is none."""
    return _from_file(path, read_trust_root)


def act_keys(path: Path | None) -> Mapping[str, SigningKey] | None:
    """The keys of acts in a file. Raises EvidenceError if it holds none."""
    from perfproof.approvals.act_keys import read_act_keys

    return _from_file(path, read_act_keys)


def _from_file(path: Path | None, read: Callable[..., Content]) -> Content | None:
    if path is None:
        return None
    return read(read_input(path, limit=MAX_KEY_FILE, error=EvidenceError, number=630), where=str(path))


def not_checked(verification: Verification, trusted: Trusted) -> str | None:
    """One line about what the answer does not rest on; None when there is nothing to say."""
    if verification.outcome is Outcome.USAGE:
        return None
    checkpoints, approvals = verification.figures.get("checkpoints", 0), verification.figures.get("approvals", 0)
    parts = []
    if trusted.root is None:
        signatures = f"the signatures of {checkpoints} checkpoints (give --trust FILE)"
        parts.append(f"{signatures if checkpoints else 'no signatures: there are no checkpoints'}; a whole rewrite would not be seen")
    if trusted.act_keys is None and approvals:
        parts.append(f"the signatures of the acts of {approvals} approvals (give --act-keys FILE)")
    return f"not checked: {'; '.join(parts)}" if parts else None


def _anchor(text: str) -> tuple[int, str]:
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise EvidenceError(
            642, where="--anchor", what="not an anchor", got=text, expected="SIZE:HEAD", fix="give entries and head as verify printed them"
        )
    return int(found[1]), found[2]


def _gates(store: EvidenceStore, directory: Path) -> Iterator[Finding]:
    """Each gate result against the figures that its evidence gives now, by the rules in plain Python."""
    from perfproof.artifacts import gate_result_name
    from perfproof.expectations import plain_check
    from perfproof.gates.from_directory import recompute

    for gate in (1, 2, 3, 4):
        name = gate_result_name(gate)
        if store.live(name) is None:
            continue
        try:
            differences = recompute(gate, directory=directory, check=plain_check).differences
        except Tampered:
            raise
        except PerfproofError as error:
            differences = (f"cannot be computed again: {error.what}",)
        for difference in differences:
            yield Finding(name, difference, Outcome.TAMPERED)


def _import_schemas() -> None:
    """Imports jsonschema, without what of it takes longer than the whole verification and is not used."""
    if "jsonschema" in sys.modules or _SLOW_FORMATS in sys.modules:
        return
    # An import of a name that stands for None fails, and jsonschema does without.
    sys.modules[_SLOW_FORMATS] = None  # type: ignore[assignment]
    try:
        import jsonschema  # noqa: F401
    finally:
        del sys.modules[_SLOW_FORMATS]


def _assurance_line(verification: Verification, trusted: Trusted) -> str:
    level, recorded = assurance(verification, trusted), verification.figures.get("assurance", ASSURANCE[0])
    approvals = verification.figures.get("approvals", 0)
    if not approvals:
        return f"assurance {level}: no approval stands in this log"
    if level != recorded:
        whole = verification.outcome in (Outcome.VERIFIED, Outcome.WAIVED)
        why = "and no signature was checked that would show it" if whole else "and the evidence is not whole"
        return f"assurance {level}: the {approvals} approvals say {recorded}, {why}"
    seen = [words for words, given in (("checkpoints", trusted.root), ("acts", trusted.act_keys)) if given is not None]
    signed = f", by signed {' and '.join(seen)}" if seen else ""
    return f"assurance {level}: the lowest of {approvals} approvals{signed}"


def _json(verification: Verification, trusted: Trusted, unchecked: str | None) -> str:
    findings = [{"where": f.where, "what": f.what, "counts": f.outcome.value} for f in verification.findings]
    document = {
        "outcome": verification.outcome.value,
        "assurance": assurance(verification, trusted),
        "findings": findings,
        "figures": dict(verification.figures),
        "not_checked": unchecked,
    }
    return json.dumps(document, indent=2) + "\n"


def _text(verification: Verification, trusted: Trusted, unchecked: str | None) -> str:
    lines = [f"{f.outcome.value}: {quoted(f.where)}: {quoted(f.what)}" for f in verification.findings]
    if verification.outcome is not Outcome.USAGE:
        lines.append(_assurance_line(verification, trusted))
    figures = ", ".join(f"{name} {value}" for name, value in verification.figures.items() if name != "assurance")
    return "\n".join([*lines, *([unchecked] if unchecked else []), f"{verification.outcome.value} ({figures})"]) + "\n"
