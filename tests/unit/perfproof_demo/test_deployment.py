"""Names of optimizations and builds."""

from __future__ import annotations

import pytest

from perfproof_demo.deployment import content_id, parse_optimizations
from perfproof_demo.errors import DemoError
from perfproof_demo.settings import Optimization


def test_names_and_ids_of_the_protocol_file_mean_the_same() -> None:
    """OPT-002 is batch; order and repetition do not matter."""
    assert parse_optimizations(["batch", "OPT-001", "OPT-002"]) == (Optimization.INDEX, Optimization.BATCH)


@pytest.mark.parametrize("names", [[], ["none"], [""]])
def test_none_is_no_optimization(names: list[str]) -> None:
    """`make demo OPTIMIZATION=none` deploys unchanged code."""
    assert parse_optimizations(names) == ()


def test_an_unknown_name_is_refused_by_name() -> None:
    """A typing slip must not become a deployment without an optimization."""
    with pytest.raises(DemoError, match=r"indx.*index"):
        parse_optimizations(["indx"])


def test_a_build_is_told_apart_by_its_optimizations() -> None:
    """The same code with other optimizations is other content; their order is none."""
    ids = {content_id(()), content_id((Optimization.INDEX,)), content_id((Optimization.INDEX, Optimization.BATCH))}
    assert len(ids) == 3
    assert content_id((Optimization.BATCH, Optimization.INDEX)) in ids
