"""Strict readers for what people and other systems supply: YAML, JSON, and mappings into dataclasses.

YAML and JSON readers are generous in ways that turn a typing slip into another value (the last of two equal keys wins,
`no` is False, `1:30` is 90, NaN is a number). Here each of those is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, Union

from perfproof.errors import ArtifactError, ConfigError, PerfproofError
from perfproof.strict_yaml import read_yaml as read_yaml

MAX_INTEGER = 2**53 - 1
Shape = TypeVar("Shape")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"duplicate key {key!r}")
        result[key] = value
    return result


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value


def _small_integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise ValueError(f"integer {text[:24]} is beyond 2^53-1")
    return int(text)


def read_json(data: bytes, *, where: str, limit: int = 16 << 20, error: type[PerfproofError] = ArtifactError, number: int = 111) -> Any:
    """The JSON value in `data`: duplicate keys, NaN, infinities, integers beyond 2^53-1 and halves of characters are errors."""
    if len(data) > limit:
        raise error(number, where=where, what="JSON is too large", got=f"{len(data)} bytes", expected=f"at most {limit}", fix="shorten it")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_small_integer,
        )
        if b"\\u" in data:
            # An escaped half of a character is no text that could be written again.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as problem:
        raise error(number, where=where, what="invalid JSON", got=str(problem), fix="correct the file") from None


def build(shape: type[Shape], value: Any, *, where: str, error: type[PerfproofError] = ConfigError) -> Shape:
    """`value` as the dataclass `shape`: unknown and missing keys, wrong types and unknown names are errors.

    A whole number is taken for a float; nothing else is converted.
    """
    return typing.cast(Shape, _build(shape, value, where, error))


def _build(shape: Any, value: Any, where: str, error: type[PerfproofError]) -> Any:
    origin = typing.get_origin(shape)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        inner = next(a for a in typing.get_args(shape) if a is not type(None))
        return _build(inner, value, where, error)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong_type(where, value, "a list", error)
        inner = typing.get_args(shape)[0]
        return tuple(_build(inner, item, f"{where}[{i}]", error) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong_type(where, value, "a mapping", error)
        inner = typing.get_args(shape)[1]
        return {key: _build(inner, item, f"{where}.{key}", error) for key, item in value.items()}
    if dataclasses.is_dataclass(shape):
        return _build_dataclass(typing.cast(type, shape), value, where, error)
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        names = [member.value for member in shape]
        if value not in names:
            raise error(122, where=where, what="unknown name", got=in_words(value), expected=" | ".join(names), fix="use one of these")
        return shape(value)
    return _scalar(shape, value, where, error)


def _scalar(shape: Any, value: Any, where: str, error: type[PerfproofError]) -> Any:
    if shape is Any:
        return value
    if type(value) is int and shape in (int, float) and abs(value) > MAX_INTEGER:
        raise _wrong_type(where, value, "at most 2^53-1", error)
    if shape is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong_type(where, value, "a finite number", error)
        return float(value)
    if type(value) is not shape:
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise _wrong_type(where, value, names.get(shape, str(shape)), error)
    return value


@lru_cache(maxsize=512)
def _hints(shape: type) -> dict[str, Any]:
    return typing.get_type_hints(shape)


def _build_dataclass(shape: type, value: Any, where: str, error: type[PerfproofError]) -> Any:
    if not isinstance(value, dict):
        raise _wrong_type(where, value, "a mapping", error)
    hints = _hints(shape)
    fields = {f.name: f for f in dataclasses.fields(shape) if f.init}
    for key in value:
        if key not in fields:
            raise error(120, where=f"{where}.{key}", what="unknown key", expected=", ".join(fields), fix="remove or correct it")
    arguments = {}
    for name, field in fields.items():
        if name in value:
            arguments[name] = _build(hints[name], value[name], f"{where}.{name}", error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(121, where=where, what=f"key {name!r} is missing", expected=_describe(hints[name]), fix=f"add {name}")
    return shape(**arguments)


def _describe(shape: Any) -> str:
    return getattr(shape, "__name__", str(shape))


def _wrong_type(where: str, value: Any, expected: str, error: type[PerfproofError]) -> PerfproofError:
    return error(123, where=where, what="wrong type", got=in_words(value), expected=expected, fix="correct the value")


def in_words(value: Any) -> str:
    """`value` for an error's `got`, so that text is told from what looks like it: `the text 24` is not `24`."""
    if isinstance(value, str):
        return f"the text {value}" if value else "empty text"
    words = {"None": "null", "True": "true", "False": "false", "[]": "an empty list", "{}": "an empty mapping"}
    text = repr(value)
    return words.get(text, text)
