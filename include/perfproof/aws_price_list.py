"""Exactly one on-demand price from the products that the AWS Price List answers, or an error that says why there is not one.

A product is a JSON text: `product` (its attributes), `terms` (`OnDemand`: an offer with price dimensions), `publicationDate`. Filters
that are too few match several products, whose prices may differ by a factor of ten: none of them is then *the* price.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.prices import AWS_PRICE_LIST, Price
from perfproof.strict import read_json

SERVICE_CODE = "AmazonEC2"
WHERE = AWS_PRICE_LIST
PER_HOUR = "Hrs"
MAX_PRODUCT_BYTES = 1 << 20
# How many of the attributes in which products differ are told.
TOLD = 6


def filters(*, region: str, instance_type: str, operating_system: str) -> list[dict[str, str]]:
    """`Filters` of GetProducts that one EC2 instance on shared hardware, without licences and reservations, meets."""
    wanted = {
        "regionCode": region,
        "instanceType": instance_type,
        "operatingSystem": operating_system,
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
    }
    return [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]


def one_price(products: Sequence[str | bytes], *, asked: Sequence[Mapping[str, str]], currency: str, fetched_at: datetime) -> Price:
    """The on-demand price of the one product in `products` (JSON texts of `PriceList`).

    `asked` are the filters, for the error; a price of 0 is a placeholder and none. Raises TelemetryError 814 for no product or
    price, 815 for several, 816 for a product that cannot be read, 817 for a price in another currency.
    """
    read = [_product(text) for text in products]
    offers = [(product, rate) for product in read for rate in _rates(product)]
    told = ", ".join(f"{f['Field']}={f['Value']}" for f in asked)
    if not offers:
        raise TelemetryError(
            814, where=WHERE, what="no on-demand price per hour", got=f"{len(read)} products for {told}",
            fix="check region and instance_type under cost.aws",
        )  # fmt: skip
    if len(offers) > 1:
        raise TelemetryError(
            815, where=f"{WHERE} {told}", what=f"the filters match {len(offers)} prices", got=f"they differ in {_differences(offers)}",
            expected="exactly one", fix="name the price under cost.instances instead",
        )  # fmt: skip
    (product, per_unit), attributes = offers[0], offers[0][0]["product"]["attributes"]
    if currency not in per_unit:
        raise TelemetryError(
            817, where=WHERE, what="the price is in another currency", got=", ".join(sorted(per_unit)), expected=currency,
            fix="write cost.currency like the Price List's",
        )  # fmt: skip
    published = str(product.get("publicationDate") or "")[:10]
    return Price(
        currency=currency,
        source=AWS_PRICE_LIST,
        as_of=published or fetched_at.date().isoformat(),
        instance=str(attributes.get("instanceType")),
        vcpu=_number(attributes.get("vcpu"), "vcpu"),
        gib=_number(str(attributes.get("memory", "")).removesuffix("GiB").replace(",", ""), "memory"),
        instance_hour=_number(per_unit[currency], currency),
        note=f"on demand, {told}; fetched {fetched_at.date().isoformat()}",
    )


def _product(text: str | bytes) -> dict[str, Any]:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    document = read_json(data, where=WHERE, limit=MAX_PRODUCT_BYTES, error=TelemetryError, number=816)
    product = document.get("product") if isinstance(document, dict) else None
    if not isinstance(product, dict) or not isinstance(product.get("attributes"), dict):
        raise TelemetryError(816, where=WHERE, what="not a product", got=json.dumps(document)[:100], fix="ask again later")
    return dict(document)


def _rates(product: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`pricePerUnit` of each on-demand price per hour that is not 0 in every currency."""
    terms = product.get("terms")
    offers = terms.get("OnDemand") if isinstance(terms, dict) else None
    found = []
    for offer in (offers or {}).values() if isinstance(offers, dict | None) else ():
        dimensions = offer.get("priceDimensions") if isinstance(offer, dict) else None
        for dimension in dimensions.values() if isinstance(dimensions, dict) else ():
            per_unit = dimension.get("pricePerUnit") if isinstance(dimension, dict) else None
            if not isinstance(per_unit, dict) or dimension.get("unit") != PER_HOUR:
                continue
            if any(_number(value, name) > 0 for name, value in per_unit.items()):
                found.append(per_unit)
    return found


def _differences(offers: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """The attributes in which the matching products differ, with their values; what is missing in the filters is among them."""
    attributes = [product["product"]["attributes"] for product, _ in offers]
    names = sorted({name for own in attributes for name in own})
    differing = {name: sorted({str(own.get(name)) for own in attributes}) for name in names}
    words = [f"{name} ({' | '.join(values[:3])})" for name, values in differing.items() if len(values) > 1]
    return ", ".join(words[:TOLD]) or "nothing but their offers"


def _number(value: Any, name: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise TelemetryError(816, where=WHERE, what=f"{name} is no number", got=value, fix="ask again later")
    return number
