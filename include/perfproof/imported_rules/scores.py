"""A score of which a part is unknown: what is certain, and what is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What an imported rule says in the end. `warning` is Keptn's warning and Kayenta's marginal."""

    PASS = "pass"  # noqa: S105  no secret
    WARNING = "warning"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most that a figure can be, once what is unknown were known."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether nothing unknown plays a part."""
        return self.low == self.high


def certain(low: Answer, high: Answer) -> Answer:
    """The answer if the worst and the best case agree on it; else nothing is decided."""
    return low if low is high else Answer.INCONCLUSIVE


def all_of(conditions: Iterable[bool | None]) -> bool | None:
    """Whether all hold, None where that depends on an unknown one (Kleene's strong logic)."""
    found = list(conditions)
    return False if False in found else None if None in found else True


def any_of(conditions: Iterable[bool | None]) -> bool | None:
    """Whether one holds, None where that depends on an unknown one."""
    found = list(conditions)
    return True if True in found else None if None in found else False


def by_thresholds(passing: float, warning: float | None) -> Callable[[float], Answer]:
    """From a score to the answer: pass from `passing`, warning from `warning`, else fail."""

    def answer(score: float) -> Answer:
        if score >= passing:
            return Answer.PASS
        return Answer.WARNING if warning is not None and score >= warning else Answer.FAIL

    return answer
