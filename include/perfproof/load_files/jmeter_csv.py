"""JMeter's JTL as CSV, with its header: a row per sample."""

from __future__ import annotations

from collections import Counter, deque

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import Clock, whole, word
from perfproof.load_files.columns import MOST_NAMES, Columns
from perfproof.load_files.csv_records import csv_records, places
from perfproof.load_files.form import LoadFile, Tool
from perfproof.load_files.jmeter import LIMITS, samples_in_transaction, transactions_left_out
from perfproof.load_files.refusals import too_much, unusable

NEEDED = ("timeStamp", "elapsed", "label", "success")
HEADER_FIX = "set jmeter.save.saveservice.print_field_names=true and run again, or put the header in as the first line"
DELIMITERS = (",", ";", "\t")
LONGEST_LABEL = 200


class _SamplesByThread:
    """The latest samples of each thread, to tell whether those of a transaction have rows of their own."""

    MOST_SAMPLES = 100
    MOST_THREADS = 20_000

    def __init__(self) -> None:
        self._starts: dict[str, deque[float]] = {}

    def add(self, thread: str, start: float) -> None:
        """A sample of a thread. Beyond 20,000 threads nothing is kept of others."""
        if thread not in self._starts and len(self._starts) < self.MOST_THREADS:
            self._starts[thread] = deque(maxlen=self.MOST_SAMPLES)
        if thread in self._starts:
            self._starts[thread].append(start)

    def holds(self, thread: str, begin: float, samples: int) -> bool:
        """Whether that many samples of the thread started since `begin`; they are then used up. True where that is not known."""
        starts = self._starts.get(thread)
        if starts is None:
            return samples == 0 or len(self._starts) >= self.MOST_THREADS
        inside = sum(1 for start in starts if start >= begin)
        self._starts[thread] = deque((start for start in starts if start < begin), maxlen=self.MOST_SAMPLES)
        return inside >= min(samples, self.MOST_SAMPLES)


def read_jmeter_csv(stream: ByteStream) -> LoadFile:
    """The samples of the file. A row that is the sum of a transaction controller is left out if its samples have rows.

    Raises ArtifactError 482 where they have none, 488 where a needed column is missing.
    """
    where, columns, clock = stream.where, Columns(where=stream.where), Clock()
    line = stream.head.split(b"\n", 1)[0]
    delimiter = max(DELIMITERS, key=lambda d: line.count(d.encode()))
    rows = csv_records(stream, delimiter=delimiter)
    _, header = next(rows, (0, []))
    at = places(header, NEEDED, where=where, fix="set jmeter.save.saveservice.timestamp, time, label and successful to true")
    message, thread = (header.index(name) if name in header else None for name in ("responseMessage", "threadName"))
    seen = _SamplesByThread()
    transactions, without_samples = Counter[str](), Counter[str]()
    for number, row in rows:
        place = f"{where} record {number}"
        start, elapsed = clock.seconds(row[at[0]], where=place), float(whole(row[at[1]], where=place))
        user = row[thread] if thread is not None else ""
        inside = samples_in_transaction(row[message]) if message is not None else None
        if inside is None:
            columns.add(start, elapsed, word(row[at[3]], where=place), row[at[2]], at=number)
        else:
            label = row[at[2]][:LONGEST_LABEL]
            transactions[label] += 1
            if len(transactions) > MOST_NAMES:
                raise too_much(
                    where, "too many names of transaction controllers", "give them fewer names", expected=f"at most {MOST_NAMES}"
                )
            without_samples[label] += not seen.holds(user, start, inside)
        # To a transaction around it, a transaction is one sample.
        seen.add(user, start)
    for label, times in transactions.items():
        # The last transaction of a thread has a start that lies behind its samples, so single ones tell nothing.
        if 2 * without_samples[label] > times:
            fix = "switch off Generate parent sample, or write the results as XML"
            raise unusable(f"{where} {label}", "a transaction controller whose samples have no rows", fix)
    left_out = transactions_left_out(transactions.total()) + stream.incomplete()
    return LoadFile(Tool.JMETER, "JTL as CSV", columns.requests(), None, LIMITS, tuple(left_out))
