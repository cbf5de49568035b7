"""Several guards: which ones are named needs a correction, that none regressed does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfproof.comparison import GuardLabel, GuardVerdict, judge_guard
from perfproof.config import Mode
from perfproof.judging.guarded import named_together
from perfproof.telemetry import Direction, Unit

STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 100.7]


def guard(name: str, factor: float, *, blocks: int, mode: Mode = Mode.PROVED) -> GuardVerdict:
    """A guard whose candidate is `factor` times the baseline."""
    after = [factor * v for v in STEADY[-blocks:]]
    return judge_guard(name, Unit.COUNT, Direction.LOWER, STEADY[:blocks], after, margin=0.05, floor=0.0, mode=mode)


def test_one_of_four_guards_is_not_named_at_five_blocks() -> None:
    """1 in 252 is rare for one guard and not for the worst of four: undecided, one block more is enough."""
    verdicts = [guard("worse", 2.0, blocks=5), *(guard(f"same {i}", 1.0, blocks=5) for i in range(3))]
    assert verdicts[0].label is GuardLabel.REGRESSION
    together = named_together(verdicts, mode=Mode.PROVED)
    assert [v.label for v in together] == [GuardLabel.INCONCLUSIVE] + [v.label for v in verdicts[1:]]
    assert together[0].runs_needed == 1
    assert "among 4 guards one may look so by chance" in together[0].reason


def test_six_blocks_name_it() -> None:
    """1 in 924, times four, is below half a percent."""
    verdicts = [guard("worse", 2.0, blocks=6), *(guard(f"same {i}", 1.0, blocks=6) for i in range(3))]
    assert named_together(verdicts, mode=Mode.PROVED)[0].label is GuardLabel.REGRESSION


def test_a_guard_alone_needs_no_correction() -> None:
    """Five blocks are enough for one."""
    assert named_together([guard("worse", 2.0, blocks=5)], mode=Mode.PROVED)[0].label is GuardLabel.REGRESSION


@pytest.mark.parametrize("blocks", [5, 6])
def test_no_regression_is_never_corrected(blocks: int) -> None:
    """That none regressed is shown guard by guard: passes stay, and no verdict becomes a pass."""
    verdicts = [guard(f"g{i}", factor, blocks=blocks) for i, factor in enumerate((1.0, 1.01, 1.5, 2.0))]
    together = named_together(verdicts, mode=Mode.PROVED)
    for alone, joint in zip(verdicts, together, strict=True):
        assert (alone.label is GuardLabel.NO_REGRESSION) == (joint.label is GuardLabel.NO_REGRESSION)


def test_guards_without_noise_and_mode_point_are_left_alone() -> None:
    """Constants have no p and do not count among the guards; the letter knows no chance."""
    constant = judge_guard("q", Unit.COUNT, Direction.LOWER, [49.0] * 5, [60.0] * 5, margin=0.05, floor=0.0, mode=Mode.PROVED)
    assert constant.p is None
    together = named_together(
        [constant, *(replace(constant, metric=f"q{i}") for i in range(9)), guard("worse", 2.0, blocks=5)], mode=Mode.PROVED
    )
    assert {v.label for v in together} == {GuardLabel.REGRESSION}
    point = [guard(f"g{i}", 2.0, blocks=5, mode=Mode.POINT) for i in range(9)]
    assert named_together(point, mode=Mode.POINT) == tuple(point)
