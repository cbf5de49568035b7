"""Asks the AWS Price List Query API (`GetProducts`) for the on-demand price of an EC2 instance.

The service answers in few regions, whatever region is priced; us-east-1 is asked. The Connection (type aws) needs
`pricing:GetProducts`, which knows no resources and reads nothing of the account.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from perfproof.aws_price_list import SERVICE_CODE, WHERE, filters, one_price
from perfproof.config import AwsPrices
from perfproof.errors import TelemetryError
from perfproof.prices import Price
from perfproof_airflow.hooks.aws_service import AwsService
from perfproof_airflow.hooks.http_answers import Limits

PRICING_REGION = "us-east-1"
PAGE = 100
# Complete filters match one product; this many are an answer to other filters.
MAX_PRODUCTS = 500


class AwsPricesHook:
    """Reads prices at an Airflow Connection of type aws. `client` replaces the Connection in tests."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_aws_prices"
    conn_type = "aws"
    hook_name = "AWS Price List"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        client: Any = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self._service = AwsService(
            "pricing", connection_id, source=WHERE, client=client, limits=limits, region=PRICING_REGION, sleep=sleep, clock=clock
        )

    def price(self, wanted: AwsPrices, *, currency: str, fetched_at: datetime) -> Price:
        """The one on-demand price that `wanted` names.

        Raises Unreachable, Denied and TelemetryError as `AwsService` does, TelemetryError 813 for too many products, and 814 to 817 as
        `one_price` does.
        """
        asked = filters(region=wanted.region, instance_type=wanted.instance_type, operating_system=wanted.operating_system)
        question = {"ServiceCode": SERVICE_CODE, "Filters": asked, "FormatVersion": "aws_v1", "MaxResults": PAGE}
        found: list[str] = []
        for page in self._service.question().pages("get_products", question):
            found += page.get("PriceList") or []
            if len(found) > MAX_PRODUCTS:
                raise TelemetryError(
                    813, where=WHERE, what="too many products", got=f"more than {MAX_PRODUCTS}", expected="one",
                    fix="check that endpoint_url of the Connection is the Price List",
                )  # fmt: skip
        return one_price(found, asked=asked, currency=currency, fetched_at=fetched_at)
