"""Every system call of a writer fails once, in every way that a disk or a killed process makes it fail.

After each fault the directory must not look tampered with, what was acknowledged must be there, and doing the work again must end
where the work without a fault ends.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import EvidenceError
from perfproof.evidence import Actor, EvidenceStore, LocalBackend, idempotency, local
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.evidence.views import close_run

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
ACTOR = Actor(kind="task", id="a_task", auth="A1")
RUN = "run-0123456789abcdef"
WRITES = ("write", "fsync", "fchmod", "link", "rename", "unlink", "mkdir", "open")
READS = ("close", "stat", "fstat", "scandir")
# Killed before a call is killed after the one before it; between two reads a kill changes nothing.
FAULTS = {"EIO": WRITES + READS, "ENOSPC": WRITES, "KILL": WRITES, "SHORT": ("write",)}


class FaultyOs:
    """The `os` module, in which call number `at` of those that can suffer `fault` does. `count` says how many there were."""

    def __init__(self, *, at: int, fault: str) -> None:
        self.at = at
        self.fault = fault
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._watched(name, real) if name in FAULTS[self.fault] else real

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count != self.at:
                return real(*arguments, **named)
            if self.fault == "KILL":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "SHORT":
                return real(arguments[0], arguments[1][: max(1, len(arguments[1]) // 2)])
            if name == "close":
                real(*arguments, **named)
            number = getattr(errno, self.fault)
            raise OSError(number, os.strerror(number))

        return call


def work(root: Path) -> Iterator[str]:
    """A little cycle, one acknowledgement for each step: open, publish, supersede, append, close."""
    store = EvidenceStore(LocalBackend(root), RUN)
    yield store.open_run(genesis={"dag_id": "d"}, time=NOW, actor=ACTOR).sha256
    for round_, text in enumerate((b"first", b"second")):
        idem = idempotency("artifact.published", "hypotheses", round_, [])
        yield store.publish("hypothesis-log.md", text, idem=idem, time=NOW, actor=ACTOR).sha256
    yield store.append(type="announce", body={"text": "done"}, idem=idempotency("announce", "done", 0, []), time=NOW, actor=ACTOR).sha256
    yield close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=NOW, actor=ACTOR).sha256


def faulted(root: Path, faulty: FaultyOs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was acknowledged before the fault ended the work."""
    acknowledged: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", faulty)
        try:
            for step in work(root):
                acknowledged.append(step)  # noqa: PERF402  the steps before the fault count
        except EvidenceError as error:
            if faulty.fault == "ENOSPC":
                assert error.code == "EVI-507"
    return acknowledged


def killed(root: Path, faulty: FaultyOs, told: Path) -> list[str]:
    """The same in a process of its own, which the fault kills."""
    told.write_text("")
    child = os.fork()
    if child == 0:
        local.os = faulty  # type: ignore[attr-defined]
        with told.open("a") as out:
            for step in work(root):
                print(step, file=out, flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return told.read_text().split()


def number_of_calls(root: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many calls can suffer the fault."""
    counter = FaultyOs(at=0, fault=fault)
    assert len(faulted(root, counter, monkeypatch)) == 5
    return counter.count


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "KILL"])
def test_no_fault_leaves_evidence_that_looks_tampered_with_or_work_that_cannot_be_redone(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All calls of the work, one after the other."""
    calls = number_of_calls(tmp_path / "sound", fault, monkeypatch)
    sound = EvidenceStore(LocalBackend(tmp_path / "sound"), RUN)
    expected = [entry.sha256 for entry in sound.entries()]
    assert verify(tmp_path / "sound" / RUN).figures["entries"] == 5
    assert calls > 100
    failures = 0
    for at in range(1, calls + 1):
        root = tmp_path / str(at)
        faulty = FaultyOs(at=at, fault=fault)
        acknowledged = killed(root, faulty, tmp_path / "told") if fault == "KILL" else faulted(root, faulty, monkeypatch)
        failures += len(acknowledged) < 5
        assert verify(root / RUN).outcome in (Outcome.UNFINISHED, Outcome.USAGE), (fault, at)
        if acknowledged:
            store = EvidenceStore(LocalBackend(root), RUN)
            present = {entry.sha256 for entry in store.entries()} | {entry.body.get("sha256") for entry in store.entries()}
            assert set(acknowledged) <= present, (fault, at)
        assert len(list(work(root))) == 5
        assert [entry.sha256 for entry in EvidenceStore(LocalBackend(root), RUN).entries()] == expected, (fault, at)
        again = verify(root / RUN)
        assert not [f for f in again.findings if f.outcome is Outcome.TAMPERED or "rebuild" in f.what], (fault, at)
    assert failures > calls // 2


def test_a_retry_makes_durable_what_the_first_try_could_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry was linked, the folder's fsync failed: the retry finds the entry, and must not report success before the fsync."""
    store = EvidenceStore(LocalBackend(tmp_path), RUN)
    store.open_run(genesis={}, time=NOW, actor=ACTOR)
    synced: list[str] = []
    failing = True

    class Syncing:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def fsync(self, file: int) -> None:
            target = Path(f"/proc/self/fd/{file}").readlink()
            if target.is_dir() and failing:
                raise OSError(errno.EIO, "broken")
            synced.append(target.name)

    monkeypatch.setattr(local, "os", Syncing())
    idem = idempotency("announce", "x", 0, [])
    with pytest.raises(EvidenceError, match="EVI-500"):
        store.append(type="announce", body={}, idem=idem, time=NOW, actor=ACTOR)
    assert store.find(idem) is not None
    failing = False
    synced.clear()
    store.append(type="announce", body={}, idem=idem, time=NOW, actor=ACTOR)
    assert synced == ["log"]
    synced.clear()
    store.put_object(b"x")
    store.put_object(b"x")
    assert synced[-1] == "sha256"


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes only half of the bytes is not an error, and nothing is lost."""
    calls = number_of_calls(tmp_path / "sound", "SHORT", monkeypatch)
    for at in range(1, calls + 1):
        root = tmp_path / str(at)
        assert len(faulted(root, FaultyOs(at=at, fault="SHORT"), monkeypatch)) == 5
        assert (root / RUN / "hypothesis-log.md").read_bytes() == b"second"


def test_an_entry_reaches_the_disk_only_after_its_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of writes that survives a power cut: file before name, name before folder, object before entry."""
    trace: list[str] = []

    class Traced:
        def __getattr__(self, name: str) -> Any:
            real = getattr(os, name)
            if name not in ("fsync", "link", "rename"):
                return real

            def call(*arguments: Any, **named: Any) -> Any:
                if name == "fsync":
                    target = Path(f"/proc/self/fd/{arguments[0]}")
                    trace.append("sync folder" if target.is_dir() else "sync file")
                else:
                    trace.append(f"{name} {arguments[1][-5:]}")
                return real(*arguments, **named)

            return call

    store = EvidenceStore(LocalBackend(tmp_path), RUN)
    store.open_run(genesis={}, time=NOW, actor=ACTOR)
    store.publish("hypothesis-log.md", b"x", idem=idempotency("a", "s", 0, []), time=NOW, actor=ACTOR)
    monkeypatch.setattr(local, "os", Traced())
    store.publish("hypothesis-log.md", b"y", idem=idempotency("a", "s", 1, []), time=NOW, actor=ACTOR)
    kinds = [step if step.startswith("sync") else step.split()[0] for step in trace]
    assert kinds == ["sync file", "link", "sync folder", "sync file", "link", "sync folder", "sync file", "rename", "sync folder"]
    assert trace[4].endswith(".json")
    assert trace[7].endswith("og.md")
