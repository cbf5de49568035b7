"""pprof: real files of a Go service agree with Go's own tool and with the protobuf library; hostile ones are one error each."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats.content import read_profile
from perfproof.profile_formats.pprof import read_pprof
from perfproof.profiles import Weight, own_weights, total_weights

FIXTURES = Path(__file__).parents[3] / "fixtures" / "profiles"
FIELDS = {
    "ValueType": [("type", 1, "int64"), ("unit", 2, "int64")],
    "Sample": [("location_id", 1, "uint64*"), ("value", 2, "int64*")],
    "Line": [("function_id", 1, "uint64"), ("line", 2, "int64")],
    "Location": [("id", 1, "uint64"), ("address", 3, "uint64"), ("line", 4, "Line*")],
    "Function": [("id", 1, "uint64"), ("name", 2, "int64"), ("system_name", 3, "int64"), ("filename", 4, "int64")],
    "Profile": [
        ("sample_type", 1, "ValueType*"), ("sample", 2, "Sample*"), ("location", 4, "Location*"), ("function", 5, "Function*"),
        ("string_table", 6, "string*"), ("duration_nanos", 10, "int64"), ("period_type", 11, "ValueType"), ("period", 12, "int64"),
        ("default_sample_type", 14, "int64"),
    ],
}  # fmt: skip


@cache
def message(name: str) -> Any:
    """The protobuf library's class of a message of profile.proto: the writer and the oracle of these tests."""
    descriptors = pytest.importorskip("google.protobuf.descriptor_pb2", reason="protobuf is not installed")
    descriptor_pool, message_factory = (import_module(f"google.protobuf.{name}") for name in ("descriptor_pool", "message_factory"))
    file = descriptors.FileDescriptorProto(name="profile.proto", package="p", syntax="proto3")
    kinds = {"int64": 3, "uint64": 4, "string": 9}
    for title, fields in FIELDS.items():
        described = file.message_type.add(name=title)
        for field, number, kind in fields:
            bare = kind.rstrip("*")
            added = described.field.add(name=field, number=number, label=3 if kind != bare else 1, type=kinds.get(bare, 11))
            if bare not in kinds:
                added.type_name = f".p.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p.{name}"))


def made(*, kinds: tuple[tuple[str, str], ...] = (("samples", "count"), ("cpu", "nanoseconds"))) -> Any:
    """main calls work (with inlined leaf): 3 samples in leaf, 1 in main."""
    profile = message("Profile")()
    texts = ["", "main", "work", "leaf", *[text for kind in kinds for text in kind]]
    profile.string_table.extend(texts)
    for index in range(len(kinds)):
        profile.sample_type.add(type=4 + 2 * index, unit=5 + 2 * index)
    for number, name in enumerate(("main", "work", "leaf"), start=1):
        profile.function.add(id=number, name=texts.index(name))
    profile.location.add(id=1).line.add(function_id=1)
    inlined = profile.location.add(id=2)
    inlined.line.add(function_id=3)
    inlined.line.add(function_id=2)
    profile.sample.add(location_id=[2, 1], value=[3, 30_000_000][: len(kinds)])
    profile.sample.add(location_id=[1], value=[1, 10_000_000][: len(kinds)])
    return profile


def read(profile: Any, value: str | None = None) -> Any:
    return read_pprof(profile.SerializeToString(), where="test", value=value)


def test_inlined_functions_are_frames_and_the_outermost_comes_first() -> None:
    """The file has the innermost first, both in a stack and in a location."""
    assert read(made()).profile.stacks == {("main", "work", "leaf"): 3, ("main",): 1}


def test_samples_are_preferred_and_every_value_can_be_chosen() -> None:
    """Samples have a sampling error; seconds keep how many samples they stand for."""
    assert read(made()).profile.weight is Weight.SAMPLES
    seconds = read(made(), "cpu").profile
    assert (seconds.weight, seconds.total, seconds.samples) == (Weight.NANOSECONDS, 40_000_000, 4)
    with pytest.raises(ProfileError, match=r"PRO-224.*samples, cpu"):
        read(made(), "inuse_space")


def test_without_samples_the_default_of_the_file_counts_else_its_last_value() -> None:
    """As pprof itself chooses."""
    heap = made(kinds=(("alloc_space", "bytes"), ("inuse_space", "bytes")))
    assert (read(heap).value, read(heap).profile.weight) == ("inuse_space", Weight.BYTES)
    heap.default_sample_type = 4
    assert read(heap).value == "alloc_space"
    assert read(heap).profile.samples == 0


def test_duration_and_rate_are_read() -> None:
    """A period of 10 ms of cpu is 100 Hz."""
    profile = made()
    profile.duration_nanos, profile.period = 5_000_000_000, 10_000_000
    profile.period_type.type, profile.period_type.unit = 6, 7
    assert (read(profile).seconds, read(profile).rate_hz) == (5.0, 100.0)


def test_a_location_without_a_function_is_its_address() -> None:
    """Stripped code is shown as such, not dropped."""
    profile = made()
    profile.location.add(id=3, address=0x4A)
    profile.sample.add(location_id=[3, 1], value=[5, 0])
    assert read(profile).profile.stacks["main", "[0x4a]"] == 5


def test_hostile_names_are_one_printable_line() -> None:
    """Line ends, separators and escapes of a name cannot make stacks of their own."""
    profile = made()
    profile.string_table[3] = "a;b 7\n<script>\x1b[2J" + "x" * 1000
    (name,) = {f for stack in read(profile).profile.stacks for f in stack} - {"main", "work"}
    assert name.startswith("a:b 7\\n<script>\\x1b[2J")
    assert len(name) <= 300


def damaged() -> list[tuple[str, Any, str]]:
    def with_(change: Any) -> Any:
        profile = made()
        change(profile)
        return profile.SerializeToString()

    return [
        ("negative", lambda: with_(lambda p: p.sample.add(location_id=[1], value=[-1, 0])), "PRO-106"),
        ("location", lambda: with_(lambda p: p.sample.add(location_id=[9], value=[1, 0])), "PRO-222"),
        ("function", lambda: with_(lambda p: p.location.add(id=7).line.add(function_id=9)), "PRO-222"),
        ("text", lambda: with_(lambda p: p.function.add(id=7, name=99)), "PRO-222"),
        ("values", lambda: with_(lambda p: p.sample.add(location_id=[1], value=[1])), "PRO-222"),
        ("no kinds", lambda: with_(lambda p: p.ClearField("sample_type")), "PRO-222"),
        ("unit", lambda: made(kinds=(("distance", "furlongs"),)).SerializeToString(), "PRO-225"),
        ("texts", lambda: with_(lambda p: p.string_table.__setitem__(0, "x")), "PRO-222"),
        ("empty", lambda: b"", "PRO-222"),
        ("type 7", lambda: b"\x0f\0", "PRO-221"),
        ("field 0", lambda: b"\x00\0", "PRO-221"),
        ("long number", lambda: b"\x50" + b"\xff" * 10 + b"\x01", "PRO-221"),
        ("beyond 64 bits", lambda: b"\x50" + b"\xff" * 9 + b"\x7f", "PRO-221"),
        ("wrong type", lambda: b"\x10\x01", "PRO-221"),
        ("messages without end", lambda: b"\x12\x00" * 300_000, "PRO-222"),
    ]


@pytest.mark.parametrize(("name", "content", "code"), damaged(), ids=[case[0] for case in damaged()])
def test_what_is_not_whole_is_one_error(name: str, content: Any, code: str) -> None:
    """Each damage has its line; nothing is guessed."""
    with pytest.raises(ProfileError, match=code) as raised:
        read_pprof(content(), where="test")
    assert "\n" not in str(raised.value), name


def test_no_cut_and_no_flipped_byte_gets_past_the_errors() -> None:
    """Whatever is done to the bytes, the answer is a profile of weights of 0 or more, or a ProfileError."""
    whole = made().SerializeToString()
    draw = random.Random(11)
    for _ in range(2000):
        content = bytearray(whole[: draw.randint(0, len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.randint(0, 3)):
            if content:
                content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            profile = read_pprof(bytes(content), where="test").profile
        except ProfileError:
            continue
        assert all(weight > 0 and stack for stack, weight in profile.stacks.items())


# What `go tool pprof -top` of Go 1.19 says about the same files: (file, value, function, own, with callees).
GO_SAYS = [
    ("go-cpu-before", "samples", "crypto/sha256.block", 90, 90),
    ("go-cpu-before", "samples", "crypto/sha256.(*digest).Write", 8, 107),
    ("go-cpu-before", "samples", "main.encode", 4, 126),
    ("go-cpu-before", "samples", "main.orders", 0, 151),
    ("go-cpu-after", "samples", "main.encode", 0, 20),
    ("go-cpu-after", "samples", "main.join", 3, 34),
]


@pytest.mark.parametrize(("file", "value", "function", "own", "total"), GO_SAYS)
def test_real_cpu_profiles_agree_with_gos_own_tool(file: str, value: str, function: str, own: int, total: int) -> None:
    """A Go service under load, read by both: the same counts to the sample."""
    profile = read_profile((FIXTURES / f"{file}.pb.gz").read_bytes(), where=file, value=value).profile
    assert (own_weights(profile)[function], total_weights(profile)[function]) == (own, total)


def test_a_real_heap_profile_agrees_with_gos_own_tool() -> None:
    """inuse_space is what is kept, alloc_space what was ever asked for."""
    data = (FIXTURES / "go-heap.pb.gz").read_bytes()
    kept = read_profile(data, where="heap")
    assert kept.values == ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
    assert own_weights(kept.profile)["main.remember"] / 1024 == pytest.approx(23420.66, abs=0.01)
    assert kept.profile.total / 1024 == pytest.approx(24444.87, abs=0.01)
    asked = read_profile(data, where="heap", value="alloc_space").profile
    assert total_weights(asked)["main.join"] / 2**20 == pytest.approx(220.42, abs=0.01)


@pytest.mark.parametrize("file", ["go-cpu-before", "go-cpu-after", "go-heap"])
def test_every_value_of_a_real_file_agrees_with_the_protobuf_library(file: str) -> None:
    """The same stacks and the same weights as a reader that builds all messages."""
    data = gzip.decompress((FIXTURES / f"{file}.pb.gz").read_bytes())
    whole = message("Profile").FromString(data)
    texts, functions = whole.string_table, {f.id: f for f in whole.function}
    locations = {location.id: location for location in whole.location}
    for index, kind in enumerate(whole.sample_type):
        slow: Counter[tuple[str, ...]] = Counter()
        for sample in whole.sample:
            frames = [texts[functions[line.function_id].name] for i in sample.location_id for line in locations[i].line]
            slow[tuple(reversed(frames))] += sample.value[index]
        read = read_pprof(data, where=file, value=texts[kind.type])
        assert read.profile.stacks == {stack: weight for stack, weight in slow.items() if weight}
