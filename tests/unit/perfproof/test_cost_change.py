"""The cost of a request before and after, from what measured blocks used."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, load_protocol
from perfproof.cost_change import cost_change
from perfproof.errors import ArtifactError
from perfproof.prices import Price
from perfproof.telemetry import document_bytes

TABLE = Price("USD", "protocol file", "2025-02-16", core_hour=0.04, gib_hour=0.005)
SECONDS = 6.0


@pytest.fixture
def shop() -> Service:
    """Guards cpu_ms_per_request and memory_rss."""
    path = Path(__file__).resolve().parents[3] / "include" / "protocols" / "demo.yaml"
    return load_protocol(path.read_bytes(), where="demo.yaml").service("shop")


def block(side: str, order: int, *, cpu: Any = 10.0, memory: Any = 256.0, **changes: Any) -> dict[str, Any]:
    return {
        "side": side, "order": order, "started_at": f"2025-02-16T10:{order:02d}:00Z", "requests": 150, "errors": 0, "valid": True,
        "invalid_reasons": [], "guards": {"cpu_ms_per_request": cpu, "memory_rss": memory, "error_rate": 0.0}, **changes,
    }  # fmt: skip


def measured(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    builds = {"baseline": "b1", "candidate": "b2"}
    return {"service": "shop", "builds": builds, "rate": 25, "block_seconds": SECONDS, "blocks": blocks}


def pairs(before: dict[str, Any], after: dict[str, Any], *, count: int = 6) -> list[dict[str, Any]]:
    """`count` blocks a side with a little noise on the processor's time."""
    found = []
    for i in range(count):
        for k, (side, figures) in enumerate((("baseline", before), ("candidate", after))):
            found.append(block(side, 2 * i + k, **{**figures, "cpu": figures["cpu"] * (1 + (i % 3 - 1) / 100)}))
    return found


def changed(shop: Service, blocks: list[dict[str, Any]], price: Price = TABLE) -> dict[str, Any]:
    return cost_change(measured(blocks), service=shop, price=price, optimizations=["OPT-001"])


def test_the_cost_is_worked_out_by_hand(shop: Service) -> None:
    """10 ms of a core and 0.25 GiB for 1/25 s a request: 0.01 x 0.04 / 3600 + 0.01 x 0.005 / 3600, times 1,000."""
    found = changed(shop, pairs({"cpu": 10.0}, {"cpu": 5.0}))
    assert found["before"]["per_1000"] == pytest.approx(1000 * (0.01 * 0.04 + 0.25 / 25 * 0.005) / 3600, rel=1e-4)
    assert found["after"]["per_1000"] == pytest.approx(1000 * (0.005 * 0.04 + 0.25 / 25 * 0.005) / 3600, rel=1e-4)
    assert found["change_percent"] == pytest.approx(100 * (0.00025 / 0.00045 - 1), abs=0.5)
    assert found["ci_low"] < found["change_percent"] < found["ci_high"] < 0
    assert (found["before"]["build"], found["after"]["blocks"], found["reason"]) == ("b1", 6, None)
    document_bytes(found)


def test_the_change_is_the_median_of_all_ratios(shop: Service) -> None:
    """Against every pair of blocks, written out."""
    blocks = pairs({"cpu": 10.0}, {"cpu": 8.0, "memory": 300.0}, count=5)
    cost = [
        (b["side"], b["guards"]["cpu_ms_per_request"] / 1000 * 0.04 + b["guards"]["memory_rss"] / 1024 * SECONDS / 150 * 0.005)
        for b in blocks
    ]
    ratios = [after / before for s, before in cost if s == "baseline" for t, after in cost if t == "candidate"]
    assert changed(shop, blocks)["change_percent"] == pytest.approx(100 * (statistics.median(ratios) - 1), abs=0.01)


def test_other_units_of_price_change_no_percentage(shop: Service) -> None:
    """Cents or dollars."""
    blocks = pairs({"cpu": 10.0}, {"cpu": 7.0})
    one, other = changed(shop, blocks), changed(shop, blocks, replace(TABLE, core_hour=4.0, gib_hour=0.5))
    assert [one[k] for k in ("change_percent", "ci_low", "ci_high")] == [other[k] for k in ("change_percent", "ci_low", "ci_high")]
    assert other["before"]["per_1000"] == pytest.approx(100 * one["before"]["per_1000"], rel=1e-4)


def test_equal_blocks_change_nothing_and_swapped_sides_turn_the_sign(shop: Service) -> None:
    """A cost that is a third lower is half as much again the other way."""
    assert changed(shop, pairs({"cpu": 10.0}, {"cpu": 10.0}))["change_percent"] == 0.0
    there, back = changed(shop, pairs({"cpu": 12.0}, {"cpu": 8.0})), changed(shop, pairs({"cpu": 8.0}, {"cpu": 12.0}))
    assert (1 + there["change_percent"] / 100) * (1 + back["change_percent"] / 100) == pytest.approx(1, abs=0.001)


def test_a_faster_build_that_holds_more_memory_may_cost_more(shop: Service) -> None:
    """On an instance that its memory fills, the processor's time is not what costs."""
    instance = Price("USD", "x", None, instance="m", vcpu=2, gib=1, instance_hour=0.1)
    found = changed(shop, pairs({"cpu": 10.0, "memory": 256.0}, {"cpu": 5.0, "memory": 512.0}), instance)
    assert found["change_percent"] > 0


def test_few_blocks_leave_the_ends_open(shop: Service) -> None:
    """Two a side have a change and no interval."""
    found = changed(shop, pairs({"cpu": 10.0}, {"cpu": 5.0}, count=2))
    assert found["change_percent"] is not None and (found["ci_low"], found["ci_high"]) == (None, None)


@pytest.mark.parametrize(
    ("guards", "words"), [(("memory_rss",), "CPU per request"), (("cpu_ms_per_request",), "memory"), ((), "CPU per request")]
)
def test_a_service_that_measures_too_little_has_an_unknown_cost(shop: Service, guards: tuple[str, ...], words: str) -> None:
    """Memory that nobody looked at is not free."""
    less = replace(shop, guards=tuple(g for g in shop.guards if g.name in guards))
    found = changed(less, pairs({"cpu": 10.0}, {"cpu": 5.0}))
    assert found["before"]["per_1000"] is None and found["change_percent"] is None and words in found["reason"]


@pytest.mark.parametrize(
    "broken", [{"cpu": None}, {"memory": None}, {"cpu": float("nan")}, {"memory": -1.0}, {"requests": 0}, {"cpu": "5"}]
)
def test_a_block_without_its_figures_makes_the_cost_unknown(shop: Service, broken: dict[str, Any]) -> None:
    """Leaving the block out would compare other blocks than were judged."""
    found = changed(shop, [*pairs({"cpu": 10.0}, {"cpu": 5.0}), block("candidate", 50, **broken)])
    assert found["after"]["per_1000"] is None and found["change_percent"] is None and "1 of 7" in found["reason"]


def test_invalid_blocks_and_blocks_that_confirm_are_left_out(shop: Service) -> None:
    """As the verdict leaves them out of its estimate."""
    odd = [block("candidate", 50, cpu=1000.0, valid=False), block("candidate", 51, cpu=1000.0, confirmation=True)]
    blocks = pairs({"cpu": 10.0}, {"cpu": 5.0})
    assert changed(shop, [*blocks, *odd]) == changed(shop, blocks)


def test_no_block_of_a_side_or_a_free_request_is_unknown(shop: Service) -> None:
    """A change from nothing, or of nothing, has no percentage."""
    only = [b for b in pairs({"cpu": 10.0}, {"cpu": 5.0}) if b["side"] == "baseline"]
    assert "0 valid blocks of the candidate" in changed(shop, only)["reason"]
    assert "free" in changed(shop, pairs({"cpu": 10.0}, {"cpu": 5.0}), replace(TABLE, core_hour=0.0, gib_hour=0.0))["reason"]


def test_a_measurement_that_is_none_is_refused(shop: Service) -> None:
    """As the validation refuses it."""
    with pytest.raises(ArtifactError):
        cost_change({"blocks": []}, service=shop, price=TABLE, optimizations=[])
