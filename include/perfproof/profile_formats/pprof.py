"""pprof profiles (profile.proto), as Go's runtime/pprof and the /debug/pprof endpoints write them: CPU, heap and others.

Source: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from perfproof.errors import ProfileError
from perfproof.profile_formats.stacks import MAX_DEPTH, Stacks, clean_frame
from perfproof.profile_formats.wire import VARINT, Message, signed
from perfproof.profiles import Profile, Weight

MAX_RECORDS = 200_000
MAX_STRINGS = 1_000_000
MAX_VALUES = 32
UNITS = {
    "count": (Weight.OBJECTS, 1), "objects": (Weight.OBJECTS, 1), "bytes": (Weight.BYTES, 1), "kilobytes": (Weight.BYTES, 1 << 10),
    "megabytes": (Weight.BYTES, 1 << 20), "nanoseconds": (Weight.NANOSECONDS, 1), "microseconds": (Weight.NANOSECONDS, 10**3),
    "milliseconds": (Weight.NANOSECONDS, 10**6), "seconds": (Weight.NANOSECONDS, 10**9),
}  # fmt: skip
SAMPLES = ("samples", "count")
# Numbers of the fields of Profile.
SAMPLE_TYPE, SAMPLE, LOCATION, FUNCTION, STRING, DURATION, PERIOD_TYPE, PERIOD, DEFAULT_TYPE = 1, 2, 4, 5, 6, 10, 11, 12, 14
LISTED = (SAMPLE_TYPE, SAMPLE, LOCATION, FUNCTION, STRING)


@dataclass(frozen=True, slots=True)
class Pprof:
    """A profile by one of its values. `seconds` is how long it was recorded, `rate_hz` how often a CPU was looked at; 0 if not told."""

    profile: Profile
    value: str
    values: tuple[str, ...]
    seconds: float
    rate_hz: float


@dataclass(slots=True)
class _Parts:
    """The parts of a file before they are resolved: fields may come in any order."""

    listed: dict[int, list[Message]] = field(default_factory=lambda: {number: [] for number in LISTED})
    strings: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    period_type: Message | None = None


def read_pprof(data: bytes, *, where: str, value: str | None = None) -> Pprof:
    """The profile in `data` (not compressed) by `value`, such as inuse_space or alloc_space.

    Without `value`: samples, where they are counted, else the file's own default, else its last value, which is how pprof
    itself chooses. Inlined functions are frames of their own. Raises ProfileError.
    """
    parts = _parts(Message(data, 0, len(data), where))
    if not parts.strings or parts.strings[0]:
        raise _refused(where, "no pprof profile: its table of texts does not begin with the empty one")
    kinds = [_value_type(message, parts, where) for message in parts.listed[SAMPLE_TYPE]]
    if not 0 < len(kinds) <= MAX_VALUES:
        raise _refused(where, "no pprof profile: it does not say what it counts", got=f"{len(kinds)} values")
    chosen = _choose(kinds, _string(parts, parts.numbers.get(DEFAULT_TYPE, 0), where), value, where)
    weight, factor = (Weight.SAMPLES, 1) if kinds[chosen] == SAMPLES else _unit(kinds[chosen], where)
    functions = dict(_function(m, parts, where) for m in parts.listed[FUNCTION])
    locations = dict(_location(m, functions, where) for m in parts.listed[LOCATION])
    counted = kinds.index(SAMPLES) if SAMPLES in kinds else None
    stacks, observed = Stacks(where=where), 0
    for message in parts.listed[SAMPLE]:
        frames, values = _sample(message, locations, len(kinds), where)
        stacks.add(frames, values[chosen] * factor)
        observed += values[counted] if counted is not None else 0
    rate = 0.0
    period = parts.numbers.get(PERIOD, 0)
    if parts.period_type is not None and period > 0:
        of, unit = _value_type(parts.period_type, parts, where)
        rate = 1e9 / (period * UNITS[unit][1]) if of in ("cpu", "wall") and unit in UNITS else 0.0
    profile = stacks.profile(weight=weight, observed=0.0 if weight is Weight.SAMPLES else float(observed))
    seconds = max(0, parts.numbers.get(DURATION, 0)) / 1e9
    return Pprof(profile, kinds[chosen][0], tuple(name for name, _ in kinds), seconds, rate)


def _parts(message: Message) -> _Parts:
    parts = _Parts()
    for found in message.fields():
        if found.number == STRING:
            parts.strings.append(message.text(found))
            if len(parts.strings) > MAX_STRINGS:
                raise _refused(message.where, "too many texts", expected=f"at most {MAX_STRINGS}")
        elif found.number in LISTED:
            records = parts.listed[found.number]
            records.append(message.inner(found))
            if len(records) > MAX_RECORDS:
                raise _refused(message.where, "too many samples, locations or functions", expected=f"at most {MAX_RECORDS} each")
        elif found.number == PERIOD_TYPE:
            parts.period_type = message.inner(found)
        elif found.number in (DURATION, PERIOD, DEFAULT_TYPE):
            parts.numbers[found.number] = signed(message.number(found))
    return parts


def _numbers(message: Message) -> dict[int, int]:
    """The single numbers of a small message by field."""
    return {found.number: found.value for found in message.fields() if found.wire == VARINT}


def _string(parts: _Parts, index: int, where: str) -> str:
    if not 0 <= index < len(parts.strings):
        raise _refused(where, "names a text that is not in it", got=index, expected=f"0 to {len(parts.strings) - 1}")
    return parts.strings[index]


def _value_type(message: Message, parts: _Parts, where: str) -> tuple[str, str]:
    numbers = _numbers(message)
    return _string(parts, numbers.get(1, 0), where), _string(parts, numbers.get(2, 0), where)


def _choose(kinds: list[tuple[str, str]], default: str, wanted: str | None, where: str) -> int:
    names = [name for name, _ in kinds]
    if wanted is not None:
        if wanted not in names:
            raise ProfileError(
                224, where=where, what="holds no such value", got=wanted, expected=", ".join(map(clean_frame, names)), fix="choose one"
            )
        return names.index(wanted)
    if SAMPLES in kinds:
        return kinds.index(SAMPLES)
    return names.index(default) if default in names else len(names) - 1


def _unit(kind: tuple[str, str], where: str) -> tuple[Weight, int]:
    if kind[1] not in UNITS:
        raise ProfileError(
            225, where=where, what=f"the value {kind[0]} has an unknown unit", got=kind[1], expected=", ".join(UNITS),
            fix="choose another value",
        )  # fmt: skip
    return UNITS[kind[1]]


def _function(message: Message, parts: _Parts, where: str) -> tuple[int, str]:
    numbers = _numbers(message)
    name = _string(parts, numbers.get(2, 0), where) or _string(parts, numbers.get(3, 0), where)
    return numbers.get(1, 0), clean_frame(name)


def _location(message: Message, functions: dict[int, str], where: str) -> tuple[int, tuple[str, ...]]:
    """A location's id and its frames, outermost first; an address where no function is known."""
    numbers = _numbers(message)
    frames: list[str] = []
    for found in message.fields():
        if found.number == 4:
            function = _numbers(message.inner(found)).get(1, 0)
            if function not in functions:
                raise _refused(where, "names a function that is not in it", got=function)
            frames.append(functions[function])
    # The first line is the innermost of what was inlined.
    return numbers.get(1, 0), tuple(reversed(frames[:MAX_DEPTH])) or (f"[0x{numbers.get(3, 0):x}]",)


def _sample(message: Message, locations: dict[int, tuple[str, ...]], kinds: int, where: str) -> tuple[list[str], list[int]]:
    ids: list[int] = []
    values: list[int] = []
    for found in message.fields():
        if found.number in (1, 2):
            (ids if found.number == 1 else values).extend(message.numbers(found))
    if len(values) != kinds:
        raise _refused(where, "a sample that has not each value", got=len(values), expected=kinds)
    frames: list[str] = []
    # The innermost comes first in the file. Beyond the depth that is kept nothing needs to be looked at.
    for number in reversed(ids):
        if number not in locations:
            raise _refused(where, "names a location that is not in it", got=number)
        frames.extend(locations[number])
        if len(frames) > MAX_DEPTH:
            break
    return frames or ["[no stack]"], [signed(value) for value in values]


def _refused(where: str, what: str, *, got: object = None, expected: object = None) -> ProfileError:
    return ProfileError(222, where=where, what=what, got=got, expected=expected, fix="record or download it again")
