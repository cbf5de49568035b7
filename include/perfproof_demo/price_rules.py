"""The price rules of a quote: patterns over what is bought, and the discount of each that matches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

SKU_PATTERN = r"[A-Z]{2}-[0-9]{5}"
CATEGORIES = ("books", "garden", "kitchen", "music", "office", "outdoor", "paper", "sports", "tools", "toys")
QUANTITIES = (1, 10, 100)
# Ten rules for each category: a tier of quantities, and the channels it is for.
_TIERS = (
    (r"[1-9]", r"web|shop|phone", 0),
    (r"[1-4][0-9]", r"web|shop", 2),
    (r"[5-9][0-9]", r"web|shop", 3),
    (r"[1-9][0-9]{2}", r"web|shop|phone", 5),
    (r"[1-9][0-9]{3,5}", r"web|phone", 8),
    (r"[1-9][0-9]{0,2}", r"partner(?:-(?:gold|silver))?", 4),
    (r"[1-9][0-9]{3,5}", r"partner(?:-(?:gold|silver))?", 9),
    (r"[1-9][0-9]{0,5}", r"staff|family", 15),
    (r"[1-9][0-9]{0,5}", r"web/clearance-[0-9]{2}", 20),
    (r"[1-9][0-9]{0,5}", r"shop/clearance-[0-9]{2}", 25),
)


@dataclass(frozen=True, slots=True)
class PriceRule:
    """`pattern` holds the place `{sku}`; an offer that matches it gets `percent` off."""

    pattern: str
    percent: int


RULES = tuple(
    PriceRule(rf"^{category}/{{sku}}/q(?:{quantity})/(?:{channels})(?:/(?:campaign|season)-[a-z]+(?:-[0-9]+)?)?$", percent)
    for category in CATEGORIES
    for quantity, channels, percent in _TIERS
)

Discount = Callable[[str, str], int]


def compile_each_time() -> Discount:
    """Discounts from patterns that hold the product's number, so each product needs patterns of its own.

    The re module keeps 512 patterns, a shop with a thousand products needs a hundred thousand: nearly every
    request compiles all of them.
    """

    def discount(offer: str, sku: str) -> int:
        rules = [(re.compile(rule.pattern.replace("{sku}", re.escape(sku))), rule.percent) for rule in RULES]
        return max((percent for pattern, percent in rules if pattern.match(offer)), default=0)

    return discount


def compile_once() -> Discount:
    """The same discounts from patterns that are compiled once and take the product's number as a group."""
    rules = [(re.compile(rule.pattern.replace("{sku}", f"(?P<sku>{SKU_PATTERN})")), rule.percent) for rule in RULES]

    def discount(offer: str, sku: str) -> int:
        matches = ((pattern.match(offer), percent) for pattern, percent in rules)
        return max((percent for match, percent in matches if match and match["sku"] == sku), default=0)

    return discount


def quote(*, sku: str, category: str, price: Decimal, discount: Discount) -> list[dict[str, object]]:
    """The price of each quantity in QUANTITIES, bought over the web."""
    lines: list[dict[str, object]] = []
    for quantity in QUANTITIES:
        percent = discount(f"{category}/{sku}/q{quantity}/web", sku)
        total = (price * quantity * (100 - percent) / 100).quantize(Decimal("0.01"))
        lines.append({"quantity": quantity, "discount_percent": percent, "total": str(total)})
    return lines
