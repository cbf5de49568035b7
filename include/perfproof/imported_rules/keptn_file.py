"""Reads Keptn's `slo.yaml` (specification 1.1): objectives with criteria, what they compare with, and the total score.

Strict where Keptn is not: an unknown key, a criterion that is none, or a comparison that does not exist is an error here; there
it is ignored, counts as violated, or compares with zero. Source: github.com/keptn/spec, sre.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from perfproof.errors import ArtifactError
from perfproof.inputs.shapes import refusal
from perfproof.strict import build, read_yaml

CRITERION = re.compile(r"(<=|<|=|>=|>)([+-]?)(\d+(?:\.\d+)?|\.\d+)(%?)")
DEFAULT_RESULTS = 3
# Keys of the file that are words of Python.
PASS = "pass"  # noqa: S105  no secret
PASSING = "passing"


class CompareWith(StrEnum):
    """How many earlier evaluations a relative criterion looks at: the newest one, or `number_of_comparison_results`."""

    SINGLE = "single_result"
    SEVERAL = "several_results"


class Included(StrEnum):
    """Which earlier evaluations count."""

    PASS = "pass"  # noqa: S105  no secret
    PASS_OR_WARN = "pass_or_warn"  # noqa: S105
    ALL = "all"


class Aggregate(StrEnum):
    """What sums several earlier values up."""

    AVG = "avg"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What relative criteria compare with; the defaults are Keptn's."""

    compare_with: CompareWith = CompareWith.SINGLE
    include_result_with_score: Included = Included.ALL
    number_of_comparison_results: int = DEFAULT_RESULTS
    aggregate_function: Aggregate = Aggregate.AVG

    @property
    def results(self) -> int:
        """How many earlier evaluations are looked at, at most."""
        return 1 if self.compare_with is CompareWith.SINGLE else self.number_of_comparison_results


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition: `operator` against `value`, or, if `relative`, against the earlier value changed by it (in % if `percent`)."""

    text: str
    operator: str
    value: float
    relative: bool
    percent: bool


@dataclass(frozen=True, slots=True)
class Objective:
    """One SLI. Within a set all criteria must hold, of several sets one. Without pass sets it informs and does not count."""

    sli: str
    passing: tuple[tuple[Criterion, ...], ...]
    warning: tuple[tuple[Criterion, ...], ...]
    weight: int
    key_sli: bool


@dataclass(frozen=True, slots=True)
class Slo:
    """A whole file. `pass_percent` and `warning_percent` (None: no warning) are of the score that can be reached."""

    objectives: tuple[Objective, ...]
    comparison: Comparison
    pass_percent: float
    warning_percent: float | None


@dataclass(frozen=True, slots=True)
class _Criteria:
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Objective:
    sli: str
    displayName: str = ""
    passing: tuple[_Criteria, ...] = ()
    warning: tuple[_Criteria, ...] = ()
    weight: int = 1
    key_sli: bool = False


@dataclass(frozen=True, slots=True)
class _Total:
    passing: Any
    warning: Any = None


@dataclass(frozen=True, slots=True)
class _File:
    objectives: tuple[_Objective, ...]
    total_score: _Total
    spec_version: str = "1.0"
    filter: dict[str, str] | None = None
    scope: dict[str, str] | None = None
    comparison: Comparison = field(default_factory=Comparison)


def read_slo(data: bytes, *, where: str) -> Slo:
    """The `slo.yaml` in `data`. Raises ConfigError for another shape, ArtifactError 472 for what cannot be judged."""
    document = read_yaml(data, where=where)
    file = build(_File, _renamed(document, where=where), where=where)
    if not file.objectives:
        raise _refused(f"{where}.objectives", "no objective", "name at least one SLI")
    names = [objective.sli for objective in file.objectives]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _refused(f"{where}.objectives", "two objectives for one SLI", "merge them", got=twice)
    if file.comparison.number_of_comparison_results < 1:
        raise _refused(f"{where}.comparison.number_of_comparison_results", "below one", "write 1 or more")
    total = f"{where}.total_score"
    passing = _percent(file.total_score.passing, where=f"{total}.pass")
    warning = None if file.total_score.warning is None else _percent(file.total_score.warning, where=f"{total}.warning")
    if warning is not None and warning > passing:
        raise _refused(total, "warning above pass", "exchange them", got=f"{warning:g} above {passing:g}")
    objectives = tuple(_objective(o, where=f"{where}.objectives[{place}]") for place, o in enumerate(file.objectives))
    return Slo(objectives, file.comparison, passing, warning)


def parse_criterion(text: str, *, where: str) -> Criterion:
    """The criterion that `text` says. `<600` is absolute; a sign or a % makes it relative, and % without a sign means an increase."""
    match = CRITERION.fullmatch(text.replace(" ", ""))
    if not match:
        raise _refused(where, "not a criterion", "write an operator and a number", got=text, expected="<600, <=+10%, >=-5%, =0")
    operator, sign, figure, percent = match.groups()
    return Criterion(text, operator, float(sign.replace("+", "") + figure), bool(sign or percent), bool(percent))


def _objective(read: _Objective, *, where: str) -> Objective:
    if read.weight < 1:
        raise _refused(f"{where}.weight", "below one", "leave out criteria to make an SLI count for nothing", got=read.weight)
    sets = {
        name: tuple(
            tuple(parse_criterion(text, where=f"{where}.{name}[{place}]") for text in one.criteria) for place, one in enumerate(given)
        )
        for name, given in ((PASS, read.passing), ("warning", read.warning))
    }
    for name, given in sets.items():
        if not all(given):
            raise _refused(f"{where}.{name}", "an empty list of criteria, which every value would meet", "remove it")
    return Objective(read.sli, sets[PASS], sets["warning"], read.weight, read.key_sli)


def _percent(given: Any, *, where: str) -> float:
    """`90%`, or 90."""
    text = given.strip().removesuffix("%") if isinstance(given, str) else given
    try:
        percent = math.nan if isinstance(text, bool | None) else float(text)
    except (TypeError, ValueError):
        percent = math.nan
    if not 0 < percent <= 100:
        raise _refused(where, "not a percentage", "write one above 0 and up to 100", got=given, expected="90%")
    return percent


def _renamed(document: dict[str, Any], *, where: str) -> dict[str, Any]:
    """`document` with `pass` called `passing`, in the places where it is a key. What has another shape is left to `build`."""
    result = dict(document)
    if "total_score" in result:
        result["total_score"] = _rename(result["total_score"], where=f"{where}.total_score")
    if isinstance(result.get("objectives"), list):
        result["objectives"] = [_rename(one, where=f"{where}.objectives[{i}]") for i, one in enumerate(result["objectives"])]
    # Keptn's own files leave empty mappings standing: `filter:`.
    return {key: value for key, value in result.items() if value is not None or key not in ("filter", "scope", "comparison")}


def _rename(value: Any, *, where: str) -> Any:
    if not isinstance(value, dict):
        return value
    if PASSING in value:
        raise _refused(f"{where}.{PASSING}", "unknown key", "write pass", expected=PASS)
    return {PASSING if key == PASS else key: inner for key, inner in value.items() if inner is not None}


def _refused(where: str, what: str, fix: str, *, got: Any = None, expected: Any = None) -> ArtifactError:
    return refusal(472, where, what, fix, got=got, expected=expected)
