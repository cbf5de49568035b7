"""Words of a command line, read or refused with one line: texts, names, numbers."""

from __future__ import annotations

from collections.abc import Sequence

from perfproof.config_refusals import IDENTIFIER
from perfproof.errors import ParameterError

MAX_TEXT = 1000


def read_identifier(text: str, where: str, *, number: int = 950) -> str:
    """`text` if it is an identifier of protocol files. Raises ParameterError `number`."""
    if not IDENTIFIER.fullmatch(text) or ".." in text:
        raise refused(
            number, where, "not a name", "use small letters, digits, . _ - and begin with a letter", got=text, expected=IDENTIFIER.pattern
        )
    return text


def read_text(text: str, where: str) -> str:
    """`text` without blanks around it, if it is a line that can be shown. Raises ParameterError 950."""
    if not text.strip() or not text.isprintable() or len(text) > MAX_TEXT:
        raise refused(950, where, "empty, too long, or with characters that cannot be printed", "write one line of text", got=text)
    return text.strip()


def read_number(value: float, where: str, *, most: float) -> float:
    """`value` if it is above 0 and at most `most`. Raises ParameterError 959."""
    if not 0 < value <= most:
        raise refused(959, where, "out of range", "correct the value", got=value, expected=f"above 0, at most {most:g}")
    return value


def refuse_twice(names: Sequence[str], where: str, number: int) -> None:
    """Raises ParameterError `number` for the first name that stands twice."""
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise refused(number, where, "one name twice", "give each its own: name=…", got=twice)


def refused(number: int, where: str, what: str, fix: str, *, got: object = None, expected: object = None) -> ParameterError:
    """The error of an option."""
    return ParameterError(number, where=where, what=what, got=got, expected=expected, fix=fix)
