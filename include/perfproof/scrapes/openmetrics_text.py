"""The samples of chosen series in an exposition: OpenMetrics text, or the older text format of Prometheus.

Every line is checked and only the chosen ones are kept, so that neither time nor memory grows faster than the text: the pattern has
possessive parts only. What it accepts is compared with prometheus_client's parser in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from perfproof.errors import PerfproofError

MAX_LINES = 500_000
MAX_LINE = 16 << 10
MAX_KEPT = 20_000
MAX_LABELS = 64
_NUMBER = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?"
_TEXT = r'"(?:[^"\\]|\\.)*+"'
_LABEL = re.compile(rf"[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+({_TEXT})[ \t]*+(?:,|\Z)")
_VALUE = rf"{_NUMBER}|[-+]?(?i:Inf(?:inity)?)|(?i:NaN)"
_BRACES = rf"\{{((?:[^\"}}]|{_TEXT})*+)\}}"
_EXEMPLAR = rf"[ \t]++\#[ \t]*+{_BRACES}[ \t]++{_NUMBER}(?:[ \t]++{_NUMBER})?"
# A value may follow a brace at once, but not a name.
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*+)[ \t]*+(?:{_BRACES})?[ \t]*+(?<![a-zA-Z0-9_:])({_VALUE})"
    rf"(?:[ \t]++({_NUMBER}))?(?:{_EXEMPLAR})?[ \t\r]*+"
)
_UNIT = re.compile(r"#[ \t]++UNIT[ \t]++([a-zA-Z_:][a-zA-Z0-9_:]*+)[ \t]++(\S++)\s*+")
_ESCAPED = re.compile(r'\\([\\n"])')
EOF_LINE = "# EOF"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: name, labels by name, value, and the moment that the exposition itself gives it (seconds), None without one."""

    name: str
    labels: Labels
    value: float
    at: float | None
    line: str


@dataclass(frozen=True, slots=True)
class Exposition:
    """The kept samples, and the units that the exposition declares, by the name of the metric."""

    samples: tuple[Sample, ...]
    units: Mapping[str, str]


def read_exposition(data: bytes, *, names: Collection[str], where: str, error: type[PerfproofError], number: int) -> Exposition:
    """The samples of the series called `names` in `data`. Text that ends in `# EOF` is OpenMetrics, where moments are seconds.

    Raises `error` with `number` for what is no exposition: not UTF-8, a line that is none, no sample at all, one label or one
    series twice, more than 500,000 lines, 16 KiB a line or 20,000 kept samples.
    """
    lines = _lines(data, where=where, error=error, number=number)
    last = next((place for place in range(len(lines) - 1, -1, -1) if lines[place].strip()), -1)
    openmetrics = last >= 0 and lines[last].strip() == EOF_LINE
    kept: dict[tuple[str, Labels], Sample] = {}
    units: dict[str, str] = {}
    found = False
    for place, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise error(number, where=f"{where} line {place}", what="a line of more than 16 KiB", got=len(line), fix="shorten its labels")
        if line.startswith("#"):
            if unit := _UNIT.fullmatch(line):
                units[unit[1]] = unit[2]
            elif line.strip() == EOF_LINE and openmetrics and place != last + 1:
                raise error(number, where=f"{where} line {place}", what="# EOF before the end", fix="give one exposition an answer")
            continue
        if not line.strip():
            continue
        match = _SAMPLE.fullmatch(line.lstrip(" \t"))
        if match is None:
            raise error(
                number, where=f"{where} line {place}", what="not a sample of an exposition", got=line,
                fix="let the Connection name an endpoint that shows OpenMetrics or Prometheus text",
            )  # fmt: skip
        found = True
        if match[1] in names:
            sample = _kept(match, line, openmetrics=openmetrics, where=f"{where} line {place}", error=error, number=number)
            if kept.setdefault((sample.name, sample.labels), sample) is not sample:
                raise error(number, where=f"{where} line {place}", what="a series twice", got=line, fix="report it to the exporter")
            if len(kept) > MAX_KEPT:
                raise error(
                    number, where=where, what=f"more than {MAX_KEPT} samples of {sample.name}", fix="choose a series of fewer labels"
                )
    if not found:
        raise error(number, where=where, what="no sample in the answer", fix="let the Connection name an endpoint that shows metrics")
    return Exposition(tuple(kept.values()), units)


def excerpt(data: bytes, *, names: Collection[str]) -> bytes:
    """The lines of `data` that are about the series `names`, the declared units and the end: what may be kept of many scrapes."""
    wanted = b"|".join(re.escape(name).encode() for name in sorted(names)) or rb"(?!)"
    kept = re.findall(rb"^[ \t]*+(?:(?:" + wanted + rb")(?=[{ \t])|#[ \t]++UNIT[ \t]|# EOF).*+$", data, re.MULTILINE)
    return b"".join(line.strip() + b"\n" for line in kept)


def _lines(data: bytes, *, where: str, error: type[PerfproofError], number: int) -> list[str]:
    if data.count(b"\n") > MAX_LINES:
        raise error(number, where=where, what=f"more than {MAX_LINES} lines", fix="let the exporter show less")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(number, where=where, what="not UTF-8 text", got=problem.reason, fix="ask an endpoint that shows metrics") from None
    if "\0" in text:
        raise error(number, where=where, what="holds a NUL character", fix="ask an endpoint that shows metrics")
    return text.split("\n")


def _kept(match: re.Match[str], line: str, *, openmetrics: bool, where: str, error: type[PerfproofError], number: int) -> Sample:
    labels = _labels(match[2] or "")
    if labels is None:
        raise error(number, where=where, what="labels that are none, or one twice", got=line, fix="report it to the exporter")
    # Prometheus text gives moments in milliseconds, OpenMetrics in seconds.
    at = None if match[4] is None else float(match[4]) / (1 if openmetrics else 1000)
    return Sample(match[1], labels, float(match[3]), at, line.strip())


def _labels(text: str) -> Labels | None:
    """The labels in the braces, sorted; None for text that holds something else, or one label twice."""
    labels: dict[str, str] = {}
    place = 0
    while text[place:].strip():
        match = _LABEL.match(text, place)
        if match is None or match[1] in labels or len(labels) == MAX_LABELS:
            return None
        labels[match[1]] = _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else escaped[1], match[2][1:-1])
        place = match.end()
    return tuple(sorted(labels.items()))
