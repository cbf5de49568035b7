"""Errors judged as counts: rises against the floor in points, falls as a target, bursts, and never a pass without requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.comparison import GuardLabel, GuardVerdict, Scale, TargetLabel, judge_error_rate, judge_error_rate_target
from perfproof.config import Mode
from perfproof.errors import TelemetryError

CLEAN = [(0, 150)] * 6
pairs = st.lists(st.integers(0, 150).map(lambda k: (k, 150)), min_size=4, max_size=8)


def judged(before: list[tuple[int, int]], after: list[tuple[int, int]], *, mode: Mode = Mode.PROVED, margin: float = 0.0) -> GuardVerdict:
    """With the default floor of half a point."""
    return judge_error_rate("error_rate", before=before, after=after, floor_points=0.5, confidence=0.95, mode=mode, margin=margin)


def test_no_errors_in_enough_requests_are_no_regression() -> None:
    """0 of 900 on both sides bounds the rise below half a point, and the zero baseline has no percentage."""
    verdict = judged(CLEAN, CLEAN)
    assert (verdict.label, verdict.scale, verdict.regression_percentage) == (GuardLabel.NO_REGRESSION, Scale.POINTS, None)
    assert verdict.ci_high == pytest.approx(0.425, abs=0.001)


def test_no_errors_in_too_few_requests_prove_nothing() -> None:
    """0 of 400 leaves room for almost a whole point; the reason names the blocks that are missing."""
    verdict = judged([(0, 100)] * 4, [(0, 100)] * 4)
    assert verdict.label is GuardLabel.INCONCLUSIVE
    more = verdict.runs_needed
    assert judged([(0, 100)] * (4 + more), [(0, 100)] * (4 + more)).label is GuardLabel.NO_REGRESSION
    assert judged([(0, 100)] * (3 + more), [(0, 100)] * (3 + more)).label is GuardLabel.INCONCLUSIVE


def test_a_clear_rise_is_a_regression() -> None:
    """0.5 % to 2.1 %, as in the spec's load test, over 6,000 requests a side."""
    verdict = judged([(5, 1000)] * 6, [(21, 1000)] * 6)
    assert verdict.label is GuardLabel.REGRESSION
    assert verdict.worsening == pytest.approx(1.6)
    assert verdict.regression_percentage == pytest.approx(320)


def test_a_rise_within_the_floor_is_none() -> None:
    """0.5 % to 0.6 % over many requests is inside half a point although it is 20 % of the rate."""
    assert judged([(50, 10_000)] * 6, [(60, 10_000)] * 6).label is GuardLabel.NO_REGRESSION


def test_a_relative_margin_widens_the_floor() -> None:
    """With 20 % of a 10 % rate allowed, 11 % is inside."""
    assert judged([(1000, 10_000)] * 6, [(1100, 10_000)] * 6, margin=0.2).label is GuardLabel.NO_REGRESSION
    assert judged([(1000, 10_000)] * 6, [(1100, 10_000)] * 6).label is GuardLabel.REGRESSION


def test_one_burst_is_not_a_hundred_observations() -> None:
    """40 errors in one block of six: not proved, certainly not passed."""
    verdict = judged(CLEAN, [(40, 150), *CLEAN[1:]])
    assert verdict.label is GuardLabel.INCONCLUSIVE
    assert "bursts" in verdict.reason
    assert judged(CLEAN, [(7, 150)] * 6).label is GuardLabel.REGRESSION


@pytest.mark.parametrize("mode", list(Mode))
def test_no_requests_are_inconclusive(mode: Mode) -> None:
    """A block without a request, or no block, is no evidence of health."""
    for before, after in (([], CLEAN), (CLEAN, []), (CLEAN, [*CLEAN[:5], (0, 0)])):
        assert judged(before, after, mode=mode).label is GuardLabel.INCONCLUSIVE


def test_mode_point_takes_single_pairs() -> None:
    """One pair decides by the letter in mode point and nothing in mode proved."""
    assert judged([(5, 1000)], [(21, 1000)], mode=Mode.POINT).label is GuardLabel.REGRESSION
    assert judged([(5, 1000)], [(6, 1000)], mode=Mode.POINT).label is GuardLabel.NO_REGRESSION
    verdict = judged([(0, 10_000)], [(0, 10_000)])
    assert (verdict.label, verdict.runs_needed) == (GuardLabel.INCONCLUSIVE, 3)


@pytest.mark.parametrize("bad", [(2, 1), (-1, 10), (True, 10), (0.5, 10), (1,), (1, 2, 3)])
def test_impossible_counts_are_refused(bad: tuple[int, ...]) -> None:
    """More errors than requests, halves, truth values: TEL-312 with the place."""
    with pytest.raises(TelemetryError, match=r"TEL-312 .*candidate\[0\]"):
        judged(CLEAN, [bad])  # type: ignore[list-item]


@given(pairs, pairs)
def test_a_pass_keeps_its_interval_inside_the_floor(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    """No regression only with an upper end below half a point; regression only with a lower end above zero."""
    verdict = judged(before, after)
    assert verdict.ci_low is not None
    assert verdict.ci_high is not None
    assert (verdict.label is GuardLabel.NO_REGRESSION) == (verdict.ci_high < 0.5)
    if verdict.label is GuardLabel.REGRESSION:
        assert verdict.ci_low > 0


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        ([(20, 150)] * 6, [(4, 150)] * 6, TargetLabel.PROVED),
        ([(20, 150)] * 6, [(20, 150)] * 6, TargetLabel.INCONCLUSIVE),
        ([(20, 150)] * 6, [(16, 150)] * 6, TargetLabel.MET),
        ([(200, 1500)] * 6, [(220, 1500)] * 6, TargetLabel.SHORT),
        ([(20, 150)], [(4, 150)], TargetLabel.INCONCLUSIVE),
        (CLEAN, CLEAN, TargetLabel.INCONCLUSIVE),
    ],
)
def test_each_answer_for_an_error_rate_as_target(before: list[tuple[int, int]], after: list[tuple[int, int]], label: TargetLabel) -> None:
    """Counts decide a target too; a baseline without errors has nothing to save."""
    verdict = judge_error_rate_target("error_rate", before=before, after=after, mode=Mode.PROVED)
    assert verdict.label is label
    assert verdict.passes == (label is TargetLabel.PROVED)
