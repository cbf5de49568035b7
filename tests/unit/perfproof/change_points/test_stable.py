"""The stable level that today is compared with: it never includes what nobody has accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from perfproof.change_points import Reference, level, stable_reference
from perfproof.telemetry import Direction


def levels(*parts: tuple[float, int]) -> list[float]:
    generator = np.random.default_rng(5)
    return (np.concatenate([np.full(n, value) for value, n in parts]) * generator.normal(1, 0.01, sum(n for _, n in parts))).tolist()


def reference(values: list[float], *accepted: int, direction: Direction = Direction.LOWER) -> Reference:
    def agreed(changes: Sequence[int]) -> list[bool]:
        return [change in accepted for change in changes]

    return stable_reference(values, direction=direction, accepted=agreed)


def test_without_a_change_everything_is_the_reference() -> None:
    """Short and empty series too."""
    for values in (levels((100, 40)), levels((100, 3)), []):
        assert reference(values) == Reference(range(len(values)), None, None)


def test_an_improvement_moves_the_reference() -> None:
    """It only raises the bar."""
    found = reference(levels((100, 30), (80, 30)))
    assert (found.segment, found.pending) == (range(30, 60), None)
    assert found.since is not None and found.since.index == 30


def test_a_regression_that_nobody_accepted_stays_outside() -> None:
    """The reference ends before it."""
    found = reference(levels((100, 30), (130, 30)))
    assert found.segment == range(30)
    assert found.pending is not None and found.pending.index == 30


def test_an_accepted_regression_moves_the_reference() -> None:
    """From then on the new level is the measure."""
    found = reference(levels((100, 30), (130, 30)), 30)
    assert (found.segment, found.pending) == (range(30, 60), None)


def test_higher_is_better_turns_it_round() -> None:
    """Less throughput is the regression."""
    assert reference(levels((100, 30), (80, 30)), direction=Direction.HIGHER).pending is not None


def test_an_incident_that_is_over_needs_no_acceptance() -> None:
    """The level came back."""
    found = reference(levels((100, 30), (200, 20), (101, 30)))
    assert (found.segment, found.pending) == (range(50, 80), None)


def test_half_a_recovery_is_none() -> None:
    """100, 200, 150: the improvement at the end does not make 150 the measure."""
    found = reference(levels((100, 30), (200, 20), (150, 30)))
    assert found.segment == range(30)
    assert found.pending is not None and found.pending.index == 30


def test_accepting_the_end_of_it_all_is_enough() -> None:
    """Whoever accepts the last level accepts it as it is."""
    found = reference(levels((100, 30), (200, 20), (150, 30)), 50)
    assert (found.segment, found.pending) == (range(50, 80), None)


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0, 2.0, 9.0], (2.0, 3)), ([math.nan, 4.0], (4.0, 1)), ([math.nan], (None, 0)), ([], (None, 0))]
)
def test_the_level_is_the_median_of_what_is_measured(values: list[float], expected: tuple[float | None, int]) -> None:
    """Missing values are left out and not counted."""
    assert level(values, range(len(values))) == expected
