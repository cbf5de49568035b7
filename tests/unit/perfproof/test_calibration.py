"""False alarms of the gate on identical code: counted on halves of the baseline, honest where it cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfproof.calibration import Calibration, GuardBlocks, calibrate
from perfproof.config import Mode
from perfproof.telemetry import Direction, Unit


def calibrated(
    values: list[float], *, mode: Mode = Mode.PROVED, guards: tuple[GuardBlocks, ...] = (), repetitions: int = 200
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
    assert "cannot show that a rate is below 5 %: its upper end is 5.2 %" in found.note


def test_same_blocks_give_the_same_rates() -> None:
    """The draw is seeded by the inputs."""
    assert repr(calibrated(noise(14, 0.2))) == repr(calibrated(noise(14, 0.2)))


def test_any_guard_counts() -> None:
    """A guard in which two kinds of blocks alternate regresses in some splits, next to one that never does."""
    steady = GuardBlocks("queries_per_request", Unit.QUERIES_PER_REQUEST, Direction.LOWER, (49.0,) * 8, 0.05, 0.5)
    split = GuardBlocks("memory_rss", Unit.MEBIBYTES, Direction.LOWER, (60, 60.1, 60.2, 60.3, 90, 90.1, 90.2, 90.3), 0.05, 0.0)
    quiet, loud = calibrated(noise(8, 0.01), guards=(steady,)), calibrated(noise(8, 0.01), guards=(steady, split))
    assert quiet.false_regression is not None
    assert loud.false_regression is not None
    assert (quiet.false_regression.count, loud.false_regression.count) == (0, 1)


def test_missing_values_are_not_calibrated_around() -> None:
    """One NaN: no rate, and the reason."""
    found = calibrated([*noise(9, 0.1), math.nan])
    assert found.false_improved is None
    assert "1 of 10 blocks" in found.note
