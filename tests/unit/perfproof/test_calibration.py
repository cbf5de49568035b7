"""False alarms of the gate on identical code: counted on halves of the baseline, honest where it cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfproof.calibration import Calibration, GuardBlocks, calibrate, with_wider_margins
from perfproof.comparison import GuardLabel, GuardVerdict, Scale, judge_guard
from perfproof.config import Mode
from perfproof.judging.documents import calibration_document
from perfproof.telemetry import Direction, Unit

TWO_KINDS = GuardBlocks("memory_rss", Unit.MEBIBYTES, Direction.LOWER, (60, 60.1, 60.2, 60.3, 60.4, 90, 90.1, 90.2, 90.3, 90.4), 0.05, 0.0)


def calibrated(
    values: list[float], *, mode: Mode = Mode.PROVED, guards: tuple[GuardBlocks, ...] = (), repetitions: int = 200, tolerated: float = 0.05
) -> Calibration:
    """Calibration of a latency gate."""
    return calibrate(
        values,
        metric="api_latency_p95",
        unit=Unit.MILLISECONDS,
        direction=Direction.LOWER,
        mode=mode,
        guards=guards,
        repetitions=repetitions,
        tolerated=tolerated,
    )


def noise(blocks: int, share: float, seed: int = 1) -> list[float]:
    """Lognormal blocks around 100."""
    return (100 * np.random.default_rng(seed).lognormal(0, share, blocks)).tolist()


@pytest.mark.parametrize("blocks", [0, 1, 4, 7])
def test_too_few_blocks_say_so(blocks: int) -> None:
    """Seven blocks cannot be halved into fours: no rate is given, least of all zero."""
    found = calibrated(noise(blocks, 0.1))
    assert (found.false_improved, found.false_regression, found.repetitions) == (None, None, 0)
    assert found.note == f"Not enough blocks to calibrate: {blocks} of the baseline, 8 are needed."


def test_quiet_blocks_raise_no_alarm() -> None:
    """At 2 % noise none of the comparisons is 15 % better, and the noise is stated."""
    found = calibrated(noise(12, 0.02))
    assert found.false_improved is not None
    assert (found.false_improved.count, found.repetitions) == (0, 200)
    assert found.noise_percent is not None
    assert 0 < found.noise_percent < 6


def test_mode_point_is_shown_to_be_unreliable_in_noise() -> None:
    """Blocks from 60 to 166: the letter of the spec passes identical code often, and the note says that the noise alone reaches 15 %."""
    wide = [100 * math.exp(step / 12) for step in range(-6, 7)]
    point, proved = calibrated(wide, mode=Mode.POINT), calibrated(wide)
    assert point.false_improved is not None
    assert proved.false_improved is not None
    assert point.false_improved.share > 0.1 > proved.false_improved.share
    assert "measure more blocks" in point.note
    assert "noise alone reaches the threshold" in point.note


def test_few_blocks_are_split_in_every_way() -> None:
    """8 blocks have 70 ordered halves: each is tried once, and none twice."""
    found = calibrated(noise(8, 0.02))
    assert found.repetitions == 70
    assert "cannot show that a rate is below the tolerated 5 %: its upper end is 5.2 %; measure 10 blocks a side" in found.note


def test_same_blocks_give_the_same_rates() -> None:
    """The draw is seeded by the inputs."""
    assert repr(calibrated(noise(14, 0.2))) == repr(calibrated(noise(14, 0.2)))


def test_any_guard_counts() -> None:
    """A guard in which two kinds of blocks alternate regresses in some splits, next to one that never does."""
    steady = GuardBlocks("queries_per_request", Unit.QUERIES_PER_REQUEST, Direction.LOWER, (49.0,) * 10, 0.05, 0.5)
    quiet = calibrated(noise(10, 0.01), guards=(steady,))
    loud = calibrated(noise(10, 0.01), guards=(steady, TWO_KINDS), repetitions=252)
    assert quiet.false_regression is not None
    assert loud.false_regression is not None
    assert (quiet.false_regression.count, loud.false_regression.count) == (0, 1)


def test_a_guard_whose_noise_exceeds_its_margin_gets_a_wider_one_when_alarms_are_too_many() -> None:
    """One alarm in 252 is above a tolerated 1 %'s upper end: the margin becomes the 95th percentile of the change, in words too."""
    found = calibrated(noise(10, 0.01), guards=(TWO_KINDS,), repetitions=252, tolerated=0.01)
    assert [(m.metric, m.declared, m.scale) for m in found.margins] == [("memory_rss", 5.0, Scale.PERCENT)]
    assert found.margins[0].widened > 30
    assert "memory_rss is blamed beyond" in found.note
    assert found.blocks_needed == 20
    assert "measure 20 blocks a side" in found.note


def test_few_splits_ask_for_more_blocks() -> None:
    """8 blocks cannot show a rate below 5 %, 10 can; for 1 % it takes 12. Nothing is widened where no margin is too small."""
    assert calibrated(noise(8, 0.01)).blocks_needed == 10
    ten = calibrated(noise(10, 0.01))
    assert (ten.blocks_needed, ten.tolerated, ten.margins) == (0, 0.05, ())
    assert calibrated(noise(10, 0.01), tolerated=0.01).blocks_needed == 12
    twelve = calibrated(noise(12, 0.01), tolerated=0.01)
    assert (twelve.blocks_needed, twelve.repetitions) == (0, 381)
    with pytest.raises(ValueError, match="tolerated rate"):
        calibrated(noise(12, 0.01), tolerated=0.0)


def test_a_wider_margin_takes_blame_back_and_lets_nothing_pass() -> None:
    """Inside the noise of identical code a regression becomes inconclusive; beyond it, it stays; a pass never changes."""
    found = calibrated(noise(10, 0.01), guards=(TWO_KINDS,), repetitions=252, tolerated=0.01)
    before = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2]

    def guard(factor: float) -> GuardVerdict:
        after = [factor * v for v in before]
        return judge_guard("memory_rss", Unit.MEBIBYTES, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)

    given = (guard(1.0), guard(1.2), guard(2.0))
    assert [v.label for v in given] == [GuardLabel.NO_REGRESSION, GuardLabel.REGRESSION, GuardLabel.REGRESSION]
    after = with_wider_margins(given, found, mode=Mode.PROVED)
    assert [v.label for v in after] == [GuardLabel.NO_REGRESSION, GuardLabel.INCONCLUSIVE, GuardLabel.REGRESSION]
    assert "identical code differ by up to" in after[1].reason
    assert after[1].runs_needed == 6
    assert with_wider_margins(given, found, mode=Mode.POINT) == given


def test_the_document_carries_limit_blocks_and_margins() -> None:
    """Fields are added, none is renamed."""
    document = calibration_document(calibrated(noise(10, 0.01), guards=(TWO_KINDS,), repetitions=252, tolerated=0.01))
    assert list(document)[:6] == ["blocks", "repetitions", "false_improved", "false_regression", "noise_percent", "note"]
    assert (document["tolerated"], document["blocks_needed"]) == (0.01, 20)
    assert [(m["metric"], m["declared"], m["scale"]) for m in document["margins"]] == [("memory_rss", 5.0, "percent of the baseline")]


def test_missing_values_are_not_calibrated_around() -> None:
    """One NaN: no rate, and the reason."""
    found = calibrated([*noise(9, 0.1), math.nan])
    assert found.false_improved is None
    assert "1 of 10 blocks" in found.note
