"""Which series a PromQL expression reads: names and label values, without evaluating or fully parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_EXPRESSION = 8192
MAX_SELECTORS = 200
TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<variable>\$\{[^}]*\}|\$\w+|\[\[\w+\]\])
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<number>[0-9.][A-Za-z0-9_.]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],@:])""",
    re.VERBOSE | re.DOTALL,
)
GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "start", "end"})
# Where a series was scraped says nothing about what it measures.
PLACES = frozenset({"instance", "job", "service", "namespace", "pod", "env", "environment", "cluster"})
LITERAL = re.compile(r"[^.*+?()\[\]{}|^\\]*")


@dataclass(frozen=True, slots=True)
class Selector:
    """A series of a name, with the labels that must have one certain value; where it was scraped is left out."""

    name: str
    labels: frozenset[tuple[str, str]] = frozenset()

    def contradicts(self, other: Selector) -> bool:
        """Whether no series can be in both: another name, or another value of a label."""
        theirs = dict(other.labels)
        return self.name != other.name or any(theirs.get(label, value) != value for label, value in self.labels)


def selectors(expression: str) -> frozenset[Selector] | None:
    """The series that `expression` reads. None if it is no PromQL, is too long, or reads series whose name it does not tell."""
    if len(expression) > MAX_EXPRESSION:
        return None
    tokens = list(_tokens(expression))
    if not tokens or any(kind == "wrong" for kind, _ in tokens):
        return None
    found: set[Selector] = set()
    place = 0
    while place < len(tokens):
        kind, value = tokens[place]
        following = tokens[place + 1] if place + 1 < len(tokens) else ("end", "")
        if kind == "name" and value.lower() in GROUPING:
            place = _after(tokens, place + 1, "(", ")")
        elif value == "[":
            place = _after(tokens, place, "[", "]")
        elif kind == "name" and value.lower() not in WORDS and following[1] != "(" and following[1].lower() not in GROUPING:
            place, selector = _selector(tokens, place + 1, value)
            if selector is None:
                return None
            found.add(selector)
        elif value == "{":
            place, selector = _selector(tokens, place, "")
            if selector is None:
                return None
            found.add(selector)
        else:
            place += 1
        if len(found) > MAX_SELECTORS:
            return None
    return frozenset(found)


def resolved(expression: str, recordings: Mapping[str, str]) -> frozenset[Selector] | None:
    """The series of `expression`, with the names of recording rules replaced by what those read, rules of rules included.

    Each rule is read once, so rules that read each other in a ring end.
    """
    own = selectors(expression)
    pending, read, found = list(own or ()), set[str](), set[Selector]()
    while pending and len(found) <= MAX_SELECTORS:
        selector = pending.pop()
        if selector.name in read:
            continue
        inner = selectors(recordings[selector.name]) if selector.name in recordings else None
        if inner:
            read.add(selector.name)
            pending += inner
        else:
            found.add(selector)
    if own is None or len(found) > MAX_SELECTORS:
        return None
    return frozenset(found) or own


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(expression):
        match = TOKEN.match(expression, place)
        if match is None:
            yield "wrong", expression[place]
            return
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0]
        place = match.end()


def _after(tokens: list[tuple[str, str]], place: int, opening: str, closing: str) -> int:
    """The place after the bracket that begins at `place`; `place` itself if none begins there."""
    if place >= len(tokens) or tokens[place][1] != opening:
        return place
    while place < len(tokens) and tokens[place][1] != closing:
        place += 1
    return place + 1


def _selector(tokens: list[tuple[str, str]], place: int, name: str) -> tuple[int, Selector | None]:
    """The selector `name`, with the matchers in braces that may begin at `place`, and the place after it; None for what is none."""
    labels: set[tuple[str, str]] = set()
    if place < len(tokens) and tokens[place][1] == "{":
        place += 1
        while place < len(tokens) and tokens[place][1] != "}":
            if tokens[place][1] == ",":
                place += 1
                continue
            kind, label = tokens[place]
            sign, value = (tokens[place + n][1] if place + n < len(tokens) else "" for n in (1, 2))
            if kind == "text" and sign in (",", "}") and not name:
                # A name that is no identifier is written in the braces: {"http.latency"}.
                name, place = label[1:-1], place + 1
                continue
            if kind not in ("name", "text") or sign not in ("=", "!=", "=~", "!~") or value[:1] not in "\"'`" or not value:
                return place, None
            label = label.strip("\"'`")
            if "$" not in value and (sign == "=" or (sign == "=~" and LITERAL.fullmatch(value[1:-1]))):
                if label == "__name__":
                    name = name or value[1:-1]
                elif label not in PLACES:
                    labels.add((label, value[1:-1]))
            place += 3
        if place >= len(tokens):
            return place, None
        place += 1
    return place, Selector(name, frozenset(labels)) if name else None
