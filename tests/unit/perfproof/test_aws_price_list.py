"""Products of the AWS Price List: exactly one price, or what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof.aws_price_list import filters, one_price
from perfproof.errors import TelemetryError
from perfproof.prices import Price

NOW = datetime(2025, 2, 16, 12, 0, tzinfo=UTC)
ASKED = filters(region="eu-central-1", instance_type="m7i.large", operating_system="Linux")


def product(price: str = "0.1197000000", *, unit: str = "Hrs", currency: str = "USD", **attributes: str) -> dict[str, Any]:
    """A product as GetProducts writes it, with an on-demand and a reserved offer."""
    own = {
        "instanceType": "m7i.large",
        "vcpu": "2",
        "memory": "8 GiB",
        "operatingSystem": "Linux",
        "operation": "RunInstances",
        **attributes,
    }
    dimension = {"unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {currency: price}, "description": "x"}
    offer = {"sku": "SKU", "offerTermCode": "JRTCKXETXF", "priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": dimension}}
    reserved = {"R": {"priceDimensions": {"R.1": {"unit": "Quantity", "pricePerUnit": {currency: "500"}}}}}
    return {
        "product": {"productFamily": "Compute Instance", "sku": "SKU", "attributes": own},
        "terms": {"OnDemand": {"SKU.JRTCKXETXF": offer}, "Reserved": reserved},
        "serviceCode": "AmazonEC2",
        "publicationDate": "2025-02-14T19:01:02Z",
    }


def priced(*products: Any, currency: str = "USD") -> Price:
    return one_price([json.dumps(p) for p in products], asked=ASKED, currency=currency, fetched_at=NOW)


def test_the_one_on_demand_price_is_taken_with_its_day() -> None:
    """The reserved one is none of an hour on demand; the day is the Price List's own."""
    price = priced(product())
    assert (price.instance, price.vcpu, price.gib, price.instance_hour) == ("m7i.large", 2.0, 8.0, 0.1197)
    assert (price.source, price.as_of, price.currency) == ("AWS Price List", "2025-02-14", "USD")
    assert "regionCode=eu-central-1" in str(price.note) and "fetched 2025-02-16" in str(price.note)


def test_memory_is_read_with_its_thousands() -> None:
    """As large instances write it."""
    assert priced(product(memory="1,536 GiB")).gib == 1536


def test_a_price_of_zero_is_a_placeholder() -> None:
    """Capacity reservations stand beside the instance with a price of 0."""
    assert priced(product(), product("0.0000000000", operation="RunInstances:0000")).instance_hour == 0.1197


def refused(*products: Any, currency: str = "USD") -> TelemetryError:
    with pytest.raises(TelemetryError) as error:
        priced(*products, currency=currency)
    return error.value


def test_several_prices_are_an_error_that_says_in_what_they_differ() -> None:
    """None of them is the price, also if they are equal."""
    error = refused(product(), product("0.5", operation="RunInstances:0800", preInstalledSw="SQL Web"))
    assert error.code == "TEL-815" and "match 2 prices" in str(error) and "instanceType=m7i.large" in str(error)
    assert "operation (RunInstances | RunInstances:0800)" in str(error) and "preInstalledSw" in str(error)
    assert refused(product(), product()).code == "TEL-815"


def test_no_price_is_an_error_and_not_free() -> None:
    """No product, one that is only reserved, one by another unit, one of price 0."""
    reserved = product()
    del reserved["terms"]["OnDemand"]
    for products in ((), (reserved,), (product(unit="GB"),), (product("0.0"),)):
        assert refused(*products).code == "TEL-814"


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "", "a lot"])
def test_a_price_that_is_no_number_is_an_error(price: str) -> None:
    """Neither 0 nor skipped."""
    assert refused(product(price)).code == "TEL-816"


def test_another_currency_is_an_error() -> None:
    """Prices of China are in CNY; the table's currency stands beside them."""
    assert refused(product(currency="CNY")).code == "TEL-817"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"product": {}}',
        '{"product": []}',
        "null",
        '{"a": 1, "a": 2}',
        '{"product": {"attributes": 5}}',
        "\ud800",
    ],
)
def test_what_is_no_product_is_an_error(text: str) -> None:
    """One line, no traceback."""
    with pytest.raises(TelemetryError) as error:
        one_price([text], asked=ASKED, currency="USD", fetched_at=NOW)
    assert error.value.code == "TEL-816" and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "terms", [None, [], {"OnDemand": []}, {"OnDemand": {"x": 5}}, {"OnDemand": {"x": {"priceDimensions": {"y": None}}}}]
)
def test_terms_of_another_shape_hold_no_price(terms: Any) -> None:
    """An error, whatever stands there."""
    assert refused({**product(), "terms": terms}).code == "TEL-814"


def test_cores_and_memory_must_be_known() -> None:
    """An instance whose size is unknown cannot be shared."""
    assert refused(product(vcpu="NA")).code == "TEL-816"
    assert refused(product(memory="NA")).code == "TEL-816"
