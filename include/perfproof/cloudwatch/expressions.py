"""What a query of CloudWatch says, as a tree: selections of metrics, numbers, and the arithmetic between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

# Numbers, letters and signs that stand without quotes; what a value may hold besides is more, since only , } and blanks end it.
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.:#/-]*")
VALUE = re.compile(r'[^\s,{}"=]+')
PLACEHOLDER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Number:
    """A factor that turns one unit into another, or a term beside such values."""

    value: float


@dataclass(frozen=True, slots=True)
class Period:
    """The seconds that one sample covers."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One statistic of one metric. `unit` is what the query says that it is published in, None if it does not say.

    `zero_if_absent` is `or 0`.
    """

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    unit: str | None = None
    zero_if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions and the sign between them: + - * /."""

    sign: str
    left: Expression
    right: Expression


Expression = Number | Period | Selection | Operation


def selections(expression: Expression) -> Iterator[Selection]:
    """The selections of `expression` from left to right, as often as they stand in it."""
    if isinstance(expression, Selection):
        yield expression
    elif isinstance(expression, Operation):
        yield from selections(expression.left)
        yield from selections(expression.right)


def filled_expression(expression: Expression, *, service: str, instance: str) -> Expression:
    """`expression` with the placeholders of its values replaced. What is put in cannot change the query's form."""
    if isinstance(expression, Operation):
        left, right = (filled_expression(side, service=service, instance=instance) for side in (expression.left, expression.right))
        return Operation(expression.sign, left, right)
    if not isinstance(expression, Selection):
        return expression
    values = {"service": service, "instance": instance}
    dimensions = tuple((name, PLACEHOLDER.sub(lambda match: values[match[1]], value)) for name, value in expression.dimensions)
    return replace(expression, dimensions=dimensions)


def query_text(expression: Expression, *, inside: str = "") -> str:
    """`expression` as a query that reads back as the same expression."""
    if isinstance(expression, Number):
        return f"{expression.value:.15g}"
    if isinstance(expression, Period):
        return "$period"
    if isinstance(expression, Selection):
        return _selection_text(expression)
    left = query_text(expression.left, inside=expression.sign)
    # On the right also signs of the same rank need their parentheses: a - (b - c).
    right = query_text(expression.right, inside="right of " + expression.sign)
    text = f"{left} {expression.sign} {right}"
    loose = expression.sign in "+-" and inside not in ("", "+", "-")
    return f"({text})" if loose or inside.startswith("right") else text


def _selection_text(selection: Selection) -> str:
    labels = ",".join(f"{_shown(name)}={_shown(value, VALUE)}" for name, value in selection.dimensions)
    words = [_shown(selection.namespace), _shown(selection.metric) + (f"{{{labels}}}" if labels else ""), selection.statistic]
    return " ".join([*words, *([selection.unit] if selection.unit else []), *(["or 0"] if selection.zero_if_absent else [])])


def _shown(word: str, plain: re.Pattern[str] = WORD) -> str:
    return word if plain.fullmatch(word) else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dimension_list(selection: Selection) -> list[dict[str, str]]:
    """The dimensions as CloudWatch takes them."""
    return [{"Name": name, "Value": value} for name, value in selection.dimensions]
