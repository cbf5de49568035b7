"""Strict readers: a typing slip is an error that names its place, never another value."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from perfproof.errors import ArtifactError, ConfigError
from perfproof.strict import build, read_json, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("a: no", "no"), ("a: 012", "012"), ("a: 1:30", "1:30"), ("a: 2025-01-01", "2025-01-01"), ("a: .nan", ".nan"), ("a: true", True),
     ("a: 1.5e3", 1500.0), ("a: 7", 7), ("a: null", None), ("a: 0x1F", "0x1F")],
)  # fmt: skip
def test_yaml_values_are_what_people_read(text: str, value: object) -> None:
    """Spellings of YAML 1.1 that mean something else than they look like stay text."""
    assert read_yaml(text.encode(), where="f") == {"a": value}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"- a", "not a mapping"),
        (b"a: 1\na: 2", "duplicate key"),
        (b"a:\n  b: 1\n  b: 2", "duplicate key"),
        (b"a:\n\tb: 1", "invalid YAML"),
        (b"a: !!python/object:os.system x", "tags are not allowed"),
        (b"a: !!float .nan", "tags are not allowed"),
        (b"a: &x 1\nb: *x", "anchors and aliases"),
        (b'"a#": &1 [x]\n"b": *1', "anchors and aliases"),
        (b"a: " + b"[" * 33, "levels"),
        (b"a: " + b"9" * 401, "too many digits"),
        (b'a: "\\e[31m"', "a control character"),
        (b'a: "\\ud800"', "a control character"),
        (b'a: "\\UFFFFFFFF"', "invalid YAML"),
        (b"1: 2", "not text"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a: " + b"x" * (1 << 20), "too large"),
    ],
)
def test_bad_yaml_is_one_clear_line(data: bytes, words: str) -> None:
    """Each refusal is one line that starts with its code and names the file."""
    with pytest.raises(ConfigError) as caught:
        read_yaml(data, where="protocol.yaml")
    line = str(caught.value)
    assert words in line and line.startswith("CFG-1") and "protocol.yaml" in line and "\n" not in line


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', r'{"a": "\ud800"}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', '{"a": 9007199254740993}', "{", "[" * 100000],
)
def test_bad_json_is_refused(text: str) -> None:
    """Duplicate keys, non-numbers, overflow, huge integers, truncation and depth."""
    with pytest.raises(ArtifactError, match="ART-111"):
        read_json(text.encode(), where="f.json")


@pytest.mark.parametrize("text", ["a:\n" + "\n".join(f" k{i}: 1" for i in range(60_000)), "\n".join(" " * i + "a:" for i in range(1400))])
def test_yaml_made_to_keep_the_reader_busy_is_refused_in_time(text: str) -> None:
    """Work grows with the size of a file, and is bounded."""
    began = time.monotonic()
    with pytest.raises(ConfigError, match="CFG-107"):
        read_yaml(text.encode(), where="f")
    assert time.monotonic() - began < 10


@dataclass(frozen=True, slots=True)
class Shape:
    """Something to build."""

    count: int
    share: float
    name: str


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": "7"}, "Shape.count: wrong type (got the text 7, expected a whole number)"),
        ({"count": 7.0}, "got 7.0, expected a whole number"),
        ({"count": True}, "got true"),
        ({"count": 2**53}, "expected at most 2^53-1"),
        ({"share": 10**400}, "expected at most 2^53-1"),
        ({"share": float("inf")}, "expected a finite number"),
        ({"share": None}, "got null"),
        ({"name": ""}, None),
        ({"name": []}, "got an empty list, expected text"),
        ({"more": 1}, "Shape.more: unknown key"),
    ],
)
def test_a_value_of_another_type_is_told_from_what_looks_like_it(changes: dict[str, object], words: str | None) -> None:
    """`7` and the text 7 are two things, and the error says which one it got."""
    document = {"count": 7, "share": 1, "name": "a", **changes}
    if words is None:
        assert build(Shape, document, where="Shape").share == 1.0
        return
    with pytest.raises(ConfigError) as caught:
        build(Shape, document, where="Shape")
    assert words in str(caught.value)


def test_an_error_stays_a_line_that_people_read() -> None:
    """200 characters a part, 600 altogether, and what cannot be printed as an escape."""
    long = "\x1b" * 5000
    line = str(ConfigError(1, where=long, what=long, got=long, expected=long, fix=long))
    assert len(line) <= 600 and line.isprintable() and line.startswith("CFG-001 ") and ". Fix: " in line
    assert "…" in str(ConfigError(1, where="f", what="bad", got="x" * 201, fix="mend it"))
    assert "…" not in str(ConfigError(1, where="f", what="bad", got="x" * 200, fix="mend it"))
