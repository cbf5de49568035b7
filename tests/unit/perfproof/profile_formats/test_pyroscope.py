"""Pyroscope's render JSON, made by hand to its documented form: no server was at hand."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats.content import Format, read_profile
from perfproof.profiles import Profile, Weight

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "flamebearer": {
        "names": ["total", "main", "work", "rest"],
        # main 0-10 with 2 of its own; below it work 2-6 and rest 8-10.
        "levels": [[0, 10, 0, 0], [0, 10, 4, 1], [2, 4, 4, 2, 2, 2, 2, 3]],
        "numTicks": 10,
        "maxSelf": 4,
    },
    "metadata": {"format": "single", "spyName": "gospy", "sampleRate": 100, "units": "samples", "name": "app"},
    "timeline": None,
}


def read(document: Any) -> Profile:
    imported = read_profile(json.dumps(document).encode(), where="test")
    assert imported.form is Format.PYROSCOPE
    return imported.profile


def changed(**values: Any) -> dict[str, Any]:
    """The document with other values, by key of the flame graph or of the metadata."""
    copied = copy.deepcopy(DOCUMENT)
    for key, value in values.items():
        copied["flamebearer" if key in copied["flamebearer"] else "metadata"][key] = value
    return copied


def test_bars_become_stacks() -> None:
    """Offsets count from the end of the bar before; each bar stands on the one that holds it."""
    assert read(DOCUMENT).stacks == {("main",): 4, ("main", "work"): 4, ("main", "rest"): 2}


def test_random_flame_graphs_come_back() -> None:
    """Profile to bars and back gives the same stacks."""
    draw = random.Random(9)
    for _ in range(30):
        stacks: dict[tuple[str, ...], int] = {}
        for _ in range(draw.randint(1, 25)):
            stacks[tuple(draw.choices("abc", k=draw.randint(1, 6)))] = draw.randint(1, 50)
        assert read(flamebearer(stacks)).stacks == stacks


def flamebearer(stacks: dict[tuple[str, ...], int]) -> dict[str, Any]:
    """The stacks as Pyroscope would draw them: own time left, callees right, by name."""
    names = ["total", "a", "b", "c"]
    levels: list[list[int]] = []
    ends: list[int] = []

    def put(prefix: tuple[str, ...], left: int) -> int:
        total = sum(weight for stack, weight in stacks.items() if stack[: len(prefix)] == prefix)
        depth = len(prefix)
        if depth == len(levels):
            levels.append([])
            ends.append(0)
        own = stacks.get(prefix, 0)
        levels[depth].extend([left - ends[depth], total, own, names.index(prefix[-1]) if prefix else 0])
        ends[depth] = left + total
        at = left + own
        for name in sorted({stack[depth] for stack in stacks if len(stack) > depth and stack[:depth] == prefix}):
            at += put((*prefix, name), at)
        return total

    ticks = put((), 0)
    return changed(names=names, levels=levels, numTicks=ticks)


def test_units_are_told_apart() -> None:
    """Newer servers send nanoseconds as samples at a rate of 10^9; memory is bytes or objects."""
    assert read(DOCUMENT).weight is Weight.SAMPLES
    nanoseconds = read(changed(sampleRate=10**9))
    assert (nanoseconds.weight, nanoseconds.samples) == (Weight.NANOSECONDS, 0)
    assert read(changed(units="bytes")).weight is Weight.BYTES
    assert read(changed(units="goroutines")).weight is Weight.OBJECTS


def test_the_difference_of_two_profiles_is_refused() -> None:
    """Its bars have seven numbers and are no profile."""
    with pytest.raises(ProfileError, match="PRO-232"):
        read(changed(format="double"))


@pytest.mark.parametrize(
    "document",
    [
        changed(levels=[[0, 10, 0, 0], [0, 10, 4, 1], [2, 9, 9, 2]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, 11, 1]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, 4, 9]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, 4]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, -4, 1]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, 4.5, 1]]),
        changed(levels=[[0, 10, 0, 0], [0, 10, 4, 1], [0, 7, 7, 2]]),
        changed(levels=[[0, 10, 0, 0], [0, 5, 5, 1]]),
        changed(levels=[[0, 9, 9, 0]]),
        changed(levels=[[0, 5, 5, 0, 0, 5, 5, 0]]),
        changed(levels=[]),
        changed(levels="x"),
        changed(levels=[5]),
        changed(names=["total", 5, "work", "rest"]),
        changed(numTicks=11),
        changed(numTicks="10"),
        changed(units="furlongs"),
        changed(units=None),
        changed(sampleRate=0),
        changed(sampleRate="100"),
        {"flamebearer": [], "metadata": DOCUMENT["metadata"]},
        {"flamebearer": DOCUMENT["flamebearer"]},
    ],
)
def test_what_is_not_whole_is_one_error(document: Any) -> None:
    """Bars outside of their caller, more time than there is, wrong types and unknown units."""
    with pytest.raises(ProfileError, match=r"PRO-211 test") as raised:
        read(document)
    assert "\n" not in str(raised.value)
