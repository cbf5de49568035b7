"""`make bench-evidence`: what an entry of the log costs, beside the bare system calls that make any small file durable.

Five questions, one Markdown table:

- 50 writers, a log each: 95th percentile of an append, and of a bare write, fsync and link of as many bytes by as many writers. Both take
  turns in the same run, in files of the same file system. Exit code 1 if the append's is more than twice the bare one's.
- 50 writers, one log: appends a second, lost races, and that every entry is there once and in its writer's order.
- 50 runs at once in one root: that each verifies and holds only what is its own.
- One log that grows: an append by a store that lives on, and by a new one that has to read the log first.
- The search for secrets in large content.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from perfproof.evidence import Actor, Entry, EvidenceStore, LocalBackend, idempotency
from perfproof.evidence.secrets import find_secrets
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.telemetry import sha256_hex

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
LIMIT = 2.0
WARM_UP = 5
TURN = 3
FORK = multiprocessing.get_context("fork")
TEXT = "[PHASE 1] Baseline capture in progress. Documenting SLO adherence and bottlenecks..."
Row = tuple[str, str]


def store_of(root: Path, run: str, *, backend: LocalBackend | None = None) -> EvidenceStore:
    """The open run."""
    store = EvidenceStore(backend or LocalBackend(root), run)
    store.open_run(genesis={"run": run}, time=NOW, actor=Actor(kind="task", id="bench"))
    return store


def append(store: EvidenceStore, writer: int, number: int) -> Entry:
    """One entry of the size that a fact of a cycle has."""
    return store.append(
        type="announce", body={"text": TEXT, "writer": writer, "number": number}, idem=idempotency("announce", f"w{writer}", number, []),
        time=NOW, actor=Actor(kind="task", id=f"writer-{writer}"),
    )  # fmt: skip


def bare(folder: int, name: str, data: bytes, *, sync_folder: bool) -> None:
    """A file of its own, durable, under its name only once it is whole: the least that such a write takes."""
    file = os.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    os.link(f".{name}", name, src_dir_fd=folder, dst_dir_fd=folder)
    if sync_folder:
        os.fsync(folder)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: float) -> str:
    """With two decimals."""
    return f"{seconds * 1000:.2f} ms"


def together(writers: int, work: Callable[[int, Any], Any]) -> list[Any]:
    """What `work(writer, barrier)` gave in each of as many processes, which begin at the same time."""
    barrier, answers = FORK.Barrier(writers), FORK.SimpleQueue()

    def run(writer: int) -> None:
        answer = None
        try:
            answer = work(writer, barrier)
        finally:
            answers.put((writer, answer))

    processes = [FORK.Process(target=run, args=(writer,)) for writer in range(writers)]
    for process in processes:
        process.start()
    found = dict(answers.get() for _ in processes)
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes) or None in found.values():
        raise SystemExit("a writer failed")
    return [found[writer] for writer in range(writers)]


def own_logs(root: Path, *, writers: int, rounds: int, each: int) -> tuple[list[Row], float]:
    """Appends to logs of their own beside bare writes; the rows, and the ratio of the 95th percentiles."""

    def work(writer: int, barrier: Any) -> dict[str, list[float]]:
        store = store_of(root, f"own-{writer}")
        data, place = append(store, writer, -1).as_bytes(), root / f"bare-{writer}"
        place.mkdir()
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        kinds: dict[str, Callable[[int], object]] = {
            "append": lambda number: append(store, writer, number),
            "bare": lambda number: bare(folder, f"a{number}", data, sync_folder=False),
            "durable": lambda number: bare(folder, f"b{number}", data, sync_folder=True),
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(WARM_UP):
            # A process that was just forked pays for its first touch of every page: that is no part of what is compared.
            for kind in kinds:
                kinds[kind](-2 - number)
        for round_ in range(rounds):
            order = list(kinds)[round_ % 3 :] + list(kinds)[: round_ % 3]
            for kind in order:
                barrier.wait()
                times[kind] += [timed(partial(kinds[kind], n)) for n in range(round_ * each, (round_ + 1) * each)]
        return times

    found = together(writers, work)
    times = {kind: [value for one in found for value in one[kind]] for kind in found[0]}
    p95 = {kind: percentile(values, 0.95) for kind, values in times.items()}
    ratio = p95["append"] / p95["bare"]
    names = {"append": "append", "bare": "bare write, fsync, link", "durable": "the same and fsync of the directory"}
    rows = [
        (f"{writers} writers, a log each: {names[kind]}", f"p50 {milliseconds(percentile(values, 0.5))}, p95 {milliseconds(p95[kind])}")
        for kind, values in times.items()
    ]
    rows.append((f"p95 of the append over the bare one's (limit {LIMIT:g})", f"**{ratio:.2f}** ({len(times['append'])} of each)"))
    rows.append(("p95 of the append over that of the bare write with the directory", f"{p95['append'] / p95['durable']:.2f}"))
    return rows, ratio


class Counting(LocalBackend):
    """A local disk that counts the creates that another writer won."""

    lost = 0

    def create(self, key: str, data: bytes) -> bool:
        """As LocalBackend."""
        created = super().create(key, data)
        self.lost += not created
        return created


def one_log(root: Path, *, writers: int, each: int) -> list[Row]:
    """All append to one log."""
    store_of(root, "shared")

    def work(writer: int, barrier: Any) -> tuple[list[float], int, float, float]:
        backend = Counting(root)
        store = EvidenceStore(backend, "shared")
        barrier.wait()
        begun = time.time()
        times = [timed(partial(append, store, writer, n)) for n in range(each)]
        return times, backend.lost, begun, time.time()

    found = together(writers, work)
    times = [value for one in found for value in one[0]]
    seconds = max(one[3] for one in found) - min(one[2] for one in found)
    by_writer: dict[int, list[int]] = {}
    for entry in EvidenceStore(LocalBackend(root), "shared").of_type("announce"):
        by_writer.setdefault(entry.body["writer"], []).append(entry.body["number"])
    complete = by_writer == {writer: list(range(each)) for writer in range(writers)} and not accused(root / "shared")
    lost = sum(one[1] for one in found)
    return [
        (
            f"{writers} writers, one log: {len(times)} appends",
            f"{len(times) / seconds:.0f}/s, p50 {milliseconds(percentile(times, 0.5))}, p95 {milliseconds(percentile(times, 0.95))}, "
            f"{lost} lost races ({lost / len(times):.1f} an append)",
        ),
        ("nothing lost, doubled, mixed or out of order", said(complete)),
    ]


def many_runs(root: Path, *, runs: int, each: int) -> list[Row]:
    """Runs of their own in one root, at once."""

    def work(run: int, barrier: Any) -> float:
        barrier.wait()
        begun = time.perf_counter()
        store = store_of(root, f"run-{run}")
        for number in range(each):
            append(store, run, number)
            idem = idempotency("artifact.published", "log", number, [])
            text = f"of run {run}, number {number}"
            store.publish("hypothesis-log.md", text.encode(), idem=idem, time=NOW, actor=Actor(kind="task", id=f"writer-{run}"))
        return time.perf_counter() - begun

    slowest = max(together(runs, work))
    return [
        (f"{runs} runs at once, {each} appends and {each} publications each", f"{slowest:.1f} s"),
        ("each verifies and holds only its own", said(all(is_own(root, run, each) for run in range(runs)))),
    ]


def is_own(root: Path, run: int, each: int) -> bool:
    """Whether the run holds all that its writer wrote, and nothing else."""
    store = EvidenceStore(LocalBackend(root), f"run-{run}")
    entries = store.entries()
    texts = [f"of run {run}, number {number}".encode() for number in range(each)]
    published = [store.get_object(e.body["sha256"]) for e in entries if "sha256" in e.body]
    objects = {key.rpartition("/")[2] for key in store.backend.names(f"run-{run}/objects/")}
    expected = {sha256_hex(text) for text in texts} | {entries[0].prev}
    written = [e.body["writer"] for e in entries if "writer" in e.body]
    return (
        len(entries) == 1 + 2 * each
        and published == texts
        and objects == expected
        and set(written) == {run}
        and not accused(root / f"run-{run}")
    )


def accused(directory: Path) -> bool:
    """Whether the verifier takes anything in the run for tampered with."""
    return any(finding.outcome is Outcome.TAMPERED for finding in verify(directory).findings)


def said(holds: bool) -> str:
    """In the table."""
    return "yes" if holds else "**NO**"


def growth(root: Path, *, lengths: list[int]) -> Iterator[Row]:
    """An append at several lengths of one log."""
    store, length = store_of(root, "grows"), 1
    for wanted in lengths:
        while length < wanted:
            append(store, 0, length)
            length += 1
        lived = [timed(partial(append, store, 0, number)) for number in range(length, length + 30)]
        fresh = timed(partial(append, EvidenceStore(LocalBackend(root), "grows"), 0, length + 30))
        length += 31
        yield (
            f"one writer, {wanted} entries in the log",
            f"append p50 {milliseconds(statistics.median(lived))}; first append of a new store {milliseconds(fresh)}",
        )


def searches(megabytes: int) -> Iterator[Row]:
    """How fast content is searched for secrets before it is written: rows of a load test, as they are and packed."""
    row = "{0:.6f},{1:.6f},{2:.6f},200,orders,1\n"
    rows = "".join(row.format(n / 20, n / 20 + 0.001, n / 20 + 0.03 + n % 7 / 100) for n in range(25_000)).encode()
    rows *= max(1, (megabytes << 20) // len(rows))
    known = [sha256_hex(str(number).encode())[:32].title() for number in range(20)]
    for what, data in (("rows of a load test", rows), ("the same, gzipped (of unpacked content)", gzip.compress(rows, 6))):
        for secrets in ([], known):
            rate = len(rows) / 1e6 / timed(partial(find_secrets, data, known=secrets))
            yield f"search for secrets, {len(secrets)} of them registered: {what}", f"{rate:.0f} MB/s"


def main() -> int:
    """Runs the parts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=30, help="turns of each kind of write: short ones, so that other load meets them all")
    parser.add_argument("--each", type=int, default=10, help="appends of each writer of the one log")
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 500, 1000, 2500, 5000])
    parser.add_argument("--root", type=Path, default=None, help="directory on the file system to measure (default: the temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perfproof-bench-", dir=options.root) as scratch:
        root = Path(scratch)
        rows, ratio = own_logs(root, writers=options.writers, rounds=options.rounds, each=TURN)
        rows += one_log(root, writers=options.writers, each=options.each)
        rows += many_runs(root, runs=options.writers, each=max(1, options.each // 2))
        rows += growth(root, lengths=options.lengths)
    rows += searches(32)
    sys.stdout.write("| what | measured |\n|---|---|\n" + "".join(f"| {what} | {measured} |\n" for what, measured in rows))
    sound = all("NO" not in measured for _, measured in rows)
    return 0 if ratio <= LIMIT and sound else 1


if __name__ == "__main__":
    sys.exit(main())
