"""The knee, the headroom and N+2: claimed where they were measured, unknown with a reason elsewhere."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from perfproof.scalability_interval import scalability_interval
from perfproof.throughput_limits import Knee, Target, room, target_rate, throughput_peak

NO_KNEE = throughput_peak("four steps", tested=None)


def peak_of(steps: list[float], *, rate: float = 100, contention: float = 0.05, coherency: float, noise: float = 0.005) -> dict[str, Any]:
    """The peak of a known law."""
    source = random.Random(4)
    seen = [rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1)) * source.uniform(1 - noise, 1 + noise) for n in steps]
    return throughput_peak(scalability_interval(steps, throughput=seen), tested=max(steps))


def test_a_peak_whose_whole_interval_was_tested_is_a_knee() -> None:
    """N = sqrt(0.95 / 0.01) is 9.7, and 24 requests in service were tested."""
    found = peak_of([1, 2, 4, 8, 12, 16, 24], coherency=0.01)
    assert found["status"] == Knee.REACHED and found["reason"] is None
    place = found["concurrency"]
    assert place["low"] <= math.sqrt(95) <= place["high"] < 24
    assert found["throughput"]["low"] < found["throughput"]["value"] < found["throughput"]["high"]


def test_a_peak_beyond_the_tested_range_is_not_claimed() -> None:
    """The law puts it at 31 requests in service; 16 were tested. What it says stays under `law`, not under throughput."""
    found = peak_of([1, 2, 4, 8, 12, 16], coherency=0.001)
    assert found["status"] == Knee.NOT_REACHED and "no knee claimed" in found["reason"]
    assert found["throughput"] is None and found["concurrency"] is None and found["law"]["throughput"]["value"] > 0


def test_a_peak_whose_interval_leaves_the_tested_range_is_not_claimed() -> None:
    """The last step is barely beyond the peak, so it may as well lie beyond that step."""
    found = peak_of([1, 2, 4, 6, 8, 10], coherency=0.0105, noise=0.03)
    assert found["status"] == Knee.UNKNOWN and found["throughput"] is None and "no knee claimed" in found["reason"]


def test_a_peak_whose_interval_has_no_end_says_so() -> None:
    """Scattering steps leave the highest throughput open above; the reason names no factor of inf."""
    found = scalability_interval([1, 2, 4, 8, 12, 16, 24], throughput=[95, 180, 320, 500, 560, 570, 500])
    assert not isinstance(found, str)
    open_above = replace(found, highest_throughput=replace(found.highest_throughput, high=None))
    told = throughput_peak(open_above, tested=24.0)
    assert told["status"] == Knee.UNKNOWN and "no end above" in told["reason"] and "inf" not in told["reason"]


def test_no_fit_is_unknown_with_its_reason() -> None:
    """Never a number."""
    found = throughput_peak("the steps scatter too much", tested=8.0)
    assert (found["status"], found["reason"], found["throughput"]) == ("unknown", "the steps scatter too much", None)
    assert "law" not in found


@pytest.mark.parametrize(
    ("observed", "rate", "source"),
    [
        (None, 30, "configured peak"),
        ({"observed_rate": None}, 30, "configured peak"),
        ({"observed_rate": 45.5}, 45.5, "observed peak"),
        ({"observed_rate": 12.0}, 30, "configured peak, not below the observed one"),
        ({"observed_rate": float("nan")}, 30, "configured peak, not below the observed one"),
    ],
)
def test_the_target_is_the_larger_of_the_observed_and_the_configured_peak(observed: Any, rate: float, source: str) -> None:
    """A plan for less than what was seen would be no plan."""
    target = target_rate(30.0, observed)
    assert target.rate == rate
    assert source == target.source or not math.isfinite((observed or {}).get("observed_rate") or 0)


def test_n_plus_2_lies_between_what_held_and_what_did_not() -> None:
    """100 requests/s on instances that hold 40 and do not hold 60: 3 needed, 2 at best, and two to spare."""
    found = room(Target(100, "x"), knee=40, breach=60, peak=NO_KNEE, reason=None)
    assert found["instances_n_plus_2"] == {"value": 5, "low": 4, "high": 5}
    assert found["headroom_percent"] == {"value": -60.0, "low": -60.0, "high": -40.0}


def test_without_a_step_that_failed_the_upper_end_is_open() -> None:
    """The limit was not found: at least so much headroom, and as few as one instance with two to spare."""
    found = room(Target(30, "x"), knee=60, breach=None, peak=NO_KNEE, reason=None)
    assert found["headroom_percent"] == {"value": 100.0, "low": 100.0, "high": None}
    assert found["instances_n_plus_2"] == {"value": 3, "low": 3, "high": 3}


def test_the_laws_interval_widens_what_the_steps_say() -> None:
    """A highest throughput that may be as low as 35 makes 40 a lucky step."""
    peak = {"status": "reached", "throughput": {"value": 50.0, "low": 35.0, "high": 52.0}}
    found = room(Target(70, "x"), knee=40, breach=60, peak=peak, reason=None)
    assert found["instances_n_plus_2"] == {"value": 4, "low": 4, "high": 4}
    assert (found["headroom_percent"]["low"], found["headroom_percent"]["high"]) == (-50.0, -25.7)


def test_no_capacity_needs_an_unknown_number_of_instances() -> None:
    """With the reason in place of the number."""
    found = room(Target(30, "x"), knee=None, breach=20, peak=NO_KNEE, reason="not even the lowest step holds the targets")
    assert found["instances_n_plus_2"]["value"] is None and found["reason"] == "not even the lowest step holds the targets"


def test_instances_are_those_of_a_slow_count() -> None:
    """The smallest number whose capacity together is the target, counted up, for many rates; never out of order."""
    source = random.Random(11)
    for _ in range(500):
        knee, over, target = source.randint(1, 90), source.randint(1, 30), source.randint(1, 500)
        count = next(n for n in range(1, 1000) if n * knee >= target)
        found = room(Target(target, "x"), knee=knee, breach=knee + over, peak=NO_KNEE, reason=None)["instances_n_plus_2"]
        assert found["value"] == count + 2
        assert 3 <= found["low"] <= found["value"] <= found["high"]


def test_scaling_all_rates_changes_no_count() -> None:
    """Requests per second or per hour."""
    one = room(Target(100, "x"), knee=40, breach=60, peak=NO_KNEE, reason=None)
    other = room(Target(360_000, "x"), knee=144_000, breach=216_000, peak=NO_KNEE, reason=None)
    assert {k: v for k, v in one.items() if k != "target_rate"} == {k: v for k, v in other.items() if k != "target_rate"}
