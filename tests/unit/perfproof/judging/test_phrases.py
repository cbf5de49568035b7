"""Words and figures of a reason: never a figure that looks like it is on the other side of its bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.judging.phrases import between, figure, more_blocks, spread_warning, too_few, worse_or_better


@pytest.mark.parametrize(
    ("value", "expected"), [(28.888, "28.9"), (14.96, "14.96"), (14.9996, "14.9996"), (15.0, "15.0"), (15.04, "15.04"), (-0.0, "0.0")]
)
def test_figures_show_on_which_side_of_the_bound_they_are(value: float, expected: str) -> None:
    """One decimal, more only next to 15."""
    assert figure(value, bound=15.0) == expected


@given(st.integers(0, 3_000_000).map(lambda v: v / 100_000))
def test_a_figure_never_crosses_its_bound(value: float) -> None:
    """What is printed compares with 15 as the value does."""
    shown = float(figure(value, bound=15.0))
    assert (shown < 15) == (value < 15)
    assert (shown > 15) == (value > 15)


def test_singular_and_plural() -> None:
    """One block is, two blocks are; and an endless number says what to do instead."""
    assert more_blocks(1) == "About 1 more block a side would decide."
    assert "quieter metric" in more_blocks(1000)
    assert too_few((1, 6), 4).endswith("3 more a side are needed.")
    assert too_few((3, 6), 4).endswith("1 more a side is needed.")
    assert worse_or_better(-3.14, "%") == "3.1 % better"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.0, 2.26, "1.0 to 2.3 %"),
        (1.0, math.inf, "1.0 % or more"),
        (-math.inf, 2.0, "up to 2.0 %"),
        (-math.inf, math.inf, "without ends"),
    ],
)
def test_an_interval_without_an_end_is_told_in_words(low: float, high: float, expected: str) -> None:
    """Nobody reads inf."""
    assert between(low, high, "%") == expected


def test_what_has_no_bound_is_told_in_words() -> None:
    """Both directions."""
    assert (worse_or_better(math.inf, "%"), worse_or_better(-math.inf, "%")) == ("worse without a bound", "better without a bound")


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (0.0, "The baseline's blocks vary, the candidate's do not (p 0.001)"),
        (math.inf, "The candidate's blocks vary, the baseline's do not (p 0.001)"),
        (4.0, "vary 4.0 times more"),
        (0.25, "vary 4.0 times less"),
        (1e-15, "vary over 1000 times less"),
    ],
)
def test_a_side_that_does_not_vary_is_told_as_that(ratio: float, expected: str) -> None:
    """A ratio with zero has no figure."""
    told = spread_warning(ratio, 0.001)
    assert expected in told and "inf" not in told and "nan" not in told
