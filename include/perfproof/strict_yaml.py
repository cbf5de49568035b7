"""YAML as people read it: a loader that makes text, numbers and truth values of what looks like them, and of nothing else.

PyYAML's safe loader is safe against code and generous otherwise: the last of two equal keys wins, `no` is False, `012` is
10, `1:30` is 90, an alias grows a line into gigabytes, and a tag turns text into whatever it names.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from perfproof.errors import ConfigError

MAX_BYTES = 1 << 20
# A service takes about 150 nodes and 8 levels; the composer calls itself once a level.
MAX_NODES = 50_000
MAX_DEPTH = 32
# Beyond it Python refuses to read the digits at all; what is too large for its key is said by the key's own check.
MAX_DIGITS = 400
# Controls but tab and line feed, halves of characters, line separators, and what reverses the direction of the text around it.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Refused(Exception):
    """What the loader refuses beyond invalid YAML."""

    def __init__(self, number: int, mark: yaml.Mark, what: str, fix: str, *, got: Any = None) -> None:
        super().__init__(what)
        self.number, self.line, self.what, self.fix, self.got = number, mark.line + 1, what, fix, got


class _Loader(yaml.SafeLoader):
    """Scalars of YAML 1.2's core schema; no aliases, tags, duplicate keys, and bounds in depth and size."""

    # `yes`, `012`, `1:30` and dates stay text, and then fail the type check of their key by name.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the base class reads it from the class
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses before a node is made, so that nothing is expanded and no recursion runs away."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _Refused(102, mark, "anchors and aliases are not allowed", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise _Refused(106, mark, "tags are not allowed", "write the value without it", got=event.tag)
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES or self._depth > MAX_DEPTH:
            raise _Refused(107, mark, f"more than {MAX_NODES} values or {MAX_DEPTH} levels", "simplify the file")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise _Refused(104, key_node.start_mark, "invalid YAML", "correct that line", got=f"key {key!r} is not text")
        if key in found:
            raise _Refused(104, key_node.start_mark, "invalid YAML", "keep one of them", got=f"duplicate key {key!r}")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return [loader.construct_object(item, deep=True) for item in node.value]


def _text(_: _Loader, node: yaml.ScalarNode) -> str:
    text = str(node.value)
    if _UNREADABLE.search(text):
        raise _Refused(108, node.start_mark, "a control character in text", "remove it", got=text)
    return text


def _integer(_: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > MAX_DIGITS:
        raise _Refused(109, node.start_mark, "a number of too many digits", "correct the value", got=node.value)
    return int(node.value)


_CORE = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(_CORE + _name, re.compile(_pattern), list(_first))
for _name, _made in (
    ("map", _mapping),
    ("seq", _sequence),
    ("str", _text),
    ("int", _integer),
    ("float", lambda _, node: float(node.value)),
    ("bool", lambda _, node: node.value == "true"),
    ("null", lambda _, __: None),
):
    _Loader.add_constructor(_CORE + _name, _made)


def read_yaml(data: bytes, *, where: str) -> dict[str, Any]:
    """The mapping in `data` (UTF-8, at most 1 MiB). Raises ConfigError with the line of what is wrong."""
    if len(data) > MAX_BYTES:
        raise ConfigError(
            101, where=where, what="file is too large", got=f"{len(data)} bytes or more", expected="at most 1 MiB", fix="split the file"
        )
    try:
        document = _Loader(data.decode("utf-8")).get_single_data()
    except UnicodeDecodeError as error:
        raise ConfigError(103, where=where, what="file is not UTF-8 text", got=error.reason, fix="save it as UTF-8") from None
    except _Refused as error:
        raise ConfigError(error.number, where=f"{where} line {error.line}", what=error.what, got=error.got, fix=error.fix) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _invalid(error, data.decode("utf-8"), where) from None
    if not isinstance(document, dict):
        got = "an empty file" if document is None else "a list" if isinstance(document, list) else document
        raise ConfigError(105, where=where, what="not a mapping", got=got, expected="key: value lines", fix="see include/protocols")
    return document


def _invalid(error: Exception, text: str, where: str) -> ConfigError:
    """What the parser says, with its line; its own description spans several."""
    fix = "correct that line"
    if isinstance(error, yaml.reader.ReaderError):
        line, problem = text.count("\n", 0, error.position) + 1, f"the character {text[error.position]!r}"
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, problem = error.problem_mark.line + 1, str(error.problem)
        if problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        if r"'\t'" in problem:
            problem, fix = "a tab", "indent with spaces"
    else:
        # An escape such as \UFFFFFFFF names no character; the parser does not say where.
        return ConfigError(104, where=where, what="invalid YAML", got=str(error), fix="look for an escape that names no character")
    return ConfigError(104, where=f"{where} line {line}", what="invalid YAML", got=problem, fix=fix)
