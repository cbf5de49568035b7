"""Strict readers: a typing slip is an error that names its place, never another value."""

from __future__ import annotations

import pytest

from perfproof.errors import ArtifactError, ConfigError
from perfproof.strict import read_json, read_yaml


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
        (b"a: !!python/object:os.system x", "invalid YAML"),
        (b"a: &x 1\nb: *x", "anchors and aliases"),
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
    "text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": Infinity}', '{"a": 1e999}', '{"a": 9007199254740993}', "{", "[" * 100000]
)
def test_bad_json_is_refused(text: str) -> None:
    """Duplicate keys, non-numbers, overflow, huge integers, truncation and depth."""
    with pytest.raises(ArtifactError, match="ART-111"):
        read_json(text.encode(), where="f.json")
