"""Canonical bytes: the quick way gives what rfc8785 gives, or leaves it to rfc8785."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from perfproof.evidence.canonical import LARGEST_INTEGER, canonical_bytes

SCALARS = st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.text() | st.floats(-1e15, 1e15)
KEYS = st.text() | st.sampled_from(["a", "A", "_", "\u20ac", "\U0001f600", "\ufb33", "\x7f", "\x00", '"', "\\"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=40)


class Word(StrEnum):
    """A text that is not only a text."""

    ONE = "one"


def outcome(make: Any, value: Any) -> Any:
    """The bytes, or the class of the error."""
    try:
        return make(value)
    except Exception as error:
        return type(error)


@given(VALUES)
def test_the_bytes_are_those_of_the_library(value: Any) -> None:
    """For whatever JSON can hold: order of keys, escapes, numbers."""
    assert outcome(canonical_bytes, value) == outcome(rfc8785.dumps, value)


@pytest.mark.parametrize(
    "value",
    [
        {"\U0001f600": 1, "\ufb33": 2, "a": 3}, {"x": LARGEST_INTEGER + 1}, {"x": -LARGEST_INTEGER - 1}, {"x": "\ud800"}, {"\ud800": 1},
        {"x": float("nan")}, {"x": float("inf")}, {"x": 1e17}, {"x": -0.0}, {"x": b"bytes"}, {"x": {1: 2}}, {"x": {1, 2}}, {"x": (1, "2")},
        {"x": Word.ONE}, {Word.ONE: 1}, {"x": True, "y": 1}, {}, [], "", 0, None, {"\x1f\b\f\n\r\t": "\x1f\b\f\n\r\t\u2028/"},
    ],
)  # fmt: skip
def test_the_edges_are_those_of_the_library(value: Any) -> None:
    """Also what it refuses."""
    assert outcome(canonical_bytes, value) == outcome(rfc8785.dumps, value)


def test_what_never_ends_is_an_error() -> None:
    """A value that holds itself, and one that is nested without end."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(RecursionError):
            canonical_bytes(value)
