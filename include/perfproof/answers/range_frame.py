"""Many series of one range query as one table: a row for every asked moment, a column for every series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perfproof.answers.prometheus import RangeSeries
from perfproof.answers.refusal import AnswerRefusal

if TYPE_CHECKING:
    import pandas as pd

# 160 MB of values; most of a table of many short-lived series is empty.
MAX_CELLS = 20_000_000
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True, eq=False)
class RangeFrame:
    """`frame` has the asked moments (UTC) as index and one column per series, named as `series_name` writes its labels.

    A moment without a sample is NaN, as is a sample that is NaN: neither is a measurement. `labels` are those of the columns in
    order; `samples` is the number of samples received; `raw_sha256` is the digest of the answers' bytes, one answer a line.
    """

    frame: pd.DataFrame
    labels: tuple[Mapping[str, str], ...]
    samples: int
    query: str
    start: float
    end: float
    step: float
    raw_sha256: str


@dataclass(slots=True)
class SeriesTable:
    """Collects the parts of long series: `points` moments, `step_ms` apart, from `start_ms` (since the epoch)."""

    start_ms: int
    step_ms: int
    points: int
    refuse: AnswerRefusal
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    samples: int = 0
    _parts: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = field(default_factory=dict)
    _last: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None

    def add(self, series: Sequence[RangeSeries], *, first: int, last: int) -> None:
        """Takes the samples of the asked moments `first` to `last`. Refuses others, and samples twice or out of order."""
        here: set[str] = set()
        for one in series:
            name = series_name(one.labels)
            rows = self._rows_of(one.samples[0], name, first=first, last=last)
            if name in here or self.labels.setdefault(name, one.labels) != one.labels:
                raise self.refuse("two series with the same labels", name, "check the server", number=704)
            here.add(name)
            self._parts.setdefault(name, []).append((rows, one.samples[1]))
            self.samples += len(rows)
        if len(self.labels) * self.points > MAX_CELLS:
            raise self.refuse(
                "the series make too large a table", f"{len(self.labels)} series of {self.points} moments",
                "aggregate the query, or choose a larger step", expected=f"at most {MAX_CELLS} cells", number=705,
            )  # fmt: skip

    def frame(self) -> Any:
        """The DataFrame of all that was added."""
        import pandas as pd

        values = np.full((self.points, len(self.labels)), np.nan, order="F")
        for column, parts in enumerate(self._parts.values()):
            for rows, found in parts:
                values[rows, column] = found
        moments = self.start_ms + self.step_ms * np.arange(self.points, dtype=np.int64)
        index = pd.DatetimeIndex(moments.astype("datetime64[ms]"), name="time").tz_localize("UTC")
        return pd.DataFrame(values, index=index, columns=list(self.labels), copy=False)

    def _rows_of(self, times: NDArray[np.float64], name: str, *, first: int, last: int) -> NDArray[np.int64]:
        # Most series of an answer have samples at the same moments.
        if self._last is None or not np.array_equal(self._last[0], times) or self._last[1][-1:] > last or self._last[1][:1] < first:
            self._last = (times, self._rows(times, name, first=first, last=last))
        return self._last[1]

    def _rows(self, times: NDArray[np.float64], name: str, *, first: int, last: int) -> NDArray[np.int64]:
        if not bool(np.all(np.abs(times) < 1e11)):
            raise self.refuse(f"a sample of {name} outside the asked range", "not a moment", "check the server's clock", number=279)
        rows, beside = np.divmod(np.rint(times * 1000).astype(np.int64) - self.start_ms, self.step_ms)
        if np.any(beside) or np.any((rows < first) | (rows > last)):
            wrong = times[(beside != 0) | (rows < first) | (rows > last)][0]
            raise self.refuse(
                f"a sample of {name} at a moment that was not asked for", float(wrong),
                "start at a multiple of the step, or keep the server from moving the range (VictoriaMetrics: nocache=1)", number=707,
            )  # fmt: skip
        back = np.diff(rows) <= 0
        if back.any():
            raise self.refuse(f"samples of {name} twice or out of order", float(times[1:][back][0]), "check the server", number=279)
        return rows


def series_name(labels: Mapping[str, str]) -> str:
    """The labels as PromQL writes a series: `name{a="b",c="d"}`, sorted, on one line; `{}` without labels."""
    inner = ",".join(f"{_label(key)}={_quoted(labels[key])}" for key in sorted(labels) if key != "__name__")
    name = labels.get("__name__", "")
    return name if name and not inner else f"{name}{{{inner}}}"


def _label(name: str) -> str:
    return name if LABEL_NAME.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped) + '"'
