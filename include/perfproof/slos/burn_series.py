"""Input series of promtool's tests: samples or counters in which a given share of the events is bad, phase after phase."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from perfproof.errors import ArtifactError
from perfproof.slos.indicator import Selector, SliKind
from perfproof.slos.objective import Objective
from perfproof.slos.prometheus_rules import VALUE, selector
from perfproof.telemetry import Direction

REQUESTS_PER_MINUTE = 1_000_000
WHOLE_FROM = 1000
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*")\s*(?:,|$)')
PLAIN = re.compile(r"[a-zA-Z0-9 _./:-]+")
MARK = "\0"


@dataclass(frozen=True, slots=True)
class Phase:
    """Minutes in a row with the same share of bad events."""

    minutes: int
    bad: float


def series(
    objective: Objective, phases: Sequence[Phase], *, least_every: int | None, per_minute: float = REQUESTS_PER_MINUTE
) -> list[dict[str, str]]:
    """Input series in which the phases follow each other. `least_every`: one sample in so many is bad at least, if any is.

    `per_minute` are the requests, where the events are requests.
    """
    indicator = objective.indicator
    if indicator.kind is SliKind.SAMPLES:
        # The query is of any shape; what is recorded of it is given as if it had answered.
        return [{"series": selector(objective, VALUE), "values": _samples(objective, phases, least_every)}]
    bad = [Phase(p.minutes, p.bad * per_minute) for p in phases]
    total = [Phase(p.minutes, per_minute) for p in phases]
    if indicator.total is None:
        raise AssertionError("requests are counted by a total")  # pragma: no cover
    every = _counter(objective, indicator.total, "", total)
    if indicator.bad is not None:
        # The errors are counted among all requests where both are one counter: other requests make up the rest.
        rest = _rest(objective, indicator.bad, indicator.total, [Phase(t.minutes, t.bad - b.bad) for t, b in zip(total, bad, strict=True)])
        return [_counter(objective, indicator.bad, "", bad), rest or every]
    good = [Phase(t.minutes, t.bad - b.bad) for t, b in zip(total, bad, strict=True)]
    if indicator.good is None:
        raise AssertionError("requests are good or bad")  # pragma: no cover
    end = indicator.good_matcher.split('"')[1].removesuffix("([.]0)?")
    return [every, _counter(objective, indicator.good, f'le="{end}"', good)]


def _rest(objective: Objective, bad: Selector, total: Selector, phases: Sequence[Phase]) -> dict[str, str] | None:
    """The other requests, where errors are told from them by a label only; None where errors are a counter of their own."""
    if bad.name != total.name:
        return None
    only = [label for label in _labels(bad) if label not in _labels(total)]
    if not only:
        raise ArtifactError(
            577, where=bad.name, what="errors and requests are the same series", got=bad.labels, fix="correct the metric's query"
        )
    return _counter(objective, total, f'{only[0]}="perfproof-other"', phases)


def _counter(objective: Objective, counted: Selector, more: str, phases: Sequence[Phase]) -> dict[str, str]:
    labels = [objective.filled(f"{name}={text}", "1m") for name, text in _labels(counted).items()]
    inside = ",".join(part for part in (*labels, more) if part)
    values, level = [], 0.0
    for number, phase in enumerate(phases):
        # Large counts are whole; of few in a minute, one is an average.
        step = round(phase.bad) if phase.bad >= WHOLE_FROM else round(phase.bad, 6)
        # The first value of a phase is the last of the one before, so that every minute has one step.
        begin = level if number == 0 else level + step
        count = phase.minutes if number == 0 else phase.minutes - 1
        values.append(f"{begin:.12g}+{step:.12g}x{count}")
        level += step * phase.minutes
    return {"series": f"{counted.name}{{{inside}}}", "values": " ".join(values)}


def _labels(counted: Selector) -> dict[str, str]:
    """Labels, each with its quoted value, that the selector matches. Raises ArtifactError where none can be told."""
    found: dict[str, str] = {}
    for name, operator, text in LABEL.findall(counted.labels):
        inner = text[1:-1]
        if operator == "=":
            found[name] = text
        elif operator == "=~":
            found[name] = f'"{_matching(inner, counted)}"'
    return found


def _matching(pattern: str, counted: Selector) -> str:
    """A text that the pattern matches: its first alternative, with a digit or a letter for what is left open (`5..` gives 500)."""
    # What PromQL's string escapes is the pattern's own backslash.
    plain = pattern.replace("\\\\", "\\")
    first = plain.strip("()").split("|")[0]
    for more, one in (("x", "0"), ("x", "x"), ("", "0")):
        text = re.sub(r"[.][*+]", more, first).replace("\\.", MARK).replace(".", one).replace(MARK, ".")
        with suppress(re.error):
            if PLAIN.fullmatch(text) and re.fullmatch(plain, text):
                return text
    raise ArtifactError(
        578, where=counted.name, what="no test series can be made for a pattern", got=pattern, fix="test these rules by hand"
    )


def _samples(objective: Objective, phases: Sequence[Phase], least_every: int | None) -> str:
    lower = objective.direction is Direction.LOWER
    target = objective.target
    good, bad = (0.5 * target, 2 * target) if lower else (2 * target, 0.5 * target)
    if target <= 0:
        good, bad = (target - 1, target + 1) if lower else (target + 1, target - 1)
    parts = []
    for phase in phases:
        every = math.floor(1 / phase.bad) if phase.bad > 0 else 0
        if least_every is not None and every:
            every = min(every, least_every)
        elif every:
            # Half a sample more would already be another share.
            every = math.ceil(1 / phase.bad) + 1
        parts.append(_pattern(good, bad, minutes=phase.minutes, every=every))
    return " ".join(parts)


def _pattern(good: float, bad: float, *, minutes: int, every: int) -> str:
    """`minutes` samples, each `every`-th of them bad; 0: none. `1x3` stands for four samples."""
    if every == 0 or every > minutes:
        return f"{good:.12g}x{minutes - 1}" if minutes > 1 else f"{good:.12g}"
    parts: list[str] = []
    left = minutes
    while left >= every:
        if every > 1:
            parts.append(f"{good:.12g}x{every - 2}" if every > 2 else f"{good:.12g}")
        parts.append(f"{bad:.12g}")
        left -= every
    if left:
        parts.append(f"{good:.12g}x{left - 1}" if left > 1 else f"{good:.12g}")
    return " ".join(parts)
