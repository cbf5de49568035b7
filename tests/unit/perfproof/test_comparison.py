"""The judge's rules: the spec's samples, the three answers for the target, the three for a guard, and never a pass by default."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.comparison import (
    GuardLabel,
    GuardVerdict,
    Scale,
    TargetLabel,
    TargetVerdict,
    blocks_at_least,
    judge_guard,
    judge_target,
)
from perfproof.config import Mode
from perfproof.errors import ConfigError, TelemetryError
from perfproof.telemetry import Direction, Unit

STEADY = (100.0, 101.0, 99.0, 100.5, 99.5, 100.2)
NOISY = (100.0, 150.0, 70.0, 120.0, 60.0, 90.0)
block_values = st.lists(st.integers(10, 10_000).map(lambda v: v / 10), min_size=4, max_size=7)


def target(
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    mode: Mode = Mode.PROVED,
    direction: Direction = Direction.LOWER,
    threshold: float = 15.0,
    ordered: bool = True,
) -> TargetVerdict:
    """The verdict on a latency."""
    return judge_target(
        "api_latency_p95", Unit.MILLISECONDS, direction, before, after, threshold_percent=threshold, mode=mode, ordered=ordered
    )


def guard(
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    mode: Mode = Mode.PROVED,
    direction: Direction = Direction.LOWER,
    margin: float = 0.05,
    floor: float = 0.0,
    trend: bool = False,
    ordered: bool = True,
    paired: bool = False,
) -> GuardVerdict:
    """The verdict on a guard in percent."""
    return judge_guard(
        "memory_utilization", Unit.PERCENT, direction, before, after,
        margin=margin, floor=floor, mode=mode, trend=trend, ordered=ordered, paired=paired,
    )  # fmt: skip


def scaled(values: Sequence[float], factor: float) -> list[float]:
    """Each value times `factor`."""
    return [v * factor for v in values]


def test_sample_450_to_320_is_met_in_mode_point() -> None:
    """Spec lines 268-292 and 379-385: 28.9 % meets 15 % by the letter, and the blocks for a proof are named."""
    verdict = target([450], [320], mode=Mode.POINT)
    assert (verdict.label, verdict.passes, verdict.meets_threshold) == (TargetLabel.MET, True, True)
    assert verdict.improvement_percent == pytest.approx(28.888888)
    assert verdict.absolute == 130
    assert (verdict.ci_low, verdict.ci_high, verdict.runs_needed) == (None, None, 3)


def test_sample_450_to_320_is_inconclusive_in_mode_proved() -> None:
    """A single pair proves nothing."""
    verdict = target([450], [320])
    assert (verdict.label, verdict.passes, verdict.runs_needed) == (TargetLabel.INCONCLUSIVE, False, 3)
    assert "3 more a side are needed" in verdict.reason


def test_sample_450_to_420_is_short() -> None:
    """Spec lines 369-376: 6.7 % is short of 15 % in mode point, and undecided from one pair in mode proved."""
    verdict = target([450], [420], mode=Mode.POINT)
    assert (verdict.label, verdict.passes, verdict.meets_threshold) == (TargetLabel.SHORT, False, False)
    assert target([450], [420]).label is TargetLabel.INCONCLUSIVE


def test_sample_memory_75_to_88_is_a_regression() -> None:
    """Spec lines 391-405: 17.3 % more memory."""
    verdict = guard([75], [88], mode=Mode.POINT)
    assert verdict.label is GuardLabel.REGRESSION
    assert verdict.regression_percentage == pytest.approx(17.3333333)
    assert guard([75], [88]).label is GuardLabel.INCONCLUSIVE
    assert guard([75] * 4, [88] * 4).label is GuardLabel.REGRESSION


@pytest.mark.parametrize(("after", "label"), [(85.001, TargetLabel.SHORT), (85.0, TargetLabel.MET), (84.999, TargetLabel.MET)])
def test_threshold_is_judged_on_the_unrounded_value(after: float, label: TargetLabel) -> None:
    """14.999 % is short, 15 % and 15.001 % are not."""
    verdict = target([100], [after], mode=Mode.POINT)
    assert verdict.label is label
    assert ("14.999" in verdict.reason) == (label is TargetLabel.SHORT)


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        (STEADY, scaled(STEADY, 0.6), TargetLabel.PROVED),
        (STEADY, scaled(STEADY, 0.95), TargetLabel.SHORT),
        (STEADY, scaled(STEADY, 0.88), TargetLabel.SHORT),
        (STEADY, scaled(STEADY, 1.2), TargetLabel.SHORT),
        (NOISY, scaled(NOISY, 0.8), TargetLabel.MET),
        (NOISY, scaled(NOISY, 0.9), TargetLabel.INCONCLUSIVE),
    ],
)
def test_each_answer_for_the_target(before: Sequence[float], after: Sequence[float], label: TargetLabel) -> None:
    """proved, short, met and inconclusive each have their case; only proved passes, undecided ones name how many blocks are missing."""
    verdict = target(before, after)
    assert verdict.label is label
    assert verdict.passes == (label is TargetLabel.PROVED)
    assert (verdict.runs_needed > 0) == (label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE))
    assert verdict.reason.endswith(".")


def test_mode_point_follows_the_estimate_even_with_blocks() -> None:
    """With the same noisy blocks the letter of the spec passes 20 % and fails 10 %."""
    assert target(NOISY, scaled(NOISY, 0.8), mode=Mode.POINT).passes
    assert target(NOISY, scaled(NOISY, 0.9), mode=Mode.POINT).label is TargetLabel.SHORT


@pytest.mark.parametrize("size", [1, 2, 3])
def test_fewer_than_four_blocks_a_side_never_pass_in_mode_proved(size: int) -> None:
    """However clear the difference; and the missing number is exact."""
    verdict = target([100.0, 101.0, 102.0][:size], [10.0, 11.0, 12.0][:size])
    assert (verdict.label, verdict.passes, verdict.runs_needed) == (TargetLabel.INCONCLUSIVE, False, 4 - size)
    assert guard([100.0, 101.0, 102.0][:size], [100.0, 101.0, 102.0][:size]).label is GuardLabel.INCONCLUSIVE
    assert target(STEADY, [10.0] * size).label is TargetLabel.INCONCLUSIVE


def test_higher_confidence_asks_for_more_blocks() -> None:
    """At 99 % four a side have no interval."""
    assert (blocks_at_least(0.8), blocks_at_least(0.95), blocks_at_least(0.99)) == (4, 4, 5)
    verdict = judge_target("m", Unit.SECONDS, Direction.LOWER, STEADY[:4], scaled(STEADY[:4], 0.5), mode=Mode.PROVED, confidence=0.99)
    assert (verdict.label, verdict.runs_needed) == (TargetLabel.INCONCLUSIVE, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, -1.0, 1e300, 1e-300])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_missing_or_impossible_value_is_inconclusive(bad: float | None, mode: Mode) -> None:
    """It is not left out: a block without a value may be the one that went wrong."""
    for before, after in ((STEADY, [*scaled(STEADY[:5], 0.5), bad]), ([*STEADY[:5], bad], scaled(STEADY, 0.5))):
        assert (target(before, after, mode=mode).label, target(before, after, mode=mode).passes) == (TargetLabel.INCONCLUSIVE, False)
        assert guard(before, after, mode=mode).label is GuardLabel.INCONCLUSIVE
        assert "1 of 6 blocks" in guard(before, after, mode=mode).reason


@pytest.mark.parametrize("mode", list(Mode))
def test_no_blocks_are_inconclusive(mode: Mode) -> None:
    """No data is not a good result."""
    for before, after in (([], STEADY), (STEADY, []), ([], [])):
        verdict = target(before, after, mode=mode)
        assert (verdict.label, verdict.passes, verdict.baseline) == (TargetLabel.INCONCLUSIVE, False, None)
        assert guard(before, after, mode=mode).label is GuardLabel.INCONCLUSIVE


@pytest.mark.parametrize("bad", ["450", True, [1.0], b"1"])
def test_text_is_no_measurement(bad: object) -> None:
    """Text, truth values and lists are refused with their place."""
    with pytest.raises(TelemetryError, match=r"TEL-311 .*candidate\[1\]"):
        target([450.0, 1.0], [320.0, bad])  # type: ignore[list-item]
    with pytest.raises(TelemetryError, match="TEL-310"):
        guard("75", [88.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        (STEADY, STEADY, GuardLabel.NO_REGRESSION),
        (STEADY, scaled(STEADY, 0.5), GuardLabel.NO_REGRESSION),
        (STEADY, scaled(STEADY, 1.02), GuardLabel.NO_REGRESSION),
        (STEADY, scaled(STEADY, 1.2), GuardLabel.REGRESSION),
        (NOISY, NOISY, GuardLabel.INCONCLUSIVE),
        (NOISY, scaled(NOISY, 1.1), GuardLabel.INCONCLUSIVE),
        (STEADY, [100.0, 101.0, 99.0, 150.0, 50.0, 100.2], GuardLabel.INCONCLUSIVE),
    ],
)
def test_each_answer_for_a_guard(before: Sequence[float], after: Sequence[float], label: GuardLabel) -> None:
    """Not significant is not "no regression": identical but noisy sides stay undecided, and so does grown variance alone."""
    verdict = guard(before, after)
    assert verdict.label is label
    assert (verdict.runs_needed > 0) == (label is GuardLabel.INCONCLUSIVE)


def test_a_guard_where_higher_is_better_regresses_when_it_falls() -> None:
    """20 % less throughput is a regression, 20 % more is none."""
    assert guard(STEADY, scaled(STEADY, 0.8), direction=Direction.HIGHER).label is GuardLabel.REGRESSION
    verdict = guard(STEADY, scaled(STEADY, 1.2), direction=Direction.HIGHER)
    assert verdict.label is GuardLabel.NO_REGRESSION
    assert verdict.worsening is not None
    assert verdict.worsening < 0


@pytest.mark.parametrize(
    ("after", "floor", "label"),
    [(8.0, 0.5, GuardLabel.REGRESSION), (5.3, 0.5, GuardLabel.NO_REGRESSION), (5.3, 0.2, GuardLabel.REGRESSION)],
)
def test_the_larger_of_margin_and_floor_counts(after: float, floor: float, label: GuardLabel) -> None:
    """5 to 5.3 is 6 %: inside a floor of 0.5, outside one of 0.2 where 5 % (0.25) rules."""
    verdict = guard([5.0], [after], floor=floor, mode=Mode.POINT)
    assert verdict.label is label
    assert verdict.margin == pytest.approx(100 * max(0.05, floor / 5.0))


def test_exactly_the_margin_is_no_regression() -> None:
    """ "More than" its margin, on paper digits: 0.1 to 0.105 is exactly 5 %."""
    assert guard([0.1], [0.105], mode=Mode.POINT).label is GuardLabel.NO_REGRESSION
    assert guard([0.1], [0.1050001], mode=Mode.POINT).label is GuardLabel.REGRESSION
    assert guard([0.1] * 4, [0.105] * 4).label is GuardLabel.NO_REGRESSION


def test_constant_and_equal_is_no_difference_at_all() -> None:
    """49 queries in every block of both sides."""
    verdict = guard([49] * 6, [49] * 6)
    assert (verdict.label, verdict.worsening, verdict.ci_low, verdict.ci_high) == (GuardLabel.NO_REGRESSION, 0.0, 0.0, 0.0)
    assert verdict.reason.startswith("No difference at all")


@pytest.mark.parametrize(("after", "label"), [(2, GuardLabel.NO_REGRESSION), (50, GuardLabel.NO_REGRESSION), (52, GuardLabel.REGRESSION)])
def test_differing_constants_are_judged_directly(after: float, label: GuardLabel) -> None:
    """Without noise the difference itself decides, and the reason says that there was none."""
    verdict = guard([49] * 6, [after] * 6)
    assert verdict.label is label
    assert "No noise" in verdict.reason


def test_constant_target_is_judged_directly_and_says_so() -> None:
    """An exact 15 % without noise is reached, 14.9 % is not."""
    reached, missed = target([100] * 4, [85] * 4), target([100] * 4, [85.1] * 4)
    assert (reached.label, missed.label) == (TargetLabel.PROVED, TargetLabel.SHORT)
    assert reached.ci_low == reached.ci_high == 15.0
    assert "No noise" in reached.reason


def test_zero_baseline_is_compared_with_the_floor() -> None:
    """No share of zero exists, so the difference in the unit is judged; percentages are absent, not zero."""
    assert guard([0.0] * 6, [0.0] * 6, floor=0.5).label is GuardLabel.NO_REGRESSION
    verdict = guard([0.0] * 6, [2.0, 2.1, 1.9, 2.0, 2.2, 2.0], floor=0.5)
    assert (verdict.label, verdict.scale, verdict.margin) == (GuardLabel.REGRESSION, Scale.UNIT, 0.5)
    assert (verdict.worsening_percent, verdict.regression_percentage, verdict.margin_percent) == (None, None, None)
    assert guard([0.0] * 6, [0.1] * 6, floor=0.5).label is GuardLabel.NO_REGRESSION
    assert guard([0.0], [0.6], floor=0.5, mode=Mode.POINT).label is GuardLabel.REGRESSION
    assert guard([0.0] * 6, [0, 0, 0, 0, 0, 9.0], floor=0.5).label is GuardLabel.INCONCLUSIVE


def test_a_zero_among_the_values_is_no_trap() -> None:
    """Logarithms do not exist there; the difference by the median of the baseline is used."""
    assert guard([10.0, 0.0, 10.0, 10.1, 9.9, 10.0], [20.0, 20.1, 19.9, 20.0, 20.0, 20.0]).label is GuardLabel.REGRESSION
    assert target(STEADY, [0.0] * 6).label is TargetLabel.PROVED
    assert target(STEADY, [0.0] * 6).improvement_percent == 100


@pytest.mark.parametrize("mode", list(Mode))
def test_a_zero_baseline_of_the_target_is_inconclusive(mode: Mode) -> None:
    """There is nothing to improve by 15 %."""
    verdict = target([0.0] * 4, [0.0] * 4, mode=mode)
    assert (verdict.label, verdict.improvement_percent) == (TargetLabel.INCONCLUSIVE, None)


def test_memory_that_grows_from_block_to_block_does_not_pass() -> None:
    """Inside the margin today (at most 7.5 % of 9 %), outside it after as many blocks again: undecided until measured longer."""
    leak = [67.0, 68.0, 69.0, 70.0, 71.0, 72.0]
    assert guard([67.0] * 6, leak, floor=6, ordered=False).label is GuardLabel.NO_REGRESSION
    verdict = guard([67.0] * 6, leak, floor=6, trend=True)
    assert (verdict.label, verdict.runs_needed) == (GuardLabel.INCONCLUSIVE, 6)
    assert "grows from block to block" in verdict.reason


def test_growth_of_both_sides_is_no_leak_of_the_candidate() -> None:
    """Two processes that warm up alike cancel block by block."""
    warming = [60.0, 61.0, 61.8, 62.2, 62.4, 62.5]
    assert guard(warming, warming, floor=6, trend=True, paired=True).label is GuardLabel.NO_REGRESSION


def test_a_process_that_warms_up_is_no_leak() -> None:
    """A fresh candidate beside a warm baseline grows at first and then stays: it passes, a steady leak to the same size does not."""
    warm = [67.0, 67.1, 67.0, 67.1, 67.0, 67.1]
    assert guard(warm, [50.0, 60.0, 64.0, 66.0, 66.3, 66.5], floor=6, trend=True).label is GuardLabel.NO_REGRESSION
    assert guard(warm, [57.0, 59.5, 62.0, 64.5, 67.0, 69.5], floor=6, trend=True).label is GuardLabel.INCONCLUSIVE


def test_a_regression_that_still_grows_says_so() -> None:
    """The label stays, the reason adds the growth."""
    verdict = guard([67.0] * 6, [80.0, 85.0, 90.0, 95.0, 100.0, 105.0], floor=6, trend=True)
    assert verdict.label is GuardLabel.REGRESSION
    assert "still growing" in verdict.reason


def test_falling_throughput_is_growth_of_the_worse_kind() -> None:
    """The trend looks into the worse direction of the metric."""
    fading = [100.0, 99.5, 99.0, 98.5, 98.0, 97.5]
    assert guard([100.0] * 6, fading, direction=Direction.HIGHER, trend=True).label is GuardLabel.INCONCLUSIVE
    assert guard([100.0] * 6, fading, direction=Direction.LOWER, trend=True).label is GuardLabel.NO_REGRESSION


@pytest.mark.parametrize(("margin", "floor"), [(-0.1, 0.0), (0.05, -1.0), (math.nan, 0.0), (0.05, math.inf)])
def test_a_margin_must_be_a_margin(margin: float, floor: float) -> None:
    """A negative or missing margin would pass or fail everything."""
    with pytest.raises(ConfigError, match="CFG-190"):
        guard(STEADY, STEADY, margin=margin, floor=floor)


@given(block_values, block_values, st.sampled_from([0.25, 0.5, 2.0, 1024.0]))
def test_verdicts_do_not_depend_on_the_scale(before: list[float], after: list[float], factor: float) -> None:
    """In seconds or milliseconds the label is the same and the interval too."""
    here, there = target(before, after), target(scaled(before, factor), scaled(after, factor))
    assert (here.label, here.runs_needed) == (there.label, there.runs_needed)
    assert here.ci_low == pytest.approx(there.ci_low, rel=1e-9, abs=1e-6)
    assert guard(before, after, floor=3).label is guard(scaled(before, factor), scaled(after, factor), floor=3 * factor).label


@given(block_values, block_values, st.randoms(use_true_random=False))
def test_verdicts_do_not_depend_on_the_order_of_blocks(before: list[float], after: list[float], shuffler: object) -> None:
    """If the order tells nothing of neighbours, the same blocks in another order give the same verdict, byte for byte."""
    x, y = list(before), list(after)
    shuffler.shuffle(x)  # type: ignore[attr-defined]
    shuffler.shuffle(y)  # type: ignore[attr-defined]
    assert repr(target(x, y, ordered=False)) == repr(target(before, after, ordered=False))
    assert repr(guard(x, y, ordered=False)) == repr(guard(before, after, ordered=False))


@given(block_values, block_values)
def test_the_other_direction_mirrors_the_figures(before: list[float], after: list[float]) -> None:
    """What is an improvement if lower is better is the same worsening if higher is."""
    lower, higher = target(before, after), target(before, after, direction=Direction.HIGHER)
    assert lower.improvement_percent == -(higher.improvement_percent or 0.0)
    assert lower.ci_low == pytest.approx(-(higher.ci_high or 0.0))
    assert not (lower.passes and higher.passes)


@given(block_values, block_values, st.sampled_from(list(Mode)))
def test_no_pass_contradicts_its_own_figures(before: list[float], after: list[float], mode: Mode) -> None:
    """A pass has a plain improvement of at least 15 %, in mode proved a whole interval too; a kept guard has its interval inside."""
    verdict = target(before, after, mode=mode)
    if verdict.passes:
        assert verdict.meets_threshold
        assert (verdict.improvement_percent or 0.0) >= 15
        assert mode is Mode.POINT or (verdict.ci_low or 0.0) >= 15 - 1e-9
    kept = guard(before, after)
    if kept.label is GuardLabel.NO_REGRESSION:
        assert kept.ci_high is not None
        assert kept.margin is not None
        assert kept.ci_high < kept.margin or len({*before}) == len({*after}) == 1


@given(st.lists(st.floats(0), min_size=1, max_size=6), st.lists(st.floats(0), min_size=1, max_size=6), st.sampled_from(list(Mode)))
def test_any_floats_give_a_verdict_and_no_exception(before: list[float], after: list[float], mode: Mode) -> None:
    """From nothing over 1e-300 to infinity and NaN there is an answer, and what is not finite never passes."""
    verdict, kept = target(before, after, mode=mode), guard(before, after, trend=True, mode=mode)
    if not all(math.isfinite(v) for v in (*before, *after)):
        assert (verdict.label, verdict.passes) == (TargetLabel.INCONCLUSIVE, False)
        assert kept.label is GuardLabel.INCONCLUSIVE
    for figure in (verdict.ci_low, verdict.ci_high, verdict.improvement_percent, kept.worsening, kept.ci_high):
        assert figure is None or math.isfinite(figure)
