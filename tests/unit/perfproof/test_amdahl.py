"""Amdahl's bound against a request that is taken apart and put together again."""

from __future__ import annotations

import math

import pytest

from perfproof.amdahl import largest_gain
from perfproof.telemetry import Direction


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("speedup", [1.0, 2.0, 10.0, math.inf])
def test_the_bound_is_what_a_request_can_lose(share: float, speedup: float) -> None:
    """A request of 100 ms, of which the part takes its share: time falls and rate rises by exactly this."""
    after = 100 * (1 - share) + (0 if math.isinf(speedup) else 100 * share / speedup)
    assert largest_gain(share, direction=Direction.LOWER, speedup=speedup) == pytest.approx((100 - after) / 100)
    assert largest_gain(share, direction=Direction.HIGHER, speedup=speedup) == pytest.approx(100 / after - 1)


def test_all_of_the_time_bounds_no_rate() -> None:
    """What takes everything may give any rate, and all of the time."""
    assert largest_gain(1.0, direction=Direction.LOWER) == 1.0
    assert largest_gain(1.0, direction=Direction.HIGHER) == math.inf


@pytest.mark.parametrize(("share", "speedup"), [(-0.1, 2), (1.1, 2), (math.nan, 2), (0.5, 0.5), (0.5, math.nan)])
def test_no_share_is_no_bound(share: float, speedup: float) -> None:
    """A mistake of the caller."""
    with pytest.raises(ValueError, match="share"):
        largest_gain(share, direction=Direction.LOWER, speedup=speedup)
