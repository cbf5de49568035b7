"""The figures of `make bench`: an interval that is too narrow, or a goal that is never missed, would be worse than none."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import pytest
from modules import load

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of bench by its name; they import each other by theirs."""
    monkeypatch.syspath_prepend(str(BENCH))
    return lambda name: load(name, BENCH / f"{name}.py")


def test_the_rank_is_the_largest_that_keeps_the_confidence(bench: Any) -> None:
    """Against counting all outcomes of coins: the median lies outside of two order statistics in 5 % of them at most."""
    rank_of = bench("paired").rank_of
    for pairs in range(1, 15):
        heads = [sum(coins) for coins in itertools.product((0, 1), repeat=pairs)]
        outside = [sum(min(h, pairs - h) < rank for h in heads) / len(heads) for rank in range(pairs // 2 + 2)]
        kept = [rank for rank, share in enumerate(outside) if share <= 0.05 and rank <= pairs // 2]
        assert rank_of(pairs) == max(kept)


def test_the_interval_holds_the_true_median(bench: Any) -> None:
    """In 95 of 100 repetitions or more, whatever the ratios' distribution."""
    paired, draw = bench("paired"), random.Random(11)
    held = 0
    for _ in range(1000):
        found = paired.summary_of([math.exp(draw.gauss(0, 0.5)) for _ in range(11)])
        held += found.low <= 1.0 <= found.high
    assert held >= 940


def test_few_pairs_have_no_interval(bench: Any) -> None:
    """Five pairs cannot enclose a median at 95 %, six can."""
    paired = bench("paired")
    assert paired.ratio_of([2.0] * 5, [1.0] * 5) == paired.Ratio(2.0, None, None, 5)
    assert paired.ratio_of([2.0] * 6, [1.0] * 6) == paired.Ratio(2.0, 2.0, 2.0, 6)


def test_both_ways_take_turns(bench: Any) -> None:
    """In the order ABBA, and each in its own place of the ratio."""
    order: list[str] = []

    def way(name: str, seconds: float) -> Any:
        return lambda: (order.append(name), seconds)[1]

    found = bench("paired").in_turns(way("a", 3.0), way("b", 2.0), pairs=4)
    assert "".join(order) == "abbaabba"
    assert found.median == 1.5


@pytest.mark.parametrize(("low", "median", "words"), [(1.05, 1.1, "met"), (1.05, 1.25, "open"), (1.21, 1.25, "missed")])
def test_a_goal_is_missed_when_the_whole_interval_lies_above_it(bench: Any, low: float, median: float, words: str) -> None:
    """And met when the median is not."""
    table, ratio = bench("overhead_table"), bench("paired").Ratio
    line = table.Line("x", ratio(median, low, 2.0, 9), 1.2)
    assert line.row().endswith(f"1.2, {words} |\n")
    assert line.missed is (words == "missed")
    assert not table.Line("x", ratio(median, low, 2.0, 9)).missed
