"""How much evidence an answer takes: the levels, and that no answer became easier than the interval alone would make it."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.comparison import GuardLabel, TargetLabel, TargetVerdict, judge_error_rate, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.judging.levels import (
    blocks_to_claim,
    blocks_to_claim_one_of,
    chance_of_two_constants,
    claim_confidence,
    claim_tail,
)
from perfproof.judging.relative_change import relative_change, turned
from perfproof.statistics.counts import burstiness, difference
from perfproof.statistics.mann_whitney import achieved_confidence, interval_rank
from perfproof.statistics.percent_change import exact, exact_median, improvement
from perfproof.telemetry import Direction, Unit

near = st.lists(st.integers(900, 1100).map(float), min_size=1, max_size=13)
far = st.lists(st.integers(0, 40).map(float), min_size=1, max_size=8)
sides = st.one_of(
    st.tuples(near, near), st.tuples(far, far), st.tuples(near, st.lists(st.integers(500, 900).map(float), min_size=4, max_size=9))
)
counts = st.lists(st.tuples(st.integers(0, 12), st.just(400)), min_size=1, max_size=8)
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 100.7, 99.8]


def old_guard_passes(x: list[float], y: list[float], margin: float, mode: Mode) -> bool:
    """No regression by the two-sided interval alone: the rule before blame took more evidence, written out."""
    base, best = exact_median(x), exact_median(y)
    beyond = best - base > exact(margin) * base
    change = relative_change(x, y, confidence=0.95)
    span = turned(change, 1)
    limit = margin if change.relative else float(exact(margin) * base)
    enough, quiet = min(len(x), len(y)) >= 4, len(set(x)) == len(set(y)) == 1
    worse = enough and span.low > 0 and span.estimate > limit
    if mode is Mode.POINT or (enough and quiet):
        return not beyond and not (worse and not quiet)
    return enough and not worse and span.high < limit and not beyond


def old_target_passes(x: list[float], y: list[float], threshold: float, mode: Mode) -> bool:
    """Proved by the two-sided interval alone, or met in mode point."""
    change = improvement(exact_median(x), exact_median(y), Direction.LOWER)
    if change is None or change < exact(threshold):
        return False
    enough, quiet = min(len(x), len(y)) >= 4, len(set(x)) == len(set(y)) == 1
    if not enough or quiet:
        return enough or mode is Mode.POINT
    span = turned(relative_change(x, y, confidence=0.95), -1)
    return 100 * span.high >= threshold if mode is Mode.POINT else 100 * span.low >= threshold


@settings(max_examples=400)
@given(sides, st.sampled_from([0.0, 0.01, 0.05, 0.2, 1.0]), st.sampled_from(list(Mode)), st.booleans())
def test_no_pass_became_easier(pair: tuple[list[float], list[float]], margin: float, mode: Mode, ordered: bool) -> None:
    """Whatever the blocks: what passes now would have passed by the interval alone. Blame and pass never share an input."""
    x, y = pair
    guard = judge_guard("m", Unit.COUNT, Direction.LOWER, x, y, margin=margin, floor=0.0, mode=mode, ordered=ordered)
    if guard.label is GuardLabel.NO_REGRESSION:
        assert old_guard_passes(x, y, margin, mode)
    threshold = 100 * margin or 15.0
    target = judge_target("m", Unit.COUNT, Direction.LOWER, x, y, threshold_percent=threshold, mode=mode, ordered=ordered)
    if target.passes:
        assert old_target_passes(x, y, threshold, mode)


@settings(max_examples=300)
@given(counts, counts, st.sampled_from([0.1, 0.5, 2.0]))
def test_no_error_rate_passes_more_easily(before: list[tuple[int, int]], after: list[tuple[int, int]], floor: float) -> None:
    """The interval on counts reduced by bursts is the least a pass needs."""
    verdict = judge_error_rate("errors", before=before, after=after, floor_points=floor, confidence=0.95)
    if verdict.label is GuardLabel.NO_REGRESSION:
        bursts = burstiness((before, after))
        old, new = ((sum(k for k, _ in s) / bursts, sum(n for _, n in s) / bursts) for s in (before, after))
        assert min(len(before), len(after)) >= 4
        assert 100 * difference(old, new, confidence=0.95).high < floor + 1e-9


def test_levels_follow_from_the_confidence() -> None:
    """A regression takes 99 % where a pass takes 95 %: 5 blocks a side; 7 for 99 %, as a look of several has it."""
    assert (claim_confidence(0.95), claim_tail(0.95)) == (pytest.approx(0.99), pytest.approx(0.005))
    assert [blocks_to_claim(c) for c in (0.9, 0.95, 0.99)] == [5, 5, 7]
    assert [blocks_to_claim_one_of(k, confidence=0.95) for k in (0, 1, 2, 4, 9)] == [5, 5, 6, 6, 7]


@pytest.mark.parametrize(("m", "n"), [(4, 4), (4, 6), (5, 5)])
def test_two_constants_are_as_rare_as_stated(m: int, n: int) -> None:
    """The largest p^m (1 - p)^n over a fine grid."""
    grid = max((i / 1000) ** m * (1 - i / 1000) ** n for i in range(1001))
    assert chance_of_two_constants(m, n) == pytest.approx(grid, rel=1e-3)


@pytest.mark.parametrize(("m", "n", "percent"), [(4, 4, 97.1), (5, 5, 96.8), (8, 8, 95.0)])
def test_the_level_of_an_interval_is_that_of_all_arrangements(m: int, n: int, percent: float) -> None:
    """Every way to deal the ranks, counted: the discrete interval has at least the level that was asked for."""
    rank = interval_rank(range(m), range(n), confidence=0.95)
    statistics = [sum(1 for y in chosen for x in set(range(m + n)) - set(chosen) if y > x) for chosen in combinations(range(m + n), n)]
    outside = sum(u < rank or u > m * n - rank for u in statistics)
    level = achieved_confidence(m, n, rank, confidence=0.95)
    assert level == pytest.approx(1 - outside / math.comb(m + n, m))
    assert 100 * level == pytest.approx(percent, abs=0.05)


def test_the_reason_prints_the_level_that_the_interval_has() -> None:
    """Four blocks a side: 97.1 %, not the 95 % that were asked for."""
    verdict = judge_guard("m", Unit.COUNT, Direction.LOWER, STEADY[:4], STEADY[4:], margin=0.05, floor=0.0, mode=Mode.PROVED)
    assert verdict.level == pytest.approx(1 - 2 / 70)
    assert "97.1 % interval" in verdict.reason


@pytest.mark.parametrize(("blocks", "label"), [(4, GuardLabel.INCONCLUSIVE), (5, GuardLabel.REGRESSION)])
def test_four_blocks_never_blame_and_say_how_many_do(blocks: int, label: GuardLabel) -> None:
    """Twice as slow in four blocks a side is undecided, with the number that is missing; in five it is a regression."""
    before, after = STEADY[:blocks], [2 * v for v in STEADY[:blocks]]
    verdict = judge_guard("m", Unit.COUNT, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)
    assert verdict.label is label
    assert verdict.looks_worse
    if label is GuardLabel.INCONCLUSIVE:
        assert "fewer than 5 blocks a side cannot tell a regression from noise" in verdict.reason
        assert verdict.runs_needed >= 1


def test_blame_holds_at_every_confidence() -> None:
    """At 99 %, as one look of several, six blocks a side are too few for blame and seven are enough; four are none at all."""

    def label(blocks: int) -> GuardLabel:
        before, after = STEADY[:blocks], [2 * v for v in STEADY[:blocks]]
        return judge_guard("m", Unit.COUNT, Direction.LOWER, before, after, margin=0.05, floor=0.0, confidence=0.99, mode=Mode.PROVED).label

    assert [label(n) for n in (4, 6, 7)] == [GuardLabel.INCONCLUSIVE, GuardLabel.INCONCLUSIVE, GuardLabel.REGRESSION]


def test_constants_without_noise_are_blamed_from_four_blocks_on_and_later_at_a_stricter_level() -> None:
    """49 and 52 queries in every block: 0.4 % by chance at 4 + 4, which is rare enough at 95 % and not at 99 %."""

    def label(blocks: int, confidence: float) -> GuardLabel:
        return judge_guard(
            "q",
            Unit.COUNT,
            Direction.LOWER,
            [49.0] * blocks,
            [52.0] * blocks,
            margin=0.05,
            floor=0.0,
            confidence=confidence,
            mode=Mode.PROVED,
        ).label

    assert (label(4, 0.95), label(5, 0.99), label(4, 0.97)) == (GuardLabel.REGRESSION, GuardLabel.REGRESSION, GuardLabel.INCONCLUSIVE)


def test_dependent_blocks_are_undecided_and_say_so() -> None:
    """A slow wave in both sides: neighbours tell little that is new, whichever side is ahead."""
    before = [100 + 10 * math.sin(i / 2) for i in range(12)]
    after = [104 + 10 * math.sin(i / 2 + 1) for i in range(12)]
    verdict = judge_guard("m", Unit.COUNT, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)
    assert verdict.label is GuardLabel.INCONCLUSIVE
    assert "Neighbouring blocks depend on each other" in verdict.reason
    assert "make blocks longer" in verdict.reason
    target = judge_target("m", Unit.COUNT, Direction.LOWER, before, [0.8 * v for v in after], mode=Mode.PROVED)
    assert target.label in (TargetLabel.MET, TargetLabel.INCONCLUSIVE)
    assert "depend on each other" in target.reason


def test_a_drift_of_both_sides_decides_in_pairs() -> None:
    """The same blocks, 20 % slower all along a slope: undecided as sides, a regression as pairs."""
    before = [100.0 + 8 * i + (0.4 if i % 3 else -0.7) for i in range(12)]
    after = [1.2 * v + (0.3 if i % 2 else -0.5) for i, v in enumerate(before)]
    apart, paired = (
        judge_guard("m", Unit.COUNT, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED, paired=p)
        for p in (False, True)
    )
    assert (apart.label, paired.label) == (GuardLabel.INCONCLUSIVE, GuardLabel.REGRESSION)
    assert "in pairs" in paired.reason


DRIFTING = [89.8, 143.1, 107.1, 65.1, 235.4, 118.3, 122.2, 85.8]
FASTER = [18.5, 21.0, 18.4, 12.3, 61.4, 59.9, 79.1, 25.5]


def target_of(after: list[float], *, paired: bool, before: list[float] = DRIFTING) -> TargetVerdict:
    return judge_target("m", Unit.MILLISECONDS, Direction.LOWER, before, after, mode=Mode.PROVED, confidence=0.983, paired=paired)


def test_pairs_that_all_improved_far_beyond_the_threshold_prove_it_whatever_drifts() -> None:
    """Blocks of a machine under changing load: as sides they are too dependent, as pairs there is nothing to doubt."""
    apart, pairs = target_of(FASTER, paired=False), target_of(FASTER, paired=True)
    assert (apart.label, pairs.label, pairs.passes) == (TargetLabel.MET, TargetLabel.PROVED, True)
    assert pairs.reason.endswith("and every one of 8 pairs improved by 35.3 % or more: far beyond 15 %.")


def test_pairs_prove_nothing_when_one_of_them_or_the_interval_does_not_agree() -> None:
    """One pair at 20 %, seven pairs, a zero before, or sides that overlap: met at most."""
    one_less = [*FASTER[:6], 122.2 * 0.8, 25.5]
    assert target_of(one_less, paired=True).label is TargetLabel.MET
    assert not target_of(FASTER[:7], before=DRIFTING[:7], paired=True).passes
    assert not target_of([0.7 * v for v in DRIFTING], paired=True).passes
