"""What a sampling profile says: which functions the time went to, along which path, and what a change moved.

The form is collapsed stacks, one line a stack, `outermost;…;innermost COUNT`, as py-spy's `raw` and the other samplers
write it. It is the form to keep: it can be compared, and the flame graphs are drawn from it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import ProfileError

MAX_CHARACTERS = 64 << 20
MAX_STACKS = 200_000
MAX_DEPTH = 400
MAX_FRAME = 300
CUT = "[deeper frames cut]"

Stack = tuple[str, ...]

_LINE = re.compile(r"^(?P<stack>.*) (?P<count>[0-9]{1,15})$")
_PLACE = re.compile(r"^(?P<name>.*) \((?P<file>[^()]*?)(?::[0-9]+)?\)$")
_CONTAINER = re.compile(r"^(?:thread \(0x[0-9A-Fa-f]+\)|process [0-9]+\b.*)$")

# The innermost frames of a thread that waits. Samplers mean to leave idle threads out and miss these; as CPU time they
# would fill half of a graph.
WAITS = frozenset(
    {
        ("wait", "threading.py"),
        ("_wait_for_tstate_lock", "threading.py"),
        ("select", "selectors.py"),
        ("accept", "socket.py"),
        ("readinto", "socket.py"),
        ("_worker", "thread.py"),
        ("wait", "waiting.py"),
        ("wait_selector", "waiting.py"),
        ("wait_epoll", "waiting.py"),
        ("wait_poll", "waiting.py"),
        ("wait_select", "waiting.py"),
    }
)


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples by call stack, outermost frame first.

    `waiting` counts samples that were dropped because the thread waited, `unread` those whose stack the profiler could not read.
    """

    stacks: Mapping[Stack, int]
    waiting: int = 0
    unread: int = 0

    @property
    def samples(self) -> int:
        """Number of samples in the stacks."""
        return sum(self.stacks.values())


@dataclass(frozen=True, slots=True)
class HotFunction:
    """Shares (0 to 1) of the samples in which a function was the innermost frame (`own`), or anywhere in the stack (`total`)."""

    function: str
    own: float
    total: float


@dataclass(frozen=True, slots=True)
class HotPath:
    """A path from the outermost frame to where the time divides: (function, share of all samples) a frame."""

    frames: tuple[tuple[str, float], ...]
    own: float

    @property
    def function(self) -> str:
        """The innermost function of the path."""
        return self.frames[-1][0]

    @property
    def share(self) -> float:
        """Share (0 to 1) of all samples that the whole path holds."""
        return self.frames[-1][1]


class Change(StrEnum):
    """What became of a function's own share."""

    NEW = "new"
    GONE = "gone"
    GROWN = "grown"
    SHRUNK = "shrunk"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function's own share (0 to 1) in two profiles. `noise` is the difference that counting alone explains."""

    function: str
    before: float
    after: float
    noise: float
    change: Change


def parse_collapsed(text: str, *, where: str) -> Profile:
    """The profile in `text`. Equal stacks are added up; an empty text is a profile of no samples.

    Stacks deeper than 400 frames are cut at their inner end. Raises ProfileError with the line of what is no stack.
    """
    if len(text) > MAX_CHARACTERS:
        raise ProfileError(
            101, where=where, what="the profile is too large", got=f"{len(text)} characters", fix="profile for a shorter time"
        )
    stacks: Counter[Stack] = Counter()
    unread = 0
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.rstrip("\r")
        if not stripped.strip():
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise ProfileError(
                102, where=f"{where} line {number}", what="not a collapsed stack", got=stripped, expected="frame;frame COUNT",
                fix="record it as raw (collapsed) stacks",
            )  # fmt: skip
        frames = tuple(_clean(frame) for frame in match["stack"].split(";") if frame.strip())
        if not frames:
            # A sample taken while the stack changed: there, but of nothing.
            unread += int(match["count"])
            continue
        stacks[frames if len(frames) <= MAX_DEPTH else (*frames[:MAX_DEPTH], CUT)] += int(match["count"])
        if len(stacks) > MAX_STACKS:
            raise ProfileError(104, where=where, what="too many different stacks", expected=f"at most {MAX_STACKS}", fix="lower the rate")
    return Profile({stack: count for stack, count in stacks.items() if count}, unread=unread)


def _clean(frame: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in frame.strip())
    return shown if len(shown) <= MAX_FRAME else shown[: MAX_FRAME - 1] + "…"


def collapsed(profile: Profile) -> str:
    """`profile` as collapsed stacks in a fixed order, so that equal profiles have equal bytes."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(profile.stacks.items()))


def normalise(profile: Profile) -> Profile:
    """`profile` made comparable: no line numbers, no thread or process frames, no samples of threads that waited."""
    stacks: Counter[Stack] = Counter()
    waiting = profile.waiting
    for stack, count in profile.stacks.items():
        frames = tuple(_function(frame) for frame in stack if not _CONTAINER.match(frame))
        if not frames or _waits(frames[-1]):
            waiting += count
        else:
            stacks[frames] += count
    return Profile(dict(stacks), waiting, profile.unread)


def _function(frame: str) -> str:
    place = _PLACE.match(frame)
    return f"{place['name']} ({place['file']})" if place else frame


def _waits(frame: str) -> bool:
    place = _PLACE.match(frame)
    return place is not None and (place["name"].rpartition(".")[2], place["file"].rpartition("/")[2]) in WAITS


def own_samples(profile: Profile) -> Counter[str]:
    """Samples by the function that was the innermost frame."""
    counts: Counter[str] = Counter()
    for stack, count in profile.stacks.items():
        counts[stack[-1]] += count
    return counts


def total_samples(profile: Profile) -> Counter[str]:
    """Samples by function that was anywhere in the stack; a recursive function counts once a sample."""
    counts: Counter[str] = Counter()
    for stack, count in profile.stacks.items():
        for frame in set(stack):
            counts[frame] += count
    return counts


def hot_functions(profile: Profile, *, limit: int = 20) -> tuple[HotFunction, ...]:
    """The `limit` functions with the largest own share, and the `limit` largest in which the time divides.

    The time divides in a function when no single callee holds 95 % of it. Functions that only pass the call on, and
    those that are in 95 % of all samples, would otherwise fill the list: they are the server's, not the work's.
    """
    samples = profile.samples
    if not samples:
        return ()
    own, total = own_samples(profile), total_samples(profile)
    heaviest = _heaviest_callee(profile)
    dividing = [f for f in total if heaviest[f] < 0.95 * total[f] and total[f] < 0.95 * samples]
    chosen = set(sorted(own, key=lambda f: (-own[f], f))[:limit]) | set(sorted(dividing, key=lambda f: (-total[f], f))[:limit])
    ranked = sorted(chosen, key=lambda f: (-own[f], -total[f], f))
    return tuple(HotFunction(f, own[f] / samples, total[f] / samples) for f in ranked)


def _heaviest_callee(profile: Profile) -> Counter[str]:
    edges: Counter[tuple[str, str]] = Counter()
    for stack, count in profile.stacks.items():
        for edge in set(itertools.pairwise(stack)):
            if edge[0] != edge[1]:
                edges[edge] += count
    heaviest: Counter[str] = Counter()
    for (caller, _), count in edges.items():
        heaviest[caller] = max(heaviest[caller], count)
    return heaviest


def hot_paths(profile: Profile, *, share: float) -> tuple[HotPath, ...]:
    """The paths whose every frame holds at least `share` (0 to 1) of all samples while no callee of the last does.

    The largest first. A path that ends in nearly all samples is a flat profile: its time divides into small parts.
    """
    if not profile.samples:
        return ()
    found: list[HotPath] = []
    waiting: list[tuple[tuple[tuple[str, float], ...], dict[Stack, int]]] = [((), dict(profile.stacks))]
    while waiting:
        path, inside = waiting.pop()
        callees: dict[str, dict[Stack, int]] = {}
        for stack, count in inside.items():
            if len(stack) > len(path):
                callees.setdefault(stack[len(path)], {})[stack] = count
        large = {name: part for name, part in callees.items() if sum(part.values()) >= share * profile.samples}
        for name, part in large.items():
            waiting.append(((*path, (name, sum(part.values()) / profile.samples)), part))
        if path and not large:
            own = sum(count for stack, count in inside.items() if len(stack) == len(path))
            found.append(HotPath(path, own / profile.samples))
    return tuple(sorted(found, key=lambda p: (-p.share, [name for name, _ in p.frames])))


def compare(before: Profile, after: Profile, *, least: float = 0.005) -> tuple[FunctionChange, ...]:
    """What became of each function's own share, the largest change first.

    A change counts when it exceeds both `least` and three standard errors of the difference of the two shares
    (sqrt(p(1-p)/n) each); below that the two profiles do not differ. Raises ProfileError if one of them has no samples.
    """
    for name, profile in (("before", before), ("after", after)):
        if not profile.samples:
            raise ProfileError(105, where=f"profile {name}", what="no samples to compare", fix="profile the service under load")
    own_before, own_after = own_samples(before), own_samples(after)
    changes = []
    for function in own_before.keys() | own_after.keys():
        x, y = own_before[function] / before.samples, own_after[function] / after.samples
        noise = 3 * math.sqrt(x * (1 - x) / before.samples + y * (1 - y) / after.samples)
        changes.append(FunctionChange(function, x, y, noise, _change(x, y, max(least, noise))))
    return tuple(sorted(changes, key=lambda c: (-abs(c.after - c.before), c.function)))


def _change(before: float, after: float, bound: float) -> Change:
    if abs(after - before) <= bound:
        return Change.UNCHANGED
    if not before:
        return Change.NEW
    if not after:
        return Change.GONE
    return Change.GROWN if after > before else Change.SHRUNK
