"""What an expression over CloudWatch metrics comes to: its unit, and its value at each moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from perfproof.cloudwatch.expressions import Expression, Number, Operation, Period, Selection, query_text, selections
from perfproof.telemetry import Unit

NO_UNIT = "None"
SAME_FACTOR = 1e-6


class _Mismatch(Exception):
    """Why an expression has no unit at all."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A unit as powers of seconds and bytes and a factor to them; `factor` None if it is not known how large the unit is."""

    seconds: int = 0
    bytes: int = 0
    factor: float | None = 1.0

    def same_as(self, other: Measure) -> bool:
        """Whether a number in this unit is the number in the other one; a factor that is not known is left to the query."""
        if (self.seconds, self.bytes) != (other.seconds, other.bytes):
            return False
        return self.factor is None or other.factor is None or math.isclose(self.factor, other.factor, rel_tol=SAME_FACTOR)

    def combined(self, other: Measure, power: int) -> Measure:
        """The unit of a product (`power` 1) or of a quotient (-1)."""
        factor = None
        if self.factor is not None and other.factor is not None:
            factor = self.factor * (other.factor if power == 1 else 1.0 / other.factor)
            if not 0 < factor < math.inf:
                raise _Mismatch("the numbers of the query are too large or too small")
        return Measure(self.seconds + power * other.seconds, self.bytes + power * other.bytes, factor)


# Count is a bare number: a sum over a count is an average, and requests per second are 1/s.
_OF_CLOUDWATCH: Mapping[str, Measure] = {
    "Seconds": Measure(seconds=1),
    "Milliseconds": Measure(seconds=1, factor=1e-3),
    "Microseconds": Measure(seconds=1, factor=1e-6),
    "Percent": Measure(factor=0.01),
    "Count": Measure(),
    "Count/Second": Measure(seconds=-1),
    "Bytes": Measure(bytes=1),
    "Bytes/Second": Measure(bytes=1, seconds=-1),
    "Bits": Measure(bytes=1, factor=0.125),
    "Bits/Second": Measure(bytes=1, seconds=-1, factor=0.125),
}
_OF_METRICS: Mapping[Unit, Measure] = {
    Unit.MILLISECONDS: Measure(seconds=1, factor=1e-3),
    Unit.SECONDS: Measure(seconds=1),
    Unit.PER_SECOND: Measure(seconds=-1),
    Unit.PERCENT: Measure(factor=0.01),
    Unit.MEBIBYTES: Measure(bytes=1, factor=2.0**20),
    Unit.COUNT: Measure(),
    Unit.CPU_PER_REQUEST: Measure(seconds=1, factor=1e-3),
    Unit.QUERIES_PER_REQUEST: Measure(),
    Unit.ROWS_PER_REQUEST: Measure(),
    # Shares of a machine times its cores: the number of cores is no conversion, so the factor says nothing.
    Unit.CORES: Measure(factor=None),
}


def unit_objection(expression: Expression, units: Mapping[Selection, str], wanted: Unit) -> str | None:
    """Why `expression` is not in the unit `wanted`, None if it is or if nobody can know.

    `units` are CloudWatch's units of the selections, as published or as the query says. A selection without one, or with the
    unit None, leaves the unit of the whole open. A number counts as a conversion: `1000 * Seconds` are milliseconds.
    """
    try:
        found = _measure(expression, units)
    except _Mismatch as mismatch:
        return str(mismatch)
    if found is None or found.same_as(_OF_METRICS[wanted]):
        return None
    named = ", ".join(sorted({_unit_of(selection, units) or NO_UNIT for selection in selections(expression)}))
    return f"the query of {named} does not give {wanted.value}"


def _unit_of(selection: Selection, units: Mapping[Selection, str]) -> str | None:
    return "Count" if selection.statistic == "SampleCount" else units.get(selection)


def _measure(expression: Expression, units: Mapping[Selection, str]) -> Measure | None:
    if isinstance(expression, Number):
        return Measure(factor=1.0 / expression.value)
    if isinstance(expression, Period):
        return Measure(seconds=1)
    if isinstance(expression, Selection):
        unit = _unit_of(expression, units)
        return None if unit is None or unit == NO_UNIT else _of_cloudwatch(unit)
    left, right = _measure(expression.left, units), _measure(expression.right, units)
    if left is None or right is None:
        return None
    if expression.sign in "*/":
        return left.combined(right, 1 if expression.sign == "*" else -1)
    if not left.same_as(right):
        raise _Mismatch(f"{query_text(expression)} joins different units")
    return left if left.factor is not None else right


def _of_cloudwatch(unit: str) -> Measure | None:
    if unit in _OF_CLOUDWATCH:
        return _OF_CLOUDWATCH[unit]
    # CloudWatch does not say whether its kilobyte is 1000 or 1024 bytes, and publishers differ.
    if unit.partition("/")[0].endswith(("bytes", "bits")):
        return Measure(bytes=1, seconds=-1 if unit.endswith("/Second") else 0, factor=None)
    return None


def values_of(
    expression: Expression, samples: Mapping[Selection, Mapping[float, float]], *, period: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times and values of `expression`, in the order of time.

    `samples` are the samples of each selection, time to value. A time at which a selection has none is left out, unless the
    selection says `or 0` and one that does not say it has a sample then. Division by zero, and what has no finite value, is NaN.
    """
    sure = [samples[selection] for selection in selections(expression) if not selection.zero_if_absent]
    times = sorted({moment for found in sure for moment in found})
    pairs = [(moment, value) for moment in times if (value := _value(expression, samples, moment, period)) is not None]
    return tuple(moment for moment, _ in pairs), tuple(value for _, value in pairs)


def _value(expression: Expression, samples: Mapping[Selection, Mapping[float, float]], moment: float, period: float) -> float | None:
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Period):
        return period
    if isinstance(expression, Selection):
        return samples[expression].get(moment, 0.0 if expression.zero_if_absent else None)
    left, right = (_value(side, samples, moment, period) for side in (expression.left, expression.right))
    if left is None or right is None:
        return None
    return _calculated(expression, left, right)


def _calculated(expression: Operation, left: float, right: float) -> float:
    if not (math.isfinite(left) and math.isfinite(right)):
        return math.nan
    if expression.sign == "+":
        found = left + right
    elif expression.sign == "-":
        found = left - right
    elif expression.sign == "*":
        found = left * right
    else:
        found = left / right if right else math.nan
    return found if math.isfinite(found) else math.nan
