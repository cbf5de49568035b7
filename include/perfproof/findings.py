"""What the diagnostics found, one shape for profiles and query plans, so that hypotheses and plan speak of the same things."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from perfproof.config import Cause
from perfproof.query_plans import FindingKind

HOT_PATH = "hot_path"
HOT_FUNCTION = "hot_function"
EXCERPT = 120
# What takes less of the time than this confirms nothing and carries no optimization.
MINOR = 0.05
# Frames that nearly every sample shares are the server's own and say nothing about the work.
SHARED = 0.95
# A path that holds less of the samples confirms no hot path: with 100 samples it is known to +-7 points.
LARGE = 0.15
# A frame with less than this part of its caller's samples begins a branch of its own,
LEAVES = 0.7
# whose time is still together in a frame that holds this much of it.
TOGETHER = 0.75
# Parts below this much of a frame are small.
SMALL_PARTS = 0.4
# Paths are recorded as long as a frame holds this much of all samples.
HOT_SHARE = 0.1
# A wrong estimate or a function that is seen often is a lead, not yet a cause.
CONFIRMING = frozenset({HOT_PATH, *(k.value for k in FindingKind if k is not FindingKind.BAD_ESTIMATE)})

# How people describe what would confirm an optimization, by kind of finding.
PHRASES: Mapping[str, tuple[str, ...]] = {
    FindingKind.SEQUENTIAL_SCAN: ("whole table", "sequential scan", "seq scan", "full scan", "full table"),
    FindingKind.REPEATED_STATEMENT: ("query per", "query for each", "statement per", "statement for each", "n+1"),
    FindingKind.BAD_ESTIMATE: ("estimate",),
    FindingKind.SORT_SPILL: ("sorts on disk", "sort on disk", "spill"),
    FindingKind.HASH_SPILL: ("hashes on disk", "hash on disk", "spill"),
    FindingKind.DATABASE_TIME: ("spent in the database", "time in the database", "database time"),
}
# Words of a description that say where to look, not what is there.
EMPTY_WORDS = frozenset(
    {"profile", "profiles", "shows", "show", "among", "function", "functions", "code", "path", "paths", "most", "time", "with", "that"}
)


@dataclass(frozen=True, slots=True)
class DiagnosticFinding:
    """A finding about one service.

    `weight` (0 to 1) is how much of the samples, the database's time or the statements it is about. `share` (0 to 1) is
    the most that removing the cause could save of `share_of`, None where that is not known. `frames` are the functions
    of a hot path with their shares, `subject` tells statements and paths apart, `source` is `profile` or `query_plans`.
    Texts are raw: escape them where they are shown.
    """

    service: str
    cause: Cause
    kind: str
    text: str
    weight: float
    share: float | None
    share_of: str
    subject: str
    source: str
    frames: tuple[tuple[str, float], ...] = ()

    @property
    def confirming(self) -> bool:
        """Whether the finding is large enough, and of a kind, to confirm a hypothesis of its cause."""
        return self.kind in CONFIRMING and self.weight >= (LARGE if self.kind == HOT_PATH else MINOR)


def findings_of(profiles: Iterable[Mapping[str, Any]], plans: Mapping[str, Any] | None) -> tuple[DiagnosticFinding, ...]:
    """The findings in profile documents and in the query plan document, the weightiest of a service first.

    An inconclusive profile has none.
    """
    found = [f for document in profiles if document["status"] == "ok" for f in _of_profile(document)]
    for service in plans["services"] if plans else []:
        found.extend(_of_service(service))
    return tuple(sorted(found, key=lambda f: (f.service, -f.weight, f.kind, f.text)))


def _of_profile(document: Mapping[str, Any]) -> Iterable[DiagnosticFinding]:
    told: set[tuple[str, str]] = set()
    for path in document["hot_paths"]:
        frames = tuple((f["function"], f["total_percent"] / 100) for f in path["frames"] if f["total_percent"] < 100 * SHARED)
        if not frames:
            continue
        at, focus = _branch_and_focus(frames)
        (branch, share), (function, weight) = frames[at], frames[focus]
        part = frames[focus + 1][1] if focus + 1 < len(frames) else max(path["self_percent"] / 100, HOT_SHARE)
        # A frame whose time divides into small parts is a dispatcher, such as an event loop, not a hot path.
        if (branch, function) in told or part < SMALL_PARTS * weight:
            continue
        told.add((branch, function))
        below = f", below {branch} with {100 * share:.0f} percent" if branch != function else ""
        yield DiagnosticFinding(
            service=document["service"],
            cause=Cause.CODE_HOT_PATH,
            kind=HOT_PATH,
            text=f"{function} carries {100 * weight:.0f} percent of the CPU samples{below}",
            weight=weight,
            share=share,
            share_of="the CPU samples of all requests",
            subject=f"{branch} {function}",
            source="profile",
            frames=frames,
        )
    for hot in document["hot_functions"]:
        name, total = hot["function"], hot["total_percent"] / 100
        if MINOR <= total < SHARED:
            yield DiagnosticFinding(
                service=document["service"],
                cause=Cause.CODE_HOT_PATH,
                kind=HOT_FUNCTION,
                text=f"{name} is in {100 * total:.0f} percent of the CPU samples, in {hot['self_percent']:.0f} percent by itself",
                weight=total,
                share=total,
                share_of="the CPU samples of all requests",
                subject=name,
                source="profile",
                frames=((name, total),),
            )


def _branch_and_focus(frames: tuple[tuple[str, float], ...]) -> tuple[int, int]:
    """Where a path last leaves the others, and how deep its time then stays together; places in `frames`."""
    shares = [1.0, *(share for _, share in frames)]
    kept = [after / before for before, after in itertools.pairwise(shares)]
    leaving = [i for i, part in enumerate(kept) if part < LEAVES]
    # The small ends of a large path are not what it is about, unless nothing large leaves the others.
    large = [i for i in leaving if frames[i][1] >= LARGE]
    branch = max(large or leaving, default=0)
    return branch, max(i for i in range(branch, len(frames)) if frames[i][1] >= TOGETHER * frames[branch][1])


def _of_service(service: Mapping[str, Any]) -> Iterable[DiagnosticFinding]:
    name = service["service"]
    for finding in service["findings"]:
        share = finding["share_percent"] / 100
        yield DiagnosticFinding(
            service=name,
            cause=Cause.DATABASE_CONTENTION,
            kind=finding["kind"],
            text=finding["text"],
            weight=share,
            share=share,
            share_of="the time of all requests",
            subject="database",
            source="query_plans",
        )
    for statement in service["statements"]:
        time, calls = (statement["share_percent"] or 0.0) / 100, (statement["calls_share_percent"] or 0.0) / 100
        for finding in statement["findings"]:
            # A repeated statement costs round trips and work in the service, so it weighs by its calls, and its part
            # of the database's time bounds nothing.
            repeated = finding["kind"] == FindingKind.REPEATED_STATEMENT
            weighs = f"{100 * calls:.0f} percent of all statements" if repeated else f"{100 * time:.0f} percent of the database's time"
            yield DiagnosticFinding(
                service=name,
                cause=Cause.DATABASE_CONTENTION,
                kind=finding["kind"],
                text=f"{finding['text']} ({weighs}): {_excerpt(statement['statement'])}",
                weight=calls if repeated else time,
                share=None if repeated else time,
                share_of="the database's time",
                subject=statement["statement"],
                source="query_plans",
            )


def _excerpt(statement: str) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def described_kinds(description: str) -> frozenset[str]:
    """The kinds of database finding that `description` speaks of, by fixed phrases."""
    text = " ".join(description.casefold().split())
    return frozenset(kind for kind, phrases in PHRASES.items() if any(phrase in text for phrase in phrases))


def names_in_common(description: str, names: Iterable[str]) -> bool:
    """Whether a word of `description` and a part of one of `names` begin alike: the shorter's first five letters at most."""
    wanted = _words(description) - EMPTY_WORDS
    parts = {part for name in names for part in _words(name)}
    return any(part.startswith(word[:5]) or word.startswith(part[:5]) for word in wanted for part in parts)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in re.findall(r"[^\W\d_]+", text) if len(word) >= 4}
