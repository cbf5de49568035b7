"""Flame graphs that Pyroscope's `/pyroscope/render` answers as JSON ("flamebearer").

Each level is a list of bars (offset from the end of the bar before, total, self, index of the name), level 0 is the sum of all.
Source: Grafana Pyroscope, HTTP API "Query profile data", and pkg/og/structs/flamebearer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfproof.errors import ProfileError
from perfproof.profile_formats.json_values import finite, listing, mapping, refused, text, whole
from perfproof.profile_formats.stacks import Stacks, clean_frame
from perfproof.profiles import Profile, Weight

NUMBERS = 4
MOST_HZ = 100_000
NANOSECONDS_HZ = 10**9
OTHER_UNITS = {
    "bytes": Weight.BYTES, "objects": Weight.OBJECTS, "goroutines": Weight.OBJECTS, "exceptions": Weight.OBJECTS,
    "lock_samples": Weight.OBJECTS, "lock_nanoseconds": Weight.NANOSECONDS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Bar:
    left: int
    right: int
    own: int
    name: int
    caller: _Bar | None

    def frames(self, names: list[str]) -> list[str]:
        """The stack, outermost first, without the sum of all."""
        found, bar = [], self
        while bar.caller is not None:
            found.append(names[bar.name])
            bar = bar.caller
        return found[::-1]


def is_flamebearer(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is meant as an answer of Pyroscope."""
    return "flamebearer" in document


def read_pyroscope(document: Mapping[str, Any], *, where: str) -> Profile:
    """The profile of an answer. Raises ProfileError for what is not whole, and for the difference of two profiles."""
    bearer, told = mapping(document["flamebearer"], f"{where} flamebearer"), mapping(document.get("metadata"), f"{where} metadata")
    if told.get("format") != "single":
        raise ProfileError(
            232, where=f"{where} metadata.format", what="not a single profile", got=told.get("format"), expected="single",
            fix="download each side of the difference by itself",
        )  # fmt: skip
    weight = _weight(told, f"{where} metadata")
    names = [clean_frame(text(name, f"{where} names[{i}]")) for i, name in enumerate(listing(bearer.get("names"), f"{where} names"))]
    ticks = whole(bearer.get("numTicks"), f"{where} numTicks")
    stacks = Stacks(where=where)
    level: list[_Bar] = []
    for depth, given in enumerate(listing(bearer.get("levels"), f"{where} levels")):
        place = f"{where} level {depth}"
        level = _level(listing(given, place), level, names, place, outermost=depth == 0)
        if depth == 0 and [(bar.left, bar.right) for bar in level] != [(0, ticks)]:
            raise refused(place, "not one bar of all ticks", expected=ticks)
        if depth == 0 and level[0].own:
            stacks.add(["[no stack]"], level[0].own)
        for bar in level if depth else ():
            if bar.own:
                stacks.add(bar.frames(names), bar.own)
    profile = stacks.profile(weight=weight)
    if profile.total != ticks:
        raise refused(where, "the bars do not add up to all ticks", got=profile.total, expected=ticks)
    return profile


def _weight(told: Mapping[str, Any], where: str) -> Weight:
    """What a tick is. Newer servers call nanoseconds of CPU samples at a rate of 10^9."""
    unit = text(told.get("units"), f"{where}.units")
    if unit in OTHER_UNITS:
        return OTHER_UNITS[unit]
    if unit not in ("samples", "trace_samples"):
        raise refused(f"{where}.units", "unknown", got=unit, expected=f"samples, {', '.join(OTHER_UNITS)}")
    rate = finite(told.get("sampleRate"), f"{where}.sampleRate")
    if rate != NANOSECONDS_HZ and not 0 < rate <= MOST_HZ:
        raise refused(f"{where}.sampleRate", "out of range", got=rate, expected=f"1 to {MOST_HZ}, or {NANOSECONDS_HZ} for nanoseconds")
    return Weight.NANOSECONDS if rate == NANOSECONDS_HZ else Weight.SAMPLES


def _level(numbers: list[Any], callers: list[_Bar], names: list[str], where: str, *, outermost: bool) -> list[_Bar]:
    """The bars of a level, each on the bar of the level below that holds it."""
    if len(numbers) % NUMBERS:
        raise refused(where, "not four numbers a bar", got=len(numbers))
    bars: list[_Bar] = []
    free = [caller.right - caller.left - caller.own for caller in callers]
    right = at = 0
    for index in range(0, len(numbers), NUMBERS):
        place = f"{where} bar {index // NUMBERS}"
        offset, total, own = (whole(number, place) for number in numbers[index : index + 3])
        name = whole(numbers[index + 3], place, below=len(names))
        left = right + offset
        right = left + total
        while at < len(callers) and callers[at].right <= left and (total or callers[at].right < left):
            at += 1
        inside = at < len(callers) and callers[at].left <= left and right <= callers[at].right
        if own > total or not (outermost or inside):
            raise refused(place, "does not lie on a bar of its caller", got=f"{left} to {right}, self {own}")
        if not outermost:
            free[at] -= total
            if free[at] < 0:
                raise refused(place, "its caller has not as much time", got=total)
        bars.append(_Bar(left, right, own, name, None if outermost else callers[at]))
    return bars
