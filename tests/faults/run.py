"""`make faults`: every system call of every writer of evidence fails once, in every way; counts what was found afterwards.

The writers are those of an artifact, of the log, of an approval record and of a signed checkpoint. Each case is a directory of its
own: the work is done with one fault in it, looked at, done again, and looked at again. Exit code 0 only if, in every case,

- the directory after the fault is verifiable: nothing in it looks tampered with;
- what was acknowledged before the fault is there;
- doing the work again ends where the work without a fault ends, signatures included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import EntryType, EvidenceStore, LocalBackend, idempotency, local
from perfproof.evidence.checkpoints import BEFORE, read_checkpoint, sign_checkpoint
from perfproof.evidence.envelope import CheckpointKey
from perfproof.evidence.trust import read_trust_root
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.evidence.views import close_run
from perfproof.telemetry import document_bytes

TESTS = Path(__file__).parents[1]
KEY = CheckpointKey("faults", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
TRUST = read_trust_root(
    json.dumps({"version": 1, "keys": [{"id": KEY.id, "public_key": KEY.public_hex}]}).encode(), where="trust root of the fault rig"
)
RECORD = {
    "request_id": "run__plan__0__r0a1", "step": "plan", "map_index": 0, "role": "product_owner", "decision": "approve",
    "person": {"id": "olivia", "name": "Olivia Oduya"}, "assurance": "A1", "evidence": [],
}  # fmt: skip


def machinery() -> ModuleType:
    """The module whose `FaultyOs` fails one system call: the one of the unit tests."""
    path = TESTS / "unit" / "perfproof" / "evidence" / "test_faults.py"
    spec = importlib.util.spec_from_file_location("fault_machinery", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


FAULTS = machinery()


def work(root: Path) -> Iterator[tuple[str, str]]:
    """A little cycle: writer and digest of each acknowledged step."""
    store = EvidenceStore(LocalBackend(root), FAULTS.RUN)
    now, actor = FAULTS.NOW, FAULTS.ACTOR

    def signed() -> tuple[str, str]:
        name = sign_checkpoint(store, key=KEY, time=now)
        return "checkpoint", f"{FAULTS.RUN}/{name}"

    yield "log", store.open_run(genesis={"dag_id": "d"}, time=now, actor=actor).sha256
    for round_, text in enumerate((b"first", b"second")):
        idem = idempotency("artifact.published", "plan", round_, [])
        yield "artifact", store.publish("hypothesis-log.md", text, idem=idem, time=now, actor=actor).sha256
    granted = store.append(type=EntryType.APPROVAL_GRANTED, body=RECORD, idem=idempotency("a", "granted", 0, []), time=now, actor=actor)
    yield "approval", granted.sha256
    name = f"approvals/{RECORD['request_id']}.{RECORD['role']}.json"
    idem = idempotency("approval.record", "kept", 0, [])
    yield "approval", store.publish(name, document_bytes(dict(RECORD)), idem=idem, time=now, actor=actor).sha256
    yield signed()
    announced = store.append(type=EntryType.ANNOUNCE, body={"text": "x"}, idem=idempotency("announce", "x", 0, []), time=now, actor=actor)
    yield "log", announced.sha256
    yield "log", close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=now, actor=actor).sha256
    yield signed()


@dataclass
class Tally:
    """What was found for one kind of fault."""

    cases: int = 0
    cut_short: int = 0
    broken: list[str] = field(default_factory=list)


def failed(root: Path, faulty: Any) -> list[str]:
    """What was acknowledged before an injected error ended the work."""
    acknowledged: list[str] = []
    local.os = faulty  # type: ignore[attr-defined]
    try:
        with suppress(EvidenceError):
            for _, digest in work(root):
                acknowledged.append(digest)
    finally:
        local.os = os  # type: ignore[attr-defined]
    return acknowledged


def killed(root: Path, faulty: Any, told: Path) -> list[str]:
    """The same in a process of its own, which the fault kills."""
    told.write_text("")
    child = os.fork()
    if child == 0:
        local.os = faulty  # type: ignore[attr-defined]
        with told.open("a") as out:
            for _, digest in work(root):
                print(digest, file=out, flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        raise SystemExit(f"the writer ended in an unexpected way: {status}")
    return told.read_text().split()


def contents(root: Path) -> dict[str, Any]:
    """Entries, and what checkpoints say. Objects are in the entries by digest, and views are made from them."""
    backend = LocalBackend(root)
    kept = {key: backend.read(key) for key in backend.names(f"{FAULTS.RUN}/") if "/log/" in key or "/checkpoints/" in key}
    return {key: said_by(data, where=key) if "/checkpoints/" in key else data for key, data in kept.items()}


def said_by(data: bytes, *, where: str) -> Any:
    """The statement of a checkpoint but for the checkpoints before it: a second try rightly signs one more, and the next one names it."""
    try:
        statement = read_checkpoint(data, where=where).statement
    except Tampered:
        return data
    predicate = {name: value for name, value in statement["predicate"].items() if name != BEFORE}
    return {**statement, "predicate": predicate}


def present(root: Path) -> set[str]:
    """Everything that an acknowledgement may name: digests of entries and of what they publish, and checkpoints."""
    entries = EvidenceStore(LocalBackend(root), FAULTS.RUN).entries()
    return {e.sha256 for e in entries} | {e.body.get("sha256", "") for e in entries} | set(contents(root))


def problem(root: Path, acknowledged: list[str], expected: dict[str, Any]) -> str | None:
    """What is wrong after a fault, and after the work was done again; None if nothing is."""
    first = verify(root / FAULTS.RUN, trust=TRUST)
    bad = [f"{f.where}: {f.what}" for f in first.findings if f.outcome is Outcome.TAMPERED]
    if bad:
        return f"looks tampered with: {bad[0]}"
    if acknowledged and not set(acknowledged) <= present(root):
        return "what was acknowledged is not there"
    try:
        for _ in work(root):
            pass
    except EvidenceError as error:
        return f"the second try fails: {error}"
    found = contents(root)
    # A second try also signs the head at which the first one ended: more checkpoints are right, other ones or a longer log are not.
    if any(found.get(key) != said for key, said in expected.items()) or any("/log/" in key for key in set(found) - set(expected)):
        return "the second try ends elsewhere"
    again = verify(root / FAULTS.RUN, trust=TRUST)
    left = [
        f"{f.where}: {f.what}" for f in again.findings if f.outcome is Outcome.TAMPERED or "rebuild" in f.what or "checkpoint" in f.what
    ]
    return f"after the second try: {left[0]}" if left else None


def run_fault(fault: str, root: Path, expected: dict[str, Any], steps: int, *, every: int) -> Tally:
    """All calls that can suffer the fault, one after the other (each `every`-th of them)."""
    counter = FAULTS.FaultyOs(at=0, fault=fault)
    failed(root / "count", counter)
    tally = Tally()
    for at in range(1, counter.count + 1, every):
        place = root / str(at)
        faulty = FAULTS.FaultyOs(at=at, fault=fault)
        acknowledged = killed(place, faulty, root / "told") if fault == "KILL" else failed(place, faulty)
        tally.cases += 1
        tally.cut_short += len(acknowledged) < steps
        found = problem(place, acknowledged, expected)
        if found is not None:
            tally.broken.append(f"{fault} at call {at}: {found}")
    return tally


def main() -> int:
    """Runs all faults, prints a line for each kind and one for all."""
    parser = argparse.ArgumentParser(description="Inject a fault at every file system call of every writer of evidence.")
    parser.add_argument("--every", type=int, default=1, help="only each n-th call, for a quick look")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="perfproof-faults-") as scratch:
        sound = list(work(Path(scratch, "sound")))
        expected = contents(Path(scratch, "sound"))
        writers = ", ".join(sorted({writer for writer, _ in sound}))
        tallies = {}
        for fault in FAULTS.FAULTS:
            tallies[fault] = run_fault(fault, Path(scratch, fault), expected, len(sound), every=max(1, options.every))
            tally = tallies[fault]
            good = tally.cases - len(tally.broken)
            sys.stdout.write(f"{fault:<7} {tally.cases:5} cases, {tally.cut_short:5} ended the work, {good:5} verifiable and converged\n")
            sys.stdout.flush()
    cases, broken = sum(t.cases for t in tallies.values()), [text for t in tallies.values() for text in t.broken]
    sys.stdout.write("".join(f"BROKEN {text}\n" for text in broken))
    share = 100 * (cases - len(broken)) / cases
    seconds = time.monotonic() - begun
    sys.stdout.write(f"faults: {cases - len(broken)} of {cases} ({share:.1f} %) at {writers}; {len(sound)} steps; {seconds:.1f} s\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
