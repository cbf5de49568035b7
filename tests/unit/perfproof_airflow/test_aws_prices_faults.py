"""The price hook against a real socket that misbehaves: one line each, bounded in time, and never a price."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from fault_server import Answer, fault_server

from perfproof.config import AwsPrices
from perfproof.errors import TelemetryError
from perfproof.prices import Price
from perfproof_airflow.hooks.aws_prices import AwsPricesHook
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.http_answers import Limits, Unreachable

NOW = datetime(2025, 2, 16, 12, 0, tzinfo=UTC)
AWS_JSON = {"Content-Type": "application/x-amz-json-1.1"}
TEST_SECONDS = 1.0


def answer(*prices: str, unit: str = "Hrs") -> Answer:
    products = [
        json.dumps(
            {
                "product": {"attributes": {"instanceType": "m7i.large", "vcpu": "2", "memory": "8 GiB"}},
                "terms": {"OnDemand": {"a": {"priceDimensions": {"b": {"unit": unit, "pricePerUnit": {"USD": price}}}}}},
            }
        )
        for price in prices
    ]
    return 200, AWS_JSON, json.dumps({"FormatVersion": "aws_v1", "PriceList": products}).encode()


def ask(address: str) -> Price:
    client: Any = boto3.client(
        "pricing",
        region_name="us-east-1",
        aws_access_key_id="AK",
        aws_secret_access_key="SK",
        endpoint_url=address,
        config=client_settings(),
    )
    hook = AwsPricesHook(client=client, limits=Limits(total_seconds=TEST_SECONDS, answer_bytes=1 << 20), sleep=lambda _: None)
    return hook.price(AwsPrices("prices", "eu-central-1", "m7i.large"), currency="USD", fetched_at=NOW)


def test_a_good_answer_over_a_socket_is_read() -> None:
    """What the other tests break works; without a day of publication the day of the question stands."""
    with fault_server("good", answer("0.1197")) as address:
        price = ask(address)
    assert (price.instance_hour, price.as_of) == (0.1197, "2025-02-16")


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("down", Unreachable, "TEL-718"),
        ("slow", Unreachable, "TEL-718"),
        ("http_429", Unreachable, "TEL-718"),
        ("http_500", Unreachable, "TEL-718"),
        ("truncated", Unreachable, "TEL-718"),
        ("redirect", TelemetryError, "TEL-715"),
        ("html_200", TelemetryError, "TEL-714"),
        ("endless", TelemetryError, "TEL-717"),
        ("gzip_bomb", TelemetryError, "TEL-71"),
    ],
)
def test_a_fault_is_one_line_in_time(mode: str, error: type[TelemetryError], code: str) -> None:
    """Within the total time, and in little memory: the server packs its bomb in this process, which takes 64 MiB of it."""
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with fault_server(mode, answer("0.1197")) as address, pytest.raises(error) as told:
            ask(address)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told.value.code.startswith(code) and "\n" not in str(told.value)
    assert time.monotonic() - begin < TEST_SECONDS + 2 and peak < 128 << 20


@pytest.mark.parametrize(
    ("mode", "given", "code"),
    [
        ("nan", answer("NaN"), "TEL-816"),
        ("gaps", answer(), "TEL-814"),
        ("duplicates", answer("0.1", "0.1"), "TEL-815"),
        ("unit_change", answer("0.1", unit="Quantity"), "TEL-814"),
    ],
)
def test_an_answer_that_is_no_single_price_is_refused(mode: str, given: Answer, code: str) -> None:
    """Order means nothing in a list of products."""
    with fault_server(mode, given) as address, pytest.raises(TelemetryError) as told:
        ask(address)
    assert told.value.code == code
