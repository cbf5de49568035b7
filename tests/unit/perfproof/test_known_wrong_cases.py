"""What other judges of performance are known to get wrong, one named test each, and right here.

Kayenta, Keptn, Otava, asv, benchstat and Locust are named where the case was reported or is documented of them.
"""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest

from perfproof.calibration import calibrate
from perfproof.change_points import find_changes, last_stable_segment
from perfproof.comparison import (
    GuardLabel,
    GuardVerdict,
    TargetLabel,
    judge_error_rate,
    judge_error_rate_target,
    judge_guard,
    judge_target,
)
from perfproof.config import Mode
from perfproof.statistics.counts import chance_of_more
from perfproof.statistics.percentiles import percentile, percentile_interval, smallest_sample
from perfproof.telemetry import Direction, Unit

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 100.8, 99.7]
NOISY = [100.0, 150.0, 70.0, 120.0, 60.0, 90.0, 135.0, 80.0]


def guard(
    before: list[float] | list[float | None], after: list[float] | list[float | None], *, margin: float = 0.05, floor: float = 0.0
) -> GuardVerdict:
    """A guard where lower is better."""
    return judge_guard("m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=margin, floor=floor, mode=Mode.PROVED)


def errors(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> GuardVerdict:
    """The error rate with a floor of half a point."""
    return judge_error_rate("error_rate", before=before, after=after, floor_points=0.5, confidence=0.95)


def test_no_data_is_no_full_score() -> None:
    """Kayenta scores a group of metrics without data as 100: here nothing, None and NaN on either side decide nothing."""
    for before, after in (([], STEADY), (STEADY, []), ([], []), (STEADY, [None] * 8), ([math.nan] * 8, STEADY)):
        verdict = guard(list(before), list(after))
        assert verdict.label is GuardLabel.INCONCLUSIVE
        assert verdict.runs_needed >= 1
    assert errors([], []).label is GuardLabel.INCONCLUSIVE


def test_one_missing_block_is_neither_filled_nor_dropped() -> None:
    """A block without a value may be the one that went wrong: seven good ones do not pass for eight."""
    assert guard(STEADY, [*STEADY[:7], None]).label is GuardLabel.INCONCLUSIVE
    assert "1 of 8 blocks of the candidate have no value" in guard(STEADY, [*STEADY[:7], None]).reason


def test_a_zero_baseline_is_compared() -> None:
    """Kayenta #799 and #377: no ratio to zero exists, so the difference and the floor decide, for errors and for gauges."""
    assert errors([(0, 400)] * 6, [(20, 400)] * 6).label is GuardLabel.REGRESSION
    assert guard([0.0] * 8, [3.0, 3.1, 2.9, 3.0, 3.2, 2.8, 3.0, 3.1], floor=0.5).label is GuardLabel.REGRESSION
    assert guard([0.0] * 8, [0.0] * 8, floor=0.5).label is GuardLabel.NO_REGRESSION
    target = judge_error_rate_target("error_rate", before=[(0, 400)] * 6, after=[(0, 400)] * 6, mode=Mode.PROVED)
    assert (target.label, target.passes) == (TargetLabel.INCONCLUSIVE, False)


def test_sparse_errors_are_counted_not_ranked() -> None:
    """Kayenta #426: mostly zeros tie in ranks. One error among few requests decides nothing, many requests without one pass."""
    assert errors([(0, 40)] * 6, [(0, 40)] * 5 + [(1, 40)]).label is GuardLabel.INCONCLUSIVE
    assert errors([(0, 4000)] * 6, [(0, 4000)] * 5 + [(1, 4000)]).label is GuardLabel.NO_REGRESSION
    assert errors([(0, 400)] * 6, [(0, 400)] * 3 + [(10, 400)] * 3).label is not GuardLabel.NO_REGRESSION


def test_the_exact_test_of_counts_is_the_binomial_tail() -> None:
    """Eight errors, all after the change, at the same number of requests: 1 in 256."""
    assert chance_of_more((0, 1000), (8, 1000)) == pytest.approx(1 / 256)


def test_pure_growth_of_variance_does_not_pass_silently() -> None:
    """Kayenta #780: the median stands still while the blocks scatter ten times as far. Undecided, and the reason names it."""
    wild = [100 + 12 * (v - 100) for v in STEADY]
    assert median(wild) == pytest.approx(median(STEADY), rel=0.02)
    verdict = guard(STEADY, wild)
    assert verdict.label is GuardLabel.INCONCLUSIVE
    assert verdict.warning is not None
    assert "vary" in verdict.warning
    assert verdict.warning in verdict.reason


def test_growth_of_variance_inside_the_margin_passes_with_a_warning() -> None:
    """Blocks that scatter twelve times as far, all of them inside the margin: no regression of the level, and said aloud."""
    quiet = [100 + (v - 100) / 10 for v in STEADY]
    verdict = guard(quiet, [100 + 1.2 * (v - 100) for v in STEADY])
    assert verdict.label is GuardLabel.NO_REGRESSION
    assert verdict.warning is not None


def test_without_a_history_a_relative_criterion_is_undecided() -> None:
    """Keptn passes it. Here no baseline is no basis, in both modes."""
    for mode in Mode:
        assert not judge_target("m", Unit.COUNT, Direction.LOWER, [], STEADY, mode=mode).passes
        verdict = judge_guard("m", Unit.COUNT, Direction.LOWER, [], STEADY, margin=0.05, floor=0.0, mode=mode)
        assert verdict.label is GuardLabel.INCONCLUSIVE


def test_relative_margins_are_not_ignored() -> None:
    """Keptn's successor skips criteria with a percent sign: 8 % worse at a margin of 5 % is a regression, at 10 % none."""
    after = [1.08 * v for v in STEADY]
    assert guard(STEADY, after).label is GuardLabel.REGRESSION
    assert guard(STEADY, after, margin=0.10).label is GuardLabel.NO_REGRESSION


def test_not_significant_is_not_no_regression() -> None:
    """Kayenta, asv, benchstat and Otava stay silent on too little data; here identical noisy blocks need more of them."""
    verdict = guard(NOISY, NOISY)
    assert verdict.label is GuardLabel.INCONCLUSIVE
    assert verdict.runs_needed > 0
    assert "more block" in verdict.reason or "blocks a side" in verdict.reason


def test_significant_is_not_a_regression_inside_the_margin() -> None:
    """The other side of it: a steady 2 % is seen beyond doubt and is inside a margin of 5 %."""
    verdict = guard(STEADY, [1.02 * v for v in STEADY])
    assert verdict.label is GuardLabel.NO_REGRESSION
    assert verdict.ci_low is not None
    assert verdict.ci_low > 0


def test_the_gate_states_its_own_false_alarm_rate() -> None:
    """Nobody else does: counted on the baseline's own blocks, with an interval."""
    found = calibrate(STEADY + NOISY[:2], metric="m", unit=Unit.COUNT, direction=Direction.LOWER, mode=Mode.PROVED)
    assert found.false_regression is not None
    assert 0 <= found.false_regression.low <= found.false_regression.share <= found.false_regression.high


def test_no_jitter_is_added_to_ties() -> None:
    """Kayenta breaks ties with unseeded noise: here blocks with equal values give the same bytes every time."""
    tied = [100.0, 100.0, 101.0, 101.0, 100.0, 101.0]
    assert repr(guard(tied, tied[::-1])) == repr(guard(tied, tied[::-1]))
    assert guard([49.0] * 6, [49.0] * 6).label is GuardLabel.NO_REGRESSION


def test_percentiles_are_not_rounded_to_two_digits() -> None:
    """Locust keeps 1,049 ms as 1,000: a slowdown of 4.9 % would vanish. Here the samples themselves are ranked."""
    before, after = [1000.0 + i / 100 for i in range(200)], [1049.0 + i / 100 for i in range(200)]
    assert percentile(after, 0.95) / percentile(before, 0.95) == pytest.approx(1.049, abs=0.0005)
    blocks = [1000.0, 1001.0, 999.0, 1000.5, 999.5, 1000.2]
    assert guard(blocks, [1.049 * v for v in blocks], margin=0.04).label is GuardLabel.REGRESSION


@pytest.mark.parametrize(("share", "fewest"), [(0.95, 72), (0.99, 368), (0.999, 3688)])
def test_a_percentile_of_too_few_samples_has_no_upper_end(share: float, fewest: int) -> None:
    """A p99 of a hundred samples is printed by every tool and known by none: below these numbers it is not bounded."""
    assert smallest_sample(share) == fewest
    samples = [float(i) for i in range(fewest)]
    assert percentile_interval(samples, share).high is not None
    assert percentile_interval(samples[:-1], share).high is None


def series(seed: int, *, length: int = 60, step: float = 0.0, at: int = 30) -> list[float]:
    """Noise of 3 % around 100, with a step."""
    values = 100 * np.random.default_rng(seed).lognormal(0, 0.03, length)
    values[at:] *= 1 + step
    return values.tolist()  # type: ignore[no-any-return]


def test_p_of_a_change_point_holds_after_searching() -> None:
    """Otava tests the best split as if it had been the only one: of 150 series without a change at most 4 alarm at 1 %."""
    assert sum(bool(find_changes(series(seed), direction=Direction.LOWER).changes) for seed in range(150)) <= 4


def test_small_segments_do_not_make_changes() -> None:
    """Otava's population deviation is too small for few values: two values that happen to agree are no regime."""
    values = series(3, length=40)
    values[20], values[21] = 120.0, 120.1
    assert find_changes(values, direction=Direction.LOWER).changes == ()


def test_missing_values_are_left_out_of_a_series_not_filled_forward() -> None:
    """Otava repeats the last value over a gap, which looks like a quiet regime: here the gap is counted and indices stay."""
    values = series(5, step=0.3)
    gaps = [math.nan if i % 7 == 3 or 40 <= i < 48 else v for i, v in enumerate(values)]
    found = find_changes(gaps, direction=Direction.LOWER)
    assert found.missing == sum(math.isnan(v) for v in gaps)
    assert len(found.changes) == 1
    assert abs(found.changes[0].index - 30) <= 2
    filled_only = find_changes([*series(6, length=30), *[math.nan] * 30], direction=Direction.LOWER)
    assert filled_only.changes == ()


def test_one_outlier_is_no_change() -> None:
    """A single slow night is counted as an outlier."""
    values = series(8)
    values[25] *= 2
    found = find_changes(values, direction=Direction.LOWER)
    assert (found.changes, 25 in found.outliers) == ((), True)


def test_a_history_is_read_from_its_last_stable_segment() -> None:
    """A baseline over a step would be the mean of two systems: what came before the step is not used."""
    segment = last_stable_segment(series(9, step=0.3))
    assert abs(segment.start - 30) <= 2
    assert segment.stop == 60
