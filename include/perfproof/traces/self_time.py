"""Which span of a trace took the time: a span's duration less the time in which one of its children ran.

Stores deliver what programs reported, so a tree of spans is not given but made. Its rules:

- A span that is reported twice in all its fields is one span.
- Different spans with one id (a client and a server that share it) are a chain: the longest has the id's parent, each next one is the
  child of the one before, and the id's children belong to the last.
- A span whose parent is not in the trace is a root of its own. So is the earliest span of a cycle of parents.
- A span that ends before it starts takes no time. A span that has not ended lasts until the last end below it: that long it was
  there, at least.
- What lies outside of the parent (clocks that differ, work that nobody waits for) is not subtracted from the parent, and no clock is
  corrected: the child keeps its own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from perfproof.traces.spans import Span


class Anomaly(StrEnum):
    """What was not as it should be in a trace."""

    REPEATED = "repeated_span"
    SHARED_ID = "shared_span_id"
    MISSING_PARENT = "missing_parent"
    CYCLE = "cycle"
    NEGATIVE = "negative_duration"
    UNFINISHED = "not_ended"
    OUTSIDE = "outside_parent"
    INCOMPLETE = "incomplete"
    TOO_MANY = "too_many_spans"


@dataclass(frozen=True, slots=True)
class Timing:
    """The distinct spans of a trace, per span its nanoseconds of self time, the index of the root, and the counted anomalies."""

    spans: tuple[Span, ...]
    self_ns: tuple[int, ...]
    root: int
    anomalies: dict[str, int]


def timed(spans: Sequence[Span]) -> Timing:
    """The self times of `spans`, at least one, by the rules of this module. The order of the spans does not matter.

    The root is the earliest span without a parent; where every span names one, the earliest whose parent is missing.
    """
    distinct = sorted(dict.fromkeys(spans), key=_order)
    anomalies = Counter({Anomaly.REPEATED: len(spans) - len(distinct)})
    parents = _parents(distinct, anomalies)
    _cut_cycles(parents, anomalies)
    children: list[list[int]] = [[] for _ in distinct]
    for index, parent in enumerate(parents):
        if parent is not None:
            children[parent].append(index)
    ends = _ends(distinct, parents, children, anomalies)
    selves = tuple(_self_time(index, distinct, ends, children[index], anomalies) for index in range(len(distinct)))
    # The sort is by start and then by length, so the first one is the one that is meant.
    root = min((i for i, parent in enumerate(parents) if parent is None), key=lambda i: (distinct[i].parent_id is not None, i))
    return Timing(tuple(distinct), selves, root, {kind.value: count for kind, count in anomalies.items() if count})


def _order(span: Span) -> tuple[int, int, str, str, str, str, bool, bool]:
    end = span.start_ns if span.end_ns is None else span.end_ns
    return (
        span.start_ns, span.start_ns - end, span.span_id, span.parent_id or "", span.service, span.name, span.error, span.end_ns is None
    )  # fmt: skip


def _parents(spans: Sequence[Span], anomalies: Counter[Anomaly]) -> list[int | None]:
    """Per span the index of its parent."""
    by_id: dict[str, list[int]] = {}
    for index, span in enumerate(spans):
        by_id.setdefault(span.span_id, []).append(index)
    parents: list[int | None] = [None] * len(spans)
    for same in by_id.values():
        same.sort(key=lambda i: (spans[i].start_ns - (spans[i].end_ns or spans[i].start_ns), i))
        anomalies[Anomaly.SHARED_ID] += len(same) - 1
        for before, after in pairwise(same):
            parents[after] = before
        named = spans[same[0]].parent_id
        if named is not None and named in by_id:
            parents[same[0]] = by_id[named][-1] if named != spans[same[0]].span_id else same[0]
        elif named is not None:
            anomalies[Anomaly.MISSING_PARENT] += 1
    return parents


def _cut_cycles(parents: list[int | None], anomalies: Counter[Anomaly]) -> None:
    """Makes the earliest span of each cycle a root. Each span has one parent, so no span is in two cycles."""
    seen = [0] * len(parents)
    for first in range(len(parents)):
        walk = first + 1
        at: int | None = first
        while at is not None and not seen[at]:
            seen[at] = walk
            at = parents[at]
        if at is None or seen[at] != walk:
            continue
        cycle = [at]
        while (above := parents[cycle[-1]]) is not None and above != at:
            cycle.append(above)
        parents[min(cycle)] = None
        anomalies[Anomaly.CYCLE] += 1


def _ends(
    spans: Sequence[Span], parents: Sequence[int | None], children: Sequence[Sequence[int]], anomalies: Counter[Anomaly]
) -> list[int]:
    """Per span its end, never before its start."""
    ends = [span.start_ns for span in spans]
    for index in reversed(list(_from_the_roots(parents, children))):
        start, end = spans[index].start_ns, spans[index].end_ns
        if end is None:
            anomalies[Anomaly.UNFINISHED] += 1
            end = max((ends[child] for child in children[index]), default=start)
        elif end < start:
            anomalies[Anomaly.NEGATIVE] += 1
        ends[index] = max(start, end)
    return ends


def _from_the_roots(parents: Sequence[int | None], children: Sequence[Sequence[int]]) -> Iterator[int]:
    """Every span after its parent. No recursion: a chain of calls may be deeper than Python's stack."""
    waiting = [index for index, parent in enumerate(parents) if parent is None]
    while waiting:
        index = waiting.pop()
        yield index
        waiting.extend(children[index])


def _self_time(index: int, spans: Sequence[Span], ends: Sequence[int], children: Sequence[int], anomalies: Counter[Anomaly]) -> int:
    start, end = spans[index].start_ns, ends[index]
    covered, until = 0, start
    # Spans are sorted by their start, and so are the children.
    for child in children:
        if spans[child].start_ns < start or ends[child] > end:
            anomalies[Anomaly.OUTSIDE] += 1
        begin, finish = max(spans[child].start_ns, until), min(ends[child], end)
        if finish > begin:
            covered += finish - begin
            until = finish
    return end - start - covered
