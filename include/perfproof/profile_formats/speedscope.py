"""Profiles in speedscope's JSON, sampled and evented, as py-spy and many converters write them.

Source: github.com/jlfwong/speedscope, "Importing from custom sources" and its JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.profile_formats.json_values import finite, listing, mapping, refused, text, whole
from perfproof.profile_formats.stacks import MAX_DEPTH, Stacks, clean_frame
from perfproof.profiles import Profile, Weight

MAX_PROFILES = 10_000
MAX_NESTED = 100_000
UNITS = {
    "none": (Weight.SAMPLES, 1), "bytes": (Weight.BYTES, 1), "nanoseconds": (Weight.NANOSECONDS, 1),
    "microseconds": (Weight.NANOSECONDS, 10**3), "milliseconds": (Weight.NANOSECONDS, 10**6), "seconds": (Weight.NANOSECONDS, 10**9),
}  # fmt: skip


def is_speedscope(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is meant as speedscope's."""
    return "shared" in document and "profiles" in document


def read_speedscope(document: Mapping[str, Any], *, where: str) -> Profile:
    """All profiles of a file (one a thread, usually) as one. Raises ProfileError for what is not whole or counts different things.

    Sampled weights of unequal size stand for (sum w)^2 / sum w^2 samples (L. Kish, "Survey Sampling" (1965), 11.7); evented
    profiles are no samples at all, so nothing is known about their sampling error.
    """
    shared = mapping(document["shared"], f"{where} shared")
    frames = [_frame(frame, f"{where} frame {index}") for index, frame in enumerate(listing(shared.get("frames"), f"{where} frames"))]
    profiles = listing(document["profiles"], f"{where} profiles")
    if not 0 < len(profiles) <= MAX_PROFILES:
        raise refused(f"{where} profiles", "no profile, or too many", got=len(profiles), expected=f"1 to {MAX_PROFILES}")
    stacks, units, linear, squares, sampled = Stacks(where=where), set(), 0, 0, True
    for index, given in enumerate(profiles):
        place = f"{where} profile {index}"
        one = mapping(given, place)
        unit, kind = text(one.get("unit"), f"{place} unit"), text(one.get("type"), f"{place} type")
        units.add(unit)
        if unit not in UNITS or len(units) > 1:
            raise refused(f"{place} unit", "unknown, or not that of the other profiles", got=unit, expected="one of " + ", ".join(UNITS))
        if kind == "sampled":
            added = _sampled(one, frames, stacks, unit, place)
            linear, squares = linear + added[0], squares + added[1]
        elif kind == "evented":
            _evented(one, frames, stacks, unit, place)
            sampled = False
        else:
            raise refused(f"{place} type", "unknown", got=kind, expected="sampled or evented")
    weight = UNITS[units.pop()][0]
    if weight is Weight.SAMPLES and not sampled:
        weight = Weight.OBJECTS
    observed = linear * linear / squares if sampled and squares and weight is not Weight.SAMPLES else 0.0
    return stacks.profile(weight=weight, observed=observed)


def _frame(value: Any, where: str) -> str:
    """A frame as py-spy's collapsed stacks name it, so that both kinds of file can be compared."""
    frame = mapping(value, where)
    name, file, line = text(frame.get("name"), f"{where} name"), frame.get("file"), frame.get("line")
    if file is None:
        return clean_frame(name)
    place = text(file, f"{where} file")
    return clean_frame(f"{name} ({place}:{whole(line, f'{where} line')})" if line is not None else f"{name} ({place})")


def _weight(value: Any, unit: str, where: str) -> int:
    number = finite(value, where)
    weight = round(number * UNITS[unit][1])
    if number < 0 or (unit == "none" and weight != number):
        raise refused(where, "not a weight", got=value, expected="0 or more, and whole without a unit")
    return weight


def _sampled(profile: Mapping[str, Any], frames: list[str], stacks: Stacks, unit: str, where: str) -> tuple[int, int]:
    """Adds the samples; the sums of the weights and of their squares."""
    samples, weights = listing(profile.get("samples"), f"{where} samples"), listing(profile.get("weights"), f"{where} weights")
    if len(samples) != len(weights):
        raise refused(where, "samples and weights are not as many", got=f"{len(samples)} and {len(weights)}")
    linear = squares = 0
    for index, (sample, given) in enumerate(zip(samples, weights, strict=True)):
        place = f"{where} sample {index}"
        weight = _weight(given, unit, place)
        indices = [whole(frame, place, below=len(frames)) for frame in listing(sample, place)]
        # An empty stack is a moment in which nothing ran.
        if indices:
            stacks.add([frames[i] for i in indices], weight)
            linear, squares = linear + weight, squares + weight * weight
    return linear, squares


def _evented(profile: Mapping[str, Any], frames: list[str], stacks: Stacks, unit: str, where: str) -> None:
    """Adds the time between two events to the stack that was open; frames open and close like parentheses."""
    opened: list[int] = []
    last = finite(profile.get("startValue"), f"{where} startValue")
    for index, given in enumerate(listing(profile.get("events"), f"{where} events")):
        place = f"{where} event {index}"
        event = mapping(given, place)
        at, frame = finite(event.get("at"), f"{place} at"), whole(event.get("frame"), f"{place} frame", below=len(frames))
        if at < last:
            raise refused(place, "goes back in time", got=at, expected=f"{last:g} or later")
        if opened:
            stacks.add([frames[i] for i in opened[: MAX_DEPTH + 1]], _weight(at - last, unit, place))
        last = at
        kind = event.get("type")
        if kind == "O" and len(opened) < MAX_NESTED:
            opened.append(frame)
        elif kind == "C" and opened and opened[-1] == frame:
            opened.pop()
        else:
            raise refused(place, "frames do not open and close in order", got=kind, expected="C of the innermost frame, or O")
    if opened:
        raise refused(f"{where} events", "frames that are never closed", got=len(opened), expected=0)
