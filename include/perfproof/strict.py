"""Strict readers for what people and other systems supply: YAML, JSON, and mappings into dataclasses.

YAML and JSON readers are generous in ways that turn a typing slip into another value (the last of two equal keys wins,
`no` is False, `1:30` is 90, NaN is a number). Here each of those is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from enum import StrEnum
from typing import Any, TypeVar, Union

import yaml

from perfproof.errors import ArtifactError, ConfigError, PerfproofError

MAX_BYTES = 1 << 20
MAX_INTEGER = 2**53 - 1
Shape = TypeVar("Shape")


class _StrictYaml(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, aliases, and the number spellings of YAML 1.1 that people do not mean."""


def _refuse_duplicates(loader: _StrictYaml, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
        seen.add(key)
    return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}


_StrictYaml.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _refuse_duplicates)
# YAML 1.2 core scalars only: `yes`, `012`, `1:30` and dates stay text, and then fail the type check by name.
_StrictYaml.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _StrictYaml.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def read_yaml(data: bytes, *, where: str) -> dict[str, Any]:
    """The mapping in `data` (UTF-8, at most 1 MiB). Raises ConfigError with the line of what is wrong."""
    if len(data) > MAX_BYTES:
        raise ConfigError(
            101, where=where, what="file is too large", got=f"{len(data)} bytes", expected="at most 1 MiB", fix="split the file"
        )
    try:
        text = data.decode("utf-8")
        if re.search(r"(?m)^[^#'\"]*[:\-\[,]\s*[&*][A-Za-z]", text):
            for token in yaml.scan(text, Loader=_StrictYaml):
                if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                    line = token.start_mark.line + 1
                    raise ConfigError(
                        102, where=f"{where} line {line}", what="anchors and aliases are not allowed", fix="write the value out"
                    )
        document = yaml.load(text, Loader=_StrictYaml)  # noqa: S506  a SafeLoader, stricter
    except UnicodeDecodeError as error:
        raise ConfigError(103, where=where, what="file is not UTF-8 text", got=error.reason, fix="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where} line {mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(104, where=place, what="invalid YAML", got=problem, fix="correct that line") from None
    if not isinstance(document, dict):
        got = "an empty file" if document is None else type(document).__name__
        raise ConfigError(105, where=where, what="not a mapping", got=got, expected="key: value lines", fix="see include/protocols")
    return document


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
    """The JSON value in `data`: duplicate keys, NaN, infinities and integers beyond 2^53-1 are errors."""
    if len(data) > limit:
        raise error(number, where=where, what="JSON is too large", got=f"{len(data)} bytes", expected=f"at most {limit}", fix="shorten it")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_small_integer,
        )
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
            raise error(122, where=where, what="unknown name", got=value, expected=" | ".join(names), fix="use one of these")
        return shape(value)
    return _scalar(shape, value, where, error)


def _scalar(shape: Any, value: Any, where: str, error: type[PerfproofError]) -> Any:
    if shape is Any:
        return value
    if shape is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong_type(where, value, "a finite number", error)
        return float(value)
    if type(value) is not shape:
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise _wrong_type(where, value, names.get(shape, str(shape)), error)
    return value


def _build_dataclass(shape: type, value: Any, where: str, error: type[PerfproofError]) -> Any:
    if not isinstance(value, dict):
        raise _wrong_type(where, value, "a mapping", error)
    hints = typing.get_type_hints(shape)
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
    return error(123, where=where, what="wrong type", got=value, expected=expected, fix="correct the value")
