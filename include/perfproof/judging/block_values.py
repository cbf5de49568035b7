"""Values of blocks as the judge accepts them: numbers only, and in words what is wrong with them otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

from perfproof.errors import TelemetryError

SMALLEST, LARGEST = 1e-15, 1e15


def measured(values: Sequence[float | None], *, where: str) -> tuple[float, ...]:
    """`values` as floats, None as NaN. Text, truth values and other types raise TelemetryError: they are no measurement."""
    if isinstance(values, str | bytes):
        raise TelemetryError(310, where=where, what="not a list of numbers", got=values, fix="pass one number per block")
    result = []
    for position, value in enumerate(values):
        if value is None:
            result.append(math.nan)
        elif isinstance(value, bool) or not isinstance(value, Real):
            raise TelemetryError(311, where=f"{where}[{position}]", what="not a number", got=value, fix="correct the measurement")
        else:
            result.append(float(value))
    return tuple(result)


def trouble_with(before: Sequence[float], after: Sequence[float]) -> str | None:
    """Why these values decide nothing, or None. A missing value is not left out: what is missing may be the bad part."""
    for side, values in (("baseline", before), ("candidate", after)):
        if not values:
            return f"The {side} has no block."
        missing = sum(1 for v in values if not math.isfinite(v))
        if missing:
            return f"{missing} of {len(values)} blocks of the {side} have no value."
        negative = sum(1 for v in values if v < 0)
        absurd = sum(1 for v in values if v > LARGEST or 0 < v < SMALLEST)
        if negative:
            return f"{negative} of {len(values)} blocks of the {side} are negative, which this metric cannot be."
        if absurd:
            return f"{absurd} of {len(values)} blocks of the {side} are beyond anything that can be measured."
    return None
