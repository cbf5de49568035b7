"""Many writers, one log: threads, processes, and two tries of the same task."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from perfproof.evidence import Actor, EvidenceStore, LocalBackend, idempotency
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
ACTOR = Actor(kind="task", id="a_task", auth="A1")
RUN = "run-0123456789abcdef"
WRITERS, EACH = 8, 20

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from perfproof.evidence import Actor, EvidenceStore, LocalBackend, idempotency
root, writer, each = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = EvidenceStore(LocalBackend(root), "run-0123456789abcdef")
for number in range(each):
    store.append(
        type="announce", body={"writer": writer, "number": number}, idem=idempotency("announce", writer, number, []),
        time=datetime(2025, 2, 16, 10, 0, tzinfo=UTC), actor=Actor(kind="task", id=f"w{writer}", auth="A1"),
    )
"""


def opened(root: Path) -> EvidenceStore:
    """An open run on disk."""
    store = EvidenceStore(LocalBackend(root), RUN)
    store.open_run(genesis={}, time=NOW, actor=ACTOR)
    return store


def assert_complete(root: Path) -> None:
    """Every writer's entries are there once, whole, and in the order in which it wrote them."""
    entries = EvidenceStore(LocalBackend(root), RUN).of_type("announce")
    by_writer: dict[str, list[int]] = {}
    for entry in entries:
        by_writer.setdefault(entry.body["writer"], []).append(entry.body["number"])
        assert entry.actor.id == f"w{entry.body['writer']}"
    assert by_writer == {str(writer): list(range(EACH)) for writer in range(WRITERS)}
    assert verify(root / RUN).outcome is Outcome.UNFINISHED


def test_processes_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Eight processes, twenty entries each, one log."""
    opened(tmp_path)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(writer), str(EACH)]) for writer in range(WRITERS)]
    assert [process.wait(timeout=120) for process in writers] == [0] * WRITERS
    assert_complete(tmp_path)


def test_threads_with_one_store_lose_and_mix_nothing(tmp_path: Path) -> None:
    """The instance's cache is shared too."""
    store = opened(tmp_path)
    failures: list[BaseException] = []

    def write(writer: str) -> None:
        try:
            for number in range(EACH):
                store.append(
                    type="announce",
                    body={"writer": writer, "number": number},
                    idem=idempotency("announce", writer, number, []),
                    time=NOW,
                    actor=Actor(kind="task", id=f"w{writer}", auth="A1"),
                )
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(str(writer),)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert_complete(tmp_path)


def test_two_tries_of_one_task_commit_once(tmp_path: Path) -> None:
    """An old try that was thought dead and the new one: same reference for both, one entry, whatever their bytes."""
    opened(tmp_path)
    references = []
    barrier = threading.Barrier(WRITERS)

    def publish(number: int) -> None:
        store = EvidenceStore(LocalBackend(tmp_path), RUN)
        barrier.wait()
        idem = idempotency("artifact.published", "plan", 0, [])
        references.append(store.publish("optimization-plan.json", f"try {number}".encode(), idem=idem, time=NOW, actor=ACTOR))

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(references) == WRITERS
    assert len(set(references)) == 1
    store = EvidenceStore(LocalBackend(tmp_path), RUN)
    assert [entry.type.value for entry in store.entries()] == ["run.opened", "artifact.published"]
    assert (tmp_path / RUN / "optimization-plan.json").read_bytes() == store.read("optimization-plan.json")


def test_of_racing_publications_one_is_first_and_the_view_is_the_last(tmp_path: Path) -> None:
    """Different work on one name: each is kept, each but the first supersedes the one before, the view shows the live one."""
    opened(tmp_path)
    barrier = threading.Barrier(WRITERS)

    def publish(number: int) -> None:
        store = EvidenceStore(LocalBackend(tmp_path), RUN)
        barrier.wait()
        idem = idempotency("artifact.published", "plan", number, [])
        store.publish("optimization-plan.json", f"round {number}".encode(), idem=idem, time=NOW, actor=ACTOR)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = EvidenceStore(LocalBackend(tmp_path), RUN)
    assert Counter(entry.type.value for entry in store.entries())["artifact.superseded"] == WRITERS - 1
    assert [entry.body["supersedes"] for entry in store.of_type("artifact.superseded")] == list(range(1, WRITERS))
    assert (tmp_path / RUN / "optimization-plan.json").read_bytes() == store.read("optimization-plan.json")


def test_runs_in_one_root_do_not_mix(tmp_path: Path) -> None:
    """Two runs at the same time have nothing in common but the root."""
    stores = [EvidenceStore(LocalBackend(tmp_path), f"run-{number}") for number in range(2)]
    for store in stores:
        store.open_run(genesis={"run": store.run}, time=NOW, actor=ACTOR)
        store.publish("hypothesis-log.md", store.run.encode(), idem=idempotency("a", "s", 0, []), time=NOW, actor=ACTOR)
    assert [store.read("hypothesis-log.md") for store in stores] == [b"run-0", b"run-1"]
