"""The language of a metric's query where its source is CloudWatch.

    query     := sum
    sum       := product (("+" | "-") product)*
    product   := factor (("*" | "/") factor)*
    factor    := number | "$period" | "(" sum ")" | selection
    selection := namespace metric ["{" name "=" value ("," name "=" value)* "}"] statistic [unit] ["or" "0"]

    1000 * AWS/ApplicationELB TargetResponseTime{LoadBalancer=app/$service/1,TargetGroup=$instance} p95
    100 * (AWS/ApplicationELB HTTPCode_Target_5XX_Count{LoadBalancer=app/x/1} Sum or 0) / (AWS/ApplicationELB RequestCount{LoadBalancer=app/x/1} Sum)
    AWS/ApplicationELB RequestCount{LoadBalancer=app/x/1} Sum / $period

Words that hold blanks or signs are written in double quotes, with `\\` before a quote or a backslash inside. `$service` and `$instance` stand in
values and in nothing else; `$period` is the number of seconds that one sample covers. The statistic is one of STATISTICS or a percentile
(`p95`, `p99.9`), the unit one of CloudWatch's own. `or 0` is for metrics that CloudWatch publishes only when something happens: where another
selection of the query has a sample and this one has none, it counts as 0. Operators between words need blanks around them.
Each selection is asked of CloudWatch as it stands; the arithmetic is done here and never there.
"""  # noqa: E501  the examples are single lines, as the protocol file has them

from __future__ import annotations

import re
from typing import NoReturn

from perfproof.cloudwatch.expressions import PLACEHOLDER, VALUE, WORD, Expression, Number, Operation, Period, Selection, selections
from perfproof.errors import ConfigError

MAX_LENGTH = 8_192
MAX_DEPTH = 32
MAX_OPERATIONS = 200
MAX_DIMENSIONS = 30
STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
# A count that was not published is no event; any other statistic of nothing is not zero.
COUNTING = ("SampleCount", "Sum")
UNITS = frozenset(
    {
        "Seconds", "Milliseconds", "Microseconds", "Percent", "Count", "Count/Second", "None",
        *(f"{size}{kind}{per}" for size, kind in (
            ("", "Bytes"), ("Kilo", "bytes"), ("Mega", "bytes"), ("Giga", "bytes"), ("Tera", "bytes"),
            ("", "Bits"), ("Kilo", "bits"), ("Mega", "bits"), ("Giga", "bits"), ("Tera", "bits"),
        ) for per in ("", "/Second")),
    }
)  # fmt: skip
PLACEHOLDERS = ("$instance", "$service")
_BLANKS = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x1f]|\\["\\])*)"')
_OR = re.compile(r"or\b")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.])")
_PERCENTILE = re.compile(r"p(?:100|[0-9]{1,2}(?:\.[0-9]{1,10})?)")


def parse_query(text: str) -> Expression:
    """The expression in `text`, placeholders as they stand. Raises ConfigError with the place of the first mistake."""
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            711, where="CloudWatch query", what="too long", got=len(text), expected=f"at most {MAX_LENGTH} characters", fix="shorten it"
        )
    reader = _Reader(text)
    expression = reader.sum(0)
    if not reader.at_end():
        reader.wrong("something behind the query", fix="join what belongs together by + - * / with blanks around the sign")
    found = list(selections(expression))
    if not found:
        reader.wrong("no metric in the query", fix='write NAMESPACE METRIC{NAME=VALUE} STATISTIC, "AWS/EC2 CPUUtilization Average"')
    if all(selection.zero_if_absent for selection in found):
        reader.wrong("every metric has `or 0`: no sample at all would be a 0", fix="leave it out at one that is always published")
    return expression


class _Reader:
    """Reads the query from left to right; `at` is the first character that is not read yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.operations = 0

    def sum(self, depth: int) -> Expression:
        return self._joined("+-", depth)

    def at_end(self) -> bool:
        self._skip_blanks()
        return self.at == len(self.text)

    def wrong(self, what: str, *, expected: str | None = None, fix: str) -> NoReturn:
        self._skip_blanks()
        where = f"CloudWatch query, character {self.at + 1}"
        raise ConfigError(711, where=where, what=what, got=self.text[self.at :] or "the end", expected=expected, fix=fix)

    def _joined(self, signs: str, depth: int) -> Expression:
        left = self._joined("*/", depth) if signs == "+-" else self._factor(depth)
        while (sign := self._taken(*signs)) is not None:
            right = self._joined("*/", depth) if signs == "+-" else self._factor(depth)
            left = Operation(sign, left, right)
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                self.wrong("too much arithmetic", expected=f"at most {MAX_OPERATIONS} signs", fix="publish the sum as a metric of its own")
        return left

    def _factor(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self.wrong("too many parentheses inside each other", expected=f"at most {MAX_DEPTH}", fix="write it with fewer")
        if self._taken("("):
            inner = self.sum(depth + 1)
            if not self._taken(")"):
                self.wrong("a parenthesis is not closed", expected=")", fix="close it")
            return inner
        if self._taken("$period"):
            return Period()
        number = self._matched(_NUMBER)
        if number is not None:
            value = float(number)
            if not 0 < value < 1e300:
                self.at -= len(number)
                self.wrong("not a factor", expected="a number above 0", fix="correct the number")
            return Number(value)
        return self._selection()

    def _selection(self) -> Selection:
        namespace = self._word("a namespace, a number or (")
        metric = self._word("the name of a metric")
        dimensions = self._dimensions() if self._taken("{") else ()
        statistic = self._matched(WORD)
        if statistic is None or (statistic not in STATISTICS and not _PERCENTILE.fullmatch(statistic)):
            self.at -= len(statistic or "")
            self.wrong("not a statistic", expected=f"{', '.join(STATISTICS)} or a percentile like p95", fix="name one behind the metric")
        unit = self._matched(WORD)
        if unit is not None and unit not in UNITS:
            self.at -= len(unit)
            if unit != "or":
                self.wrong("not a unit of CloudWatch", expected="Seconds, Milliseconds, Percent, Count, …", fix="name its unit, or none")
            unit = None
        return Selection(namespace, metric, dimensions, statistic, unit, self._or_zero(statistic))

    def _or_zero(self, statistic: str) -> bool:
        self._skip_blanks()
        if not _OR.match(self.text, self.at):
            return False
        if statistic not in COUNTING:
            self.wrong("`or 0` makes no sense here", expected=f"it behind {' or '.join(COUNTING)}", fix="leave it out")
        self.at += len("or")
        if self._matched(_NUMBER) != "0":
            self.at -= 1
            self.wrong("not `or 0`", expected="or 0", fix="write 0: no other value can stand for what was not published")
        return True

    def _dimensions(self) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        while True:
            name = self._word("the name of a dimension")
            if name in found:
                self.wrong(f"the dimension {name} stands twice", fix="leave one out")
            if not self._taken("="):
                self.wrong("a dimension without value", expected="=", fix="write NAME=VALUE")
            found[name] = self._value()
            if self._taken("}"):
                break
            if not self._taken(","):
                self.wrong("the dimensions do not end", expected=", or }", fix="put values with blanks or signs in double quotes")
        if len(found) > MAX_DIMENSIONS:
            self.wrong("too many dimensions", expected=f"at most {MAX_DIMENSIONS}", fix="leave some out")
        return tuple(found.items())

    def _value(self) -> str:
        self._skip_blanks()
        start = self.at
        value = self._quoted()
        if value is None:
            value = self._matched(VALUE)
        if not value:
            self.at = start
            self.wrong("a dimension without value", expected="a value", fix="write NAME=VALUE")
        for match in PLACEHOLDER.finditer(value):
            if match[0] not in PLACEHOLDERS:
                self.at = start
                self.wrong(f"unknown placeholder {match[0]}", expected=" ".join(PLACEHOLDERS), fix="correct it")
        return value

    def _word(self, expected: str) -> str:
        self._skip_blanks()
        start = self.at
        quoted = self._quoted()
        word = self._matched(WORD) if quoted is None else quoted
        if word and any(placeholder in word for placeholder in PLACEHOLDERS):
            self.at = start
            self.wrong("a placeholder in a name", fix="put placeholders into the values of dimensions only")
        if not word:
            self.wrong("a word is missing", expected=expected, fix='write NAMESPACE METRIC{NAME=VALUE} STATISTIC, odd words in "quotes"')
        return word

    def _quoted(self) -> str | None:
        found = self._matched(_QUOTED)
        return None if found is None else re.sub(r"\\(.)", r"\1", found[1:-1])

    def _matched(self, pattern: re.Pattern[str]) -> str | None:
        self._skip_blanks()
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def _taken(self, *texts: str) -> str | None:
        self._skip_blanks()
        for text in texts:
            if self.text.startswith(text, self.at):
                self.at += len(text)
                return text
        return None

    def _skip_blanks(self) -> None:
        match = _BLANKS.match(self.text, self.at)
        self.at = match.end() if match else self.at
