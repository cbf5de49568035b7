"""What a metric of a scraped endpoint asks for: a few words of Prometheus' language, where a rate is always that between two scrapes.

query    = factor (("*" | "/") factor)*
factor   = number | selector | rate(selector) | sum(selector) | sum(rate(selector)) | histogram_quantile(number, buckets)
buckets  = selector | sum(selector)
selector = name [{label="value", …}]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import PerfproofError
from perfproof.scrapes.openmetrics_text import Labels
from perfproof.telemetry import Unit

MAX_QUERY = 8_192
MAX_FACTORS = 16
_TOKEN = re.compile(
    r"[ \t\r\n]*+(?:(?P<number>[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?)|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)"
    r'|(?P<text>"(?:[^"\\\n]|\\.)*+")|(?P<sign>!=|=~|!~|[-+*/(){},=\[\]]))'
)
# Base unit, and what the numbers of the query make of it: the unit that the metric must then have.
CONVERTED: Mapping[tuple[str, float], Unit] = {
    ("seconds", 1.0): Unit.SECONDS, ("seconds", 1e3): Unit.MILLISECONDS, ("milliseconds", 1.0): Unit.MILLISECONDS,
    ("milliseconds", 1e-3): Unit.SECONDS, ("microseconds", 1e-3): Unit.MILLISECONDS, ("microseconds", 1e-6): Unit.SECONDS,
    ("percent", 1.0): Unit.PERCENT, ("ratio", 100.0): Unit.PERCENT, ("bytes", 2.0**-20): Unit.MEBIBYTES,
}  # fmt: skip
# Seconds of work in a second.
CONVERTED_RATES: Mapping[tuple[str, float], Unit] = {("seconds", 1.0): Unit.CORES, ("seconds", 100.0): Unit.PERCENT}
BASE_UNITS = frozenset(name for name, _ in CONVERTED)


class Take(StrEnum):
    """What is taken of the samples that a selector names."""

    VALUE = "value"
    RATE = "rate"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True)
class Term:
    """Samples by name and labels, and what is taken of them; `summed` over all that match, else one must."""

    take: Take
    name: str
    labels: Labels
    summed: bool = False
    quantile: float = 0.0


@dataclass(frozen=True, slots=True)
class ScrapeQuery:
    """Product of `scale`, the `times` terms, and the inverses of the `over` terms."""

    scale: float
    times: tuple[Term, ...]
    over: tuple[Term, ...]

    @property
    def names(self) -> frozenset[str]:
        """The series that are read."""
        return frozenset(term.name for term in (*self.times, *self.over))


def read_query(text: str, *, where: str, error: type[PerfproofError], number: int) -> ScrapeQuery:
    """The query in `text`. Raises `error` with `number` for what is none of the module's forms."""
    return _Reader(text, where=where, error=error, number=number).query()


def unit_of(query: ScrapeQuery, units: Mapping[str, str]) -> tuple[str, Unit | None] | None:
    """The base unit that the only series has, by its name's end or the exposition's `units`, and what the query makes of it.

    None where that says nothing: several series, or a name without a unit.
    """
    if query.over or len(query.times) != 1:
        return None
    term = query.times[0]
    family, _, ending = term.name.rpartition("_")
    if ending == "count":
        return None
    if ending not in ("bucket", "total", "sum"):
        family, ending = term.name, ""
    base = units.get(family) or family.rpartition("_")[2]
    if base not in BASE_UNITS:
        return None
    table = CONVERTED_RATES if term.take is Take.RATE else CONVERTED
    scale = next((known for name, known in table if name == base and abs(query.scale / known - 1) < 1e-9), None)
    return base, None if scale is None else table[base, scale]


class _Reader:
    def __init__(self, text: str, *, where: str, error: type[PerfproofError], number: int) -> None:
        self._text, self._where, self._error, self._number = text, where, error, number
        self._tokens = self._split(text)
        self._place = 0

    def query(self) -> ScrapeQuery:
        scale = 1.0
        terms: dict[str, list[Term]] = {"*": [], "/": []}
        operator = "*"
        for _ in range(MAX_FACTORS):
            factor = self._factor()
            if isinstance(factor, Term):
                terms[operator].append(factor)
            elif operator == "/" and not factor:
                raise self._wrong("a division by zero")
            else:
                scale = scale * factor if operator == "*" else scale / factor
            if self._ahead() not in terms:
                break
            operator = self._next()
        if self._ahead():
            raise self._wrong(f"{self._ahead()} where the query ends")
        if not any(terms.values()):
            raise self._wrong("a query without a series")
        return ScrapeQuery(scale, tuple(terms["*"]), tuple(terms["/"]))

    def _factor(self) -> Term | float:
        kind, token = self._token()
        if kind == "number":
            return float(self._next())
        if kind != "name":
            raise self._wrong(f"{token or 'an end'} where a series belongs")
        name = self._next()
        if self._ahead() != "(":
            return Term(Take.VALUE, name, self._labels())
        if name == "histogram_quantile":
            return self._quantile()
        if name == "rate":
            return self._rate()
        if name != "sum":
            raise self._wrong(f"the function {name}")
        self._expect("(")
        term = self._inner()
        self._expect(")")
        return Term(term.take, term.name, term.labels, summed=True)

    def _inner(self) -> Term:
        name = self._name()
        return self._rate() if name == "rate" and self._ahead() == "(" else Term(Take.VALUE, name, self._labels())

    def _rate(self) -> Term:
        self._expect("(")
        term = Term(Take.RATE, self._name(), self._labels())
        if self._ahead() == "[":
            raise self._wrong("a range: a rate is that between two scrapes, so leave [..] out")
        self._expect(")")
        return term

    def _quantile(self) -> Term:
        self._expect("(")
        if self._token()[0] != "number" or not 0 <= float(self._token()[1]) <= 1:
            raise self._wrong("a quantile that is not between 0 and 1")
        quantile = float(self._next())
        self._expect(",")
        name = self._name()
        summed = name == "sum" and self._ahead() == "("
        if summed:
            self._expect("(")
            name = self._name()
        labels = self._labels()
        if not name.endswith("_bucket") or any(label == "le" for label, _ in labels):
            raise self._wrong(f"{name}, which are not all buckets of a histogram")
        for _ in range(1 + summed):
            self._expect(")")
        return Term(Take.QUANTILE, name, labels, summed=summed, quantile=quantile)

    def _labels(self) -> Labels:
        labels: dict[str, str] = {}
        if self._ahead() != "{":
            return ()
        self._expect("{")
        while self._ahead() != "}":
            name = self._name()
            self._expect("=")
            kind, text = self._token()
            if kind != "text" or name in labels:
                raise self._wrong(f"{name}={text}: one text a label")
            labels[name] = re.sub(r'\\([\\n"])', lambda match: "\n" if match[1] == "n" else match[1], self._next()[1:-1])
            if self._ahead() == ",":
                self._expect(",")
        self._expect("}")
        return tuple(sorted(labels.items()))

    def _name(self) -> str:
        kind, token = self._token()
        if kind != "name":
            raise self._wrong(f"{token or 'an end'} where a name belongs")
        return self._next()

    def _expect(self, sign: str) -> None:
        if self._ahead() != sign:
            raise self._wrong(f"{self._ahead() or 'an end'} where {sign} belongs")
        self._next()

    def _token(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _ahead(self) -> str:
        return self._token()[1]

    def _next(self) -> str:
        token = self._ahead()
        self._place += 1
        return token

    def _split(self, text: str) -> list[tuple[str, str]]:
        if len(text) > MAX_QUERY:
            raise self._wrong(f"more than {MAX_QUERY} characters")
        tokens, place = [], 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise self._wrong(f"the character {text[place:].lstrip()[0]}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        return tokens

    def _wrong(self, what: str) -> PerfproofError:
        return self._error(
            self._number, where=self._where, what=f"the query holds {what}", got=self._text,
            expected='series{label="x"}, rate(…), sum(…), histogram_quantile(0.95, series_bucket{…}), numbers, * and /',
            fix="correct the query in the protocol file",
        )  # fmt: skip
