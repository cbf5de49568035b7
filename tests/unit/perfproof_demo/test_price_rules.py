"""The price rules: compiling them once must not change a price."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from perfproof_demo.price_rules import CATEGORIES, QUANTITIES, RULES, compile_each_time, compile_once, quote

CHANNELS = ("web", "shop", "phone", "partner", "partner-gold", "staff", "family", "web/clearance-17", "web/campaign-may", "nowhere")


@pytest.mark.parametrize("sku", ["KT-00417", "AA-00001"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_compiled_rules_give_the_discounts_of_rules_compiled_each_time(sku: str, channel: str) -> None:
    """The optimized rules agree with the slow ones for every category, channel and tier, also for another product."""
    slow, fast = compile_each_time(), compile_once()
    for category in (*CATEGORIES, "unknown"):
        for quantity in (0, 1, 9, 10, 49, 50, 100, 5000, 10_000_000):
            offer = f"{category}/{sku}/q{quantity}/{channel}"
            assert fast(offer, sku) == slow(offer, sku)
            assert fast(offer, "ZZ-99999") == slow(offer, "ZZ-99999") == 0


def test_a_larger_quantity_costs_less_each() -> None:
    """The quote of a known product: 0, 2 and 5 percent off, rounded to cents."""
    lines = quote(sku="KT-00417", category="kitchen", price=Decimal("13.42"), discount=compile_once())
    assert [line["quantity"] for line in lines] == list(QUANTITIES)
    assert [line["total"] for line in lines] == ["13.42", "131.52", "1274.90"]


def test_the_slow_rules_really_compile_for_each_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bottleneck is genuine: two products share no compiled pattern, so the module's cache cannot help."""
    seen: list[str] = []
    compile_pattern = re.compile

    def spy(pattern: str) -> re.Pattern[str]:
        seen.append(pattern)
        return compile_pattern(pattern)

    monkeypatch.setattr("perfproof_demo.price_rules.re.compile", spy)
    discount = compile_each_time()
    discount("books/AA-00001/q1/web", "AA-00001")
    discount("books/AA-00002/q1/web", "AA-00002")
    assert len(set(seen)) == 2 * len(RULES)
