"""What a profile says: which functions the time or the memory went to, and along which path.

One form for every profiler: call stacks with whole weights. `perfproof.profile_formats` reads files into it, and
`perfproof.profile_comparison` says what a change moved.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import ProfileError

Stack = tuple[str, ...]

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


class Weight(StrEnum):
    """What the weights of a profile count."""

    SAMPLES = "samples"
    NANOSECONDS = "nanoseconds"
    BYTES = "bytes"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Profile:
    """Weights by call stack, outermost frame first.

    `waiting` is the weight that was dropped because the thread waited, `unread` counts samples whose stack the profiler could not
    read. `observed` is how many samples stand behind weights that are no samples, 0 where that is not known.
    """

    stacks: Mapping[Stack, int]
    waiting: int = 0
    unread: int = 0
    weight: Weight = Weight.SAMPLES
    observed: float = 0.0

    @property
    def total(self) -> int:
        """The sum of the weights."""
        return sum(self.stacks.values())

    @property
    def samples(self) -> int:
        """Number of samples behind the weights, 0 where that is not known."""
        return self.total if self.weight is Weight.SAMPLES else round(self.observed)

    @property
    def amount(self) -> str:
        """The sum of the weights in words."""
        total = self.total
        if self.weight is Weight.NANOSECONDS:
            return f"{total / 1e9:.4g} s"
        return f"{total / 2**20:.4g} MiB" if self.weight is Weight.BYTES else f"{total} {self.weight.value}"


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


def normalise(profile: Profile) -> Profile:
    """`profile` made comparable: no line numbers, no thread or process frames, no samples of threads that waited."""
    stacks: Counter[Stack] = Counter()
    dropped = 0
    for stack, count in profile.stacks.items():
        frames = tuple(_function(frame) for frame in stack if not _CONTAINER.match(frame))
        if not frames or _waits(frames[-1]):
            dropped += count
        else:
            stacks[frames] += count
    kept = sum(stacks.values())
    observed = profile.observed * kept / (kept + dropped) if kept else 0.0
    return Profile(dict(stacks), profile.waiting + dropped, profile.unread, profile.weight, observed)


def _function(frame: str) -> str:
    place = _PLACE.match(frame)
    return f"{place['name']} ({place['file']})" if place else frame


def _waits(frame: str) -> bool:
    place = _PLACE.match(frame)
    return place is not None and (place["name"].rpartition(".")[2], place["file"].rpartition("/")[2]) in WAITS


def merge(profiles: Iterable[Profile], *, where: str) -> Profile:
    """All `profiles` as one: weights are added up. Raises ProfileError if they count different things, or if there are none."""
    given = list(profiles)
    kinds = sorted({profile.weight.value for profile in given})
    if len(kinds) != 1:
        raise ProfileError(
            103, where=where, what="profiles that do not count the same", got=", ".join(kinds) or "no profile",
            expected="one kind of weight", fix="give profiles of one kind",
        )  # fmt: skip
    stacks: Counter[Stack] = Counter()
    for profile in given:
        stacks.update(profile.stacks)
    waiting, unread = sum(p.waiting for p in given), sum(p.unread for p in given)
    # One profile of unknown sampling makes that of the whole unknown.
    observed = sum(p.observed for p in given) if all(p.observed for p in given) else 0.0
    return Profile(dict(stacks), waiting, unread, given[0].weight, observed)


def own_weights(profile: Profile) -> Counter[str]:
    """Weight by the function that was the innermost frame."""
    counts: Counter[str] = Counter()
    for stack, count in profile.stacks.items():
        counts[stack[-1]] += count
    return counts


def total_weights(profile: Profile) -> Counter[str]:
    """Weight by function that was anywhere in the stack; a recursive function counts once a sample."""
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
    whole = profile.total
    if not whole:
        return ()
    own, total = own_weights(profile), total_weights(profile)
    heaviest = _heaviest_callee(profile)
    dividing = [f for f in total if heaviest[f] < 0.95 * total[f] and total[f] < 0.95 * whole]
    chosen = set(sorted(own, key=lambda f: (-own[f], f))[:limit]) | set(sorted(dividing, key=lambda f: (-total[f], f))[:limit])
    ranked = sorted(chosen, key=lambda f: (-own[f], -total[f], f))
    return tuple(HotFunction(f, own[f] / whole, total[f] / whole) for f in ranked)


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
    whole = profile.total
    if not whole:
        return ()
    found: list[HotPath] = []
    waiting: list[tuple[tuple[tuple[str, float], ...], dict[Stack, int]]] = [((), dict(profile.stacks))]
    while waiting:
        path, inside = waiting.pop()
        callees: dict[str, dict[Stack, int]] = {}
        for stack, count in inside.items():
            if len(stack) > len(path):
                callees.setdefault(stack[len(path)], {})[stack] = count
        large = {name: part for name, part in callees.items() if sum(part.values()) >= share * whole}
        for name, part in large.items():
            waiting.append(((*path, (name, sum(part.values()) / whole)), part))
        if path and not large:
            own = sum(count for stack, count in inside.items() if len(stack) == len(path))
            found.append(HotPath(path, own / whole))
    return tuple(sorted(found, key=lambda p: (-p.share, [name for name, _ in p.frames])))
