"""Holm's correction against the step-down rule as it is written in the paper."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.multiplicity import holm


def step_down(p_values: list[float], level: float) -> set[int]:
    """Oracle: go through the sorted p values, stop at the first above level / (those left)."""
    claimed: set[int] = set()
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, index in enumerate(order):
        if p_values[index] * (len(p_values) - rank) > level:
            break
        claimed.add(index)
    return claimed


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.5))
def test_claims_are_those_of_the_step_down_rule(p_values: list[float], level: float) -> None:
    """adjusted p <= level exactly where the rule claims."""
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == step_down(p_values, level)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusting_never_makes_a_p_smaller(p_values: list[float]) -> None:
    """More claims never make one of them easier."""
    assert all(a >= p for a, p in zip(holm(p_values), p_values, strict=True))
