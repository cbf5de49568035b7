"""A gate from the directory of a run alone, as an outsider would recompute it.

With a log the evidence is what the log committed, hashed again: the very evidence that a gate has judged if there is a result,
else the live one. Without a log the files are taken as they lie there; approvals and deliveries are then unknown, so gates 3
and 4 cannot pass.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfproof.announcements import one_line
from perfproof.artifacts import gate_result_name
from perfproof.config import Protocol, load_protocol
from perfproof.errors import ArtifactError, ConfigError, GateError, PerfproofError, Tampered
from perfproof.evidence.directory import RunDirectory
from perfproof.evidence.manifest import genesis_of, standing_approvals
from perfproof.evidence.names import is_name
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.expectations.frame_check import Check, check_frame
from perfproof.gates.assembly import Facts, Read, evaluate_gate
from perfproof.gates.figures import mappings, text_at
from perfproof.gates.result import GateResult, Outcome
from perfproof.input_file import read_input
from perfproof.moments import parse_stamp
from perfproof.parameters import Parameters, read_parameters
from perfproof.strict import read_json
from perfproof.strict_yaml import MAX_BYTES

NAMES = {"baseline": 1, "diagnostics": 2, "optimization": 3, "governance": 4}
EXITS = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INDETERMINATE: 2}
USAGE = 3
MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A gate that was judged again. `differences` are the figures in which the stored result differs from it."""

    result: GateResult
    differences: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail (or a stored result that the evidence does not give), 2 indeterminate."""
        return EXITS[Outcome.FAIL] if self.differences else EXITS[self.result.outcome]


def recompute(gate: int, *, directory: Path, protocol_file: Path | None = None, check: Check = check_frame) -> Recomputed:
    """The gate on the run in `directory`. Raises GateError or ArtifactError if there is nothing to judge, Tampered if the log lies."""
    if (directory / "log").is_dir():
        return _from_log(gate, directory, check)
    if protocol_file is None:
        raise GateError(122, where=str(directory), what="no log, so no protocol file is known", fix="give it with --protocol")
    data = read_input(protocol_file, limit=MAX_BYTES, error=ConfigError, number=180)
    protocol = load_protocol(data, where=protocol_file.name)
    read, moment = _from_files(directory)
    facts = Facts(protocol, read_parameters({}, protocol), approvals=(), deliveries=(), now=moment, check=check)
    return Recomputed(_judged(gate, read, facts), ())


def _from_log(gate: int, directory: Path, check: Check) -> Recomputed:
    store = _store(directory)
    entries = store.entries()
    protocol, parameters = _identity(store, entries)
    stored = _stored_result(store, entries, gate)
    if stored is None:
        until, digests, moment = entries, {n: str(e.body["sha256"]) for n, e in live_entries(entries).items()}, entries[-1].moment
    else:
        document, until = stored
        # What the report links to is not listed, since this gate does not judge it; it must only have been there.
        shown = {n: str(e.body["sha256"]) for n, e in live_entries(until).items()}
        digests = shown | {text_at(e, "name"): text_at(e, "sha256") for e in mappings(document, "evidence")}
        moment = parse_stamp(document.get("evaluated_at"), where=f"{gate_result_name(gate)} evaluated_at")
    facts = Facts(
        protocol,
        parameters,
        approvals=[entry.body for entry in standing_approvals(until)],
        deliveries=[entry.body for entry in until if entry.type is EntryType.NOTIFY_DELIVERED],
        now=moment,
        check=check,
    )
    result = _judged(gate, lambda name: store.get_object(digests[name]) if name in digests else None, facts)
    return Recomputed(result, () if stored is None else _differences(stored[0], result))


def _judged(gate: int, read: Read, facts: Facts) -> GateResult:
    result = evaluate_gate(gate, read=read, facts=facts)
    if not result.evidence:
        raise GateError(120, where=f"gate {gate}", what="nothing that this gate judges is there", fix="give the directory of a run")
    return result


def _store(directory: Path) -> EvidenceStore:
    first = directory / "log" / "00000000.json"
    if first.is_symlink():
        raise ArtifactError(210, where=str(first), what="cannot be read", got="a link", fix="give the directory of a run")
    opening = read_json(read_input(first, limit=MAX_FILE, error=ArtifactError, number=210), where=first.name)
    run = text_at(opening, "run")
    return EvidenceStore(RunDirectory(directory, run), run)


def _identity(store: EvidenceStore, entries: Sequence[Entry]) -> tuple[Protocol, Parameters]:
    """Protocol file and parameters as the log's first entry fixed them."""
    genesis = genesis_of(store, entries)
    data = store.get_object(text_at(genesis, "protocol_sha256"))
    protocol = load_protocol(data, where=f"{text_at(genesis, 'parameters', 'protocol')}.yaml")
    parameters = genesis.get("parameters") or {}
    return protocol, read_parameters(parameters if isinstance(parameters, dict) else {"parameters": parameters}, protocol)


def _stored_result(store: EvidenceStore, entries: Sequence[Entry], gate: int) -> tuple[dict[str, Any], list[Entry]] | None:
    """The live result of the gate, and the log as it was when it was judged."""
    entry = live_entries(entries).get(gate_result_name(gate))
    if entry is None:
        return None
    document = read_json(store.get_object(str(entry.body["sha256"])), where=gate_result_name(gate))
    if not isinstance(document, dict) or document.get("gate") != gate:
        raise Tampered(610, where=gate_result_name(gate), what="not a result of this gate", fix="restore it from a copy")
    return document, [e for e in entries if e.seq < entry.seq]


def _differences(stored: dict[str, Any], result: GateResult) -> tuple[str, ...]:
    """What the stored result says that the recomputed one does not."""
    recomputed = json.loads(json.dumps(result.document()))
    found = [
        f"the stored result says {key} {one_line(stored.get(key), limit=120)}, recomputed {one_line(recomputed[key], limit=120)}"
        for key in ("outcome", "text")
        if stored.get(key) != recomputed[key]
    ]
    before = {text_at(c, "criterion"): c for c in mappings(stored, "criteria")}
    for criterion in recomputed["criteria"]:
        declared = before.pop(criterion["criterion"], {})
        found += [
            f"the stored result says {criterion['criterion']} {key} {declared.get(key)!r}, recomputed {criterion[key]!r}"
            for key in ("actual", "threshold", "met")
            if declared.get(key) != criterion[key]
        ]
    return (*found, *(f"the stored result has a criterion {name} that the gate does not have" for name in before))


def _from_files(directory: Path) -> tuple[Read, datetime]:
    """The files that lie in `directory` under names of evidence, and the time of the newest."""
    if not directory.is_dir():
        raise ArtifactError(211, where=str(directory), what="not a directory", fix="give the directory of a run")
    found: dict[str, Path] = {}
    newest = 0.0
    try:
        if (directory / "evidence").is_symlink():
            raise ArtifactError(212, where="evidence", what="a link", fix="put the directory itself there")
        for path in sorted((*directory.iterdir(), *(directory / "evidence").glob("*"))):
            name = path.relative_to(directory).as_posix()
            if not is_name(name):
                continue
            if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
                raise ArtifactError(212, where=name, what="not a regular file, or larger than 64 MiB", fix="put the artifact itself there")
            found[name] = path
            newest = max(newest, path.stat().st_mtime)
    except OSError as error:
        raise ArtifactError(
            211, where=str(directory), what="cannot be read", got=error.strerror, fix="give the directory of a run"
        ) from None

    def read(name: str) -> bytes | None:
        return read_input(found[name], limit=MAX_FILE, error=ArtifactError, number=212) if name in found else None

    return read, datetime.fromtimestamp(newest, UTC)


def table(result: GateResult) -> str:
    """The criteria as a table for a terminal; what comes from telemetry stays on its line."""
    rows = [("criterion", "actual", "threshold", "met", "reason")]
    marks = {True: "yes", False: "NO", None: "undecided"}
    for c in result.criteria:
        actual = "none" if c.actual is None else f"{c.actual:g}"
        rows.append((c.criterion, actual, f"{c.comparison} {c.threshold:g}", marks[c.met], one_line(c.reason, limit=300)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments after the gate's name."""
    parser.add_argument("directory", type=Path, help="directory of a run, with its artifacts under their exact names")
    parser.add_argument("--protocol", type=Path, help="protocol file; needed only where the directory has no log")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(gate: int, options: argparse.Namespace, *, check: Check = check_frame) -> int:
    """Recomputes the gate, prints table and text, and returns the exit code: 0 pass, 1 fail, 2 indeterminate or nothing to judge."""
    try:
        found = recompute(gate, directory=options.directory.resolve(), protocol_file=options.protocol, check=check)
    except Tampered as error:
        sys.stderr.write(f"{error}\n")
        return EXITS[Outcome.FAIL]
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return EXITS[Outcome.INDETERMINATE]
    result = found.result
    if options.json:
        document = {**result.document(), "differences": list(found.differences)}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return found.exit_code
    lines = [f"Gate {gate}, {result.name}: {result.outcome.value}", "", table(result)]
    lines += ["", *(f"DIFFERS: {one_line(d)}" for d in found.differences)] if found.differences else []
    lines += ["", result.text] if result.text else []
    sys.stdout.write("\n".join(lines) + "\n")
    return found.exit_code


def main(gate: int, arguments: Sequence[str] | None = None, *, check: Check = check_frame) -> int:
    """The specification's entry points. Exit code 3 for wrong usage."""
    name = next(word for word, number in NAMES.items() if number == gate)
    parser = argparse.ArgumentParser(
        prog=f"validate_gate_14_{name}", description=f"Recompute gate {gate} from the directory of a run.", exit_on_error=False
    )
    add_arguments(parser)
    try:
        options = parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return USAGE
    except SystemExit as leaving:  # argparse leaves by itself for --help and for a missing argument
        return USAGE if leaving.code else 0
    if not options.directory.is_dir():
        sys.stderr.write(f"{parser.prog}: {one_line(options.directory)} is not a directory\n")
        return USAGE
    return run(gate, options, check=check)
