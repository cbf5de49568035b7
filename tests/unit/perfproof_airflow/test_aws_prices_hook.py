"""The price hook against answers that botocore's Stubber compares with the service's own model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from perfproof.config import AwsPrices
from perfproof.errors import TelemetryError
from perfproof.prices import Price
from perfproof_airflow.hooks.aws_prices import MAX_PRODUCTS, AwsPricesHook
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.aws_service import Denied
from perfproof_airflow.hooks.http_answers import ATTEMPTS, Unreachable

NOW = datetime(2025, 2, 16, 12, 0, tzinfo=UTC)
WANTED = AwsPrices("prices", "eu-central-1", "m7i.large")
FILTERS = [
    {"Type": "TERM_MATCH", "Field": field, "Value": value}
    for field, value in (
        ("regionCode", "eu-central-1"), ("instanceType", "m7i.large"), ("operatingSystem", "Linux"), ("tenancy", "Shared"),
        ("preInstalledSw", "NA"), ("capacitystatus", "Used"), ("licenseModel", "No License required"),
    )
]  # fmt: skip
ASKED: dict[str, Any] = {"ServiceCode": "AmazonEC2", "Filters": FILTERS, "FormatVersion": "aws_v1", "MaxResults": 100}


def product(price: str = "0.1197", **attributes: str) -> str:
    own = {"instanceType": "m7i.large", "vcpu": "2", "memory": "8 GiB", **attributes}
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": price}}
    return json.dumps(
        {
            "product": {"attributes": own},
            "terms": {"OnDemand": {"SKU.J": {"priceDimensions": {"SKU.J.6": dimension}}}},
            "publicationDate": "2025-02-14T19:01:02Z",
        }
    )


def made_client() -> Any:
    return boto3.client("pricing", region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK", config=client_settings())


def asked(stub: Stubber) -> Price:
    with stub:
        price = AwsPricesHook(client=stub.client, sleep=lambda _: None).price(WANTED, currency="USD", fetched_at=NOW)
    stub.assert_no_pending_responses()
    return price


def test_the_price_is_asked_with_all_filters_and_read() -> None:
    """Region, type, system, shared hardware, no licence, no reservation."""
    stub = Stubber(made_client())
    stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": [product()]}, ASKED)
    price = asked(stub)
    assert (price.instance_hour, price.vcpu, price.gib, price.as_of, price.source) == (0.1197, 2, 8, "2025-02-14", "AWS Price List")


def test_every_page_is_read_before_a_price_is_the_only_one() -> None:
    """A second price on the second page is a second price."""
    stub = Stubber(made_client())
    stub.add_response("get_products", {"PriceList": [product()], "NextToken": "t"}, ASKED)
    stub.add_response("get_products", {"PriceList": [product("0.5", operation="RunInstances:0800")]}, {**ASKED, "NextToken": "t"})
    with pytest.raises(TelemetryError, match=r"TEL-815 .*match 2 prices.*operation"):
        asked(stub)


def test_an_empty_answer_is_no_price() -> None:
    """And no free instance."""
    stub = Stubber(made_client())
    stub.add_response("get_products", {"PriceList": []}, ASKED)
    with pytest.raises(TelemetryError, match="TEL-814"):
        asked(stub)


def test_too_many_products_end_the_question() -> None:
    """An endpoint that ignores filters would answer 500,000."""
    stub = Stubber(made_client())
    stub.add_response("get_products", {"PriceList": [product()] * (MAX_PRODUCTS + 1), "NextToken": "t"}, ASKED)
    with pytest.raises(TelemetryError, match="TEL-813"):
        asked(stub)


def test_a_throttled_question_is_asked_again() -> None:
    """And given up after some attempts, as something that may work later."""
    stub = Stubber(made_client())
    stub.add_client_error("get_products", "ThrottlingException", "slow down", 400)
    stub.add_response("get_products", {"PriceList": [product()]}, ASKED)
    assert asked(stub).instance_hour == 0.1197
    stub = Stubber(made_client())
    for _ in range(ATTEMPTS):
        stub.add_client_error("get_products", "ThrottlingException", "slow down", 400)
    with pytest.raises(Unreachable):
        asked(stub)


def test_an_account_without_the_right_is_told_which() -> None:
    """Waiting does not mend it."""
    stub = Stubber(made_client())
    stub.add_client_error("get_products", "AccessDeniedException", "no", 400)
    with pytest.raises(Denied, match="pricing:GetProducts"):
        asked(stub)


def test_without_a_connection_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own credentials are not used in its place."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    def missing(_: str) -> Any:
        raise AirflowNotFoundException("no such connection")

    monkeypatch.setattr(Connection, "get", staticmethod(missing))
    with pytest.raises(TelemetryError, match="TEL-710 Connection prices: not defined"):
        AwsPricesHook("prices").price(WANTED, currency="USD", fetched_at=NOW)


def test_the_price_list_is_asked_where_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In us-east-1, although the Connection is for another region."""
    pytest.importorskip("airflow.providers.amazon")
    connection = {"conn_type": "aws", "login": "AK", "password": "SK", "extra": {"region_name": "eu-west-3"}}
    monkeypatch.setenv("AIRFLOW_CONN_PRICES", json.dumps(connection))
    client = AwsPricesHook("prices")._service._connected()
    assert client.meta.region_name == "us-east-1" and client.meta.endpoint_url == "https://api.pricing.us-east-1.amazonaws.com"
