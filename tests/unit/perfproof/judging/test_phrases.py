"""Words and figures of a reason: never a figure that looks like it is on the other side of its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.judging.phrases import figure, more_blocks, too_few, worse_or_better


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
