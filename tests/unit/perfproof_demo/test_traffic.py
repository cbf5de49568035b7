"""The demo's users: when they stop, and when they step aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfproof_demo.errors import DemoError
from perfproof_demo.settings import DemoSettings
from perfproof_demo.traffic import ForeignLoad, lease_is_valid, renew_lease, start_traffic


def test_traffic_ends_without_a_lease_and_with_an_old_one(tmp_path: Path) -> None:
    """Whoever started the traffic and died cannot renew it."""
    settings = DemoSettings(home=tmp_path)
    lease = tmp_path / "run" / "traffic.lease"
    assert not lease_is_valid(lease, seconds=60, now=1000)
    renew_lease(settings)
    os.utime(lease, (1000, 1000))
    assert lease_is_valid(lease, seconds=60, now=1060)
    assert not lease_is_valid(lease, seconds=60, now=1061)


def test_own_requests_are_not_foreign() -> None:
    """Counted late or at once, what we have sent ourselves never looks like a stranger's."""
    load = ForeignLoad()
    assert not load.see(total=500, own=0)
    assert not load.see(total=500, own=4)
    assert not load.see(total=504, own=8)
    assert not load.see(total=508, own=8)


def test_somebody_elses_load_is_seen() -> None:
    """Ten requests that are not ours between two looks are a load test."""
    load = ForeignLoad()
    load.see(total=0, own=0)
    assert load.see(total=14, own=4)
    assert not load.see(total=18, own=8)


def test_a_person_looking_at_a_page_is_no_load_test() -> None:
    """Single requests do not add up to a load test over time."""
    load = ForeignLoad()
    load.see(total=0, own=0)
    assert not any(load.see(total=number, own=0) for number in range(1, 50))


def test_a_restarted_shop_is_no_load_test() -> None:
    """Its counter begins again at nothing; what comes after is compared with that."""
    load = ForeignLoad()
    load.see(total=900, own=100)
    assert not load.see(total=2, own=104)
    assert not load.see(total=6, own=108)
    assert load.see(total=16, own=108)


@pytest.mark.parametrize("rate", [0, -1, 51, float("nan"), float("inf")])
def test_a_rate_that_is_no_small_load_is_refused(tmp_path: Path, rate: float) -> None:
    """Background traffic is not a way around the load test's authorization."""
    with pytest.raises(DemoError, match="rate"):
        start_traffic(DemoSettings(home=tmp_path), rate=rate)
