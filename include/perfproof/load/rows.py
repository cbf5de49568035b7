"""The rows of a load test, one per planned request: every figure of every document is computed from these."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from perfproof.errors import LoadError
from perfproof.statistics.percentiles import percentile as nearest_rank

HEADER = ("intended_start", "start", "end", "status", "transaction", "ok")
MAX_UNPACKED = 256 << 20
# A spreadsheet takes what begins so for a formula; the apostrophe itself is there so that a name that has one is read back.
_FORMULA = re.compile(r"['=+\-@]")
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\])")


class NoAnswer(IntEnum):
    """What stands in `status` when there is no HTTP status."""

    DROPPED = -1
    """Not sent: as many requests were open as the plan allows."""
    TIMEOUT = -2
    """No answer within the plan's timeout."""
    CONNECTION = -3
    """The connection was refused, reset or closed, or the answer was no HTTP."""
    STOPPED = -4
    """Still open when the test was stopped."""
    REJECTED = -5
    """An answer that the journey itself found wrong, whatever its status."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of equal length. Times are seconds since the test began (warm-up included); a dropped request has NaN in
    `start` and `end`. `status` is an HTTP status or a NoAnswer. `ok` means an answer of 200 to 299, read to its end.
    """

    intended_start: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    status: NDArray[np.int64]
    transaction: NDArray[np.str_]
    ok: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.status)

    @property
    def sent(self) -> NDArray[np.bool_]:
        """Which requests were sent at all."""
        sent: NDArray[np.bool_] = self.status != NoAnswer.DROPPED
        return sent

    @property
    def latency_ms(self) -> NDArray[np.float64]:
        """Milliseconds from the intended start to the end, NaN for dropped ones.

        Waiting that the service causes before a request can even start counts (wrk2, "coordinated omission").
        """
        return (self.end - self.intended_start) * 1000.0

    @property
    def service_time_ms(self) -> NDArray[np.float64]:
        """Milliseconds from the real start to the end, NaN for dropped ones."""
        return (self.end - self.start) * 1000.0

    def where(self, mask: NDArray[np.bool_]) -> Rows:
        """The rows that `mask` selects."""
        return Rows(self.intended_start[mask], self.start[mask], self.end[mask], self.status[mask], self.transaction[mask], self.ok[mask])

    def between(self, begin: float, end: float) -> Rows:
        """The rows that were due from `begin` until before `end`."""
        return self.where((self.intended_start >= begin) & (self.intended_start < end))


def percentile(values: NDArray[np.float64], percent: float) -> float | None:
    """The smallest value that at least `percent` of `values` do not exceed (nearest rank); None without values.

    No interpolation: with fewer than 100 values p99 is the largest one.
    """
    return nearest_rank(np.sort(values).tolist(), percent / 100.0) if len(values) else None


def make_rows(
    *,
    intended_start: Sequence[float],
    start: Sequence[float],
    end: Sequence[float],
    status: Sequence[int],
    transaction: Sequence[str],
) -> Rows:
    """Rows from plain sequences, with times to the microsecond, as the file holds them; `ok` follows from the status."""
    codes = np.array(status, dtype=np.int64)
    return Rows(
        _microseconds(intended_start),
        _microseconds(start),
        _microseconds(end),
        codes,
        np.array(transaction, dtype=np.str_),
        (codes >= 200) & (codes < 300),
    )


def write_rows(rows: Rows) -> bytes:
    """`rows` as gzip CSV. The same rows give the same bytes: no time or name in the gzip header.

    No name of a transaction is a formula or more than a line; `read_rows` gives it back as it was.
    """
    text = io.StringIO()
    names = {str(name): _written(str(name)) for name in np.unique(rows.transaction)}
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for i in range(len(rows)):
        times = (_seconds(rows.intended_start[i]), _seconds(rows.start[i]), _seconds(rows.end[i]))
        writer.writerow((*times, int(rows.status[i]), names[str(rows.transaction[i])], int(rows.ok[i])))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as file:
        file.write(text.getvalue().encode())
    return packed.getvalue()


def read_rows(data: bytes, *, where: str) -> Rows:
    """The rows in `data` (gzip CSV). Raises LoadError 421 for a file that is no such thing, 422 for a row that cannot be."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(MAX_UNPACKED + 1)
        text = unpacked.decode("utf-8")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise LoadError(421, where=where, what="not a gzip CSV of rows", got=str(error), fix="keep the file that was published") from None
    if len(unpacked) > MAX_UNPACKED or not lines or tuple(lines[0]) != HEADER:
        raise LoadError(
            421,
            where=where,
            what="not a gzip CSV of rows",
            got=lines[0] if lines else "nothing",
            expected=", ".join(HEADER),
            fix="keep the file that was published",
        )
    for number, line in enumerate(lines[1:], start=2):
        problem = _problem(line)
        if problem:
            raise LoadError(422, where=f"{where} line {number}", what=problem, got=line, fix="keep the file that was published")
    columns = list(zip(*lines[1:], strict=True)) or [()] * len(HEADER)
    times = [np.array([float(v) if v else math.nan for v in column], dtype=np.float64) for column in columns[:3]]
    codes = np.array([int(v) for v in columns[3]], dtype=np.int64)
    ok = np.array([v == "1" for v in columns[5]], dtype=np.bool_)
    names = {cell: _read(cell) for cell in set(columns[4])}
    return Rows(times[0], times[1], times[2], codes, np.array([names[cell] for cell in columns[4]], dtype=np.str_), ok)


def _written(name: str) -> str:
    shown = "".join(c if c.isprintable() and c != "\\" else "\\\\" if c == "\\" else c.encode("unicode_escape").decode() for c in name)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _read(cell: str) -> str:
    return _ESCAPE.sub(lambda found: found[0].encode().decode("unicode_escape"), cell.removeprefix("'"))


def _microseconds(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array([round(value, 6) for value in values], dtype=np.float64)


def _seconds(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _problem(line: list[str]) -> str | None:
    """What is wrong with one row, or None."""
    if len(line) != len(HEADER):
        return "wrong number of fields"
    try:
        status = int(line[3])
        intended, start, end = (float(v) if v else math.nan for v in line[:3])
    except ValueError:
        return "not a number"
    if status < 0 and status not in tuple(NoAnswer):
        return "unknown status"
    if line[5] not in ("0", "1") or (line[5] == "1") != (200 <= status < 300):
        return "ok does not fit the status"
    if status == NoAnswer.DROPPED:
        return None if math.isfinite(intended) and not line[1] and not line[2] else "a dropped request with a start or end"
    if not (math.isfinite(intended) and math.isfinite(start) and math.isfinite(end)):
        return "a time is missing"
    # Clocks of one process: a start before it was due or an end before the start is no measurement.
    return None if intended - 0.001 <= start <= end else "times out of order"
