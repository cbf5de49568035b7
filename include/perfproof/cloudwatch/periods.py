"""Which periods CloudWatch still has for which age, and where its samples lie on the time line."""

from __future__ import annotations

import math
from dataclasses import dataclass

HOUR, DAY = 3600, 86_400
# Shorter than a minute CloudWatch takes these only, and multiples of a minute above.
SHORT_PERIODS = (1, 5, 10, 20, 30)
# (age of the oldest sample in seconds, what the period must be a multiple of from then on)
KEPT = ((3 * HOUR, 60), (15 * DAY, 300), (63 * DAY, 3600))
KEPT_AT_ALL = 455 * DAY


@dataclass(frozen=True, slots=True)
class Periods:
    """Whole periods: CloudWatch stamps their starts `first`, `first + length`, … before `behind`; a Series stamps their ends."""

    first: int
    behind: int
    length: int

    @property
    def count(self) -> int:
        """How many periods there are."""
        return max(0, (self.behind - self.first) // self.length)


def step_objection(step: float, *, age: float) -> str | None:
    """Why CloudWatch has no samples of `step` seconds whose oldest is `age` seconds old, with the step to use; None if it has."""
    if age > KEPT_AT_ALL:
        return f"CloudWatch keeps nothing for more than {KEPT_AT_ALL // DAY} days"
    multiple = next((multiple for oldest, multiple in reversed(KEPT) if age > oldest), None)
    if multiple is None:
        if step in SHORT_PERIODS or (step >= 60 and step % 60 == 0):
            return None
        longer = [period for period in SHORT_PERIODS if period > step]
        usable: float = longer[0] if longer else 60 * math.ceil(step / 60)
        return f"CloudWatch has periods of {', '.join(map(str, SHORT_PERIODS))} or whole minutes: use a step of {usable} s"
    if step >= multiple and step % multiple == 0:
        return None
    usable = multiple * max(1, math.ceil(step / multiple))
    return f"CloudWatch keeps samples of this age for each {multiple} s only: use a step of {usable} s"


def whole_periods(start: float, end: float, step: float, *, settled: float) -> Periods:
    """The periods of `step` seconds (whole seconds) that end after `start - step` and not after `end`.

    Periods begin at multiples of their length since the epoch, so a window that does not is measured by those that end in it.
    Periods that end after `settled` are left out: what was published late may still be missing from them.
    """
    length = round(step)
    first = math.floor((start - length + 1e-6) / length) * length
    behind = math.floor((min(end, settled) + 1e-6) / length) * length
    return Periods(first, max(first, behind), length)
