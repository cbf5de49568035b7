"""The price by which a service is reckoned, and what a protocol file may say about prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import AwsPrices, Cost, InstancePrice, Limits, Protocol, load_protocol
from perfproof.errors import ConfigError
from perfproof.prices import Price, price_from, price_of

DEMO = Path(__file__).resolve().parents[3] / "include" / "protocols" / "demo.yaml"
TABLE = Cost("USD", core_hour=0.04, gib_hour=0.005, as_of="2025-02-16")
M7I = InstancePrice("m7i.large", vcpu=2, gib=8, hour=0.1)
QUOTED = Price("USD", "AWS Price List", "2025-02-14", instance="m7i.large", vcpu=2, gib=8, instance_hour=0.1008)


def loaded(**cost: Any) -> Protocol:
    """The demo's file with another `cost`."""
    document = yaml.safe_load(DEMO.read_bytes())
    document["cost"] = {"currency": "USD", "core_hour": 0.04, "gib_hour": 0.005, **cost}
    return load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")


def test_the_table_prices_cores_and_memory() -> None:
    """A core and half a GiB; a request of 10 ms of a core that holds 0.1 GiB for a second."""
    price = price_of("shop", cost=TABLE)
    assert (price.source, price.as_of) == ("protocol file", "2025-02-16")
    assert price.hourly(Limits(1, 512)) == pytest.approx(0.0425)
    assert price.of_request(cpu_seconds=0.01, gib_seconds=0.1) == pytest.approx((0.01 * 0.04 + 0.1 * 0.005) / 3600)


def test_an_instance_is_shared_by_what_binds_first() -> None:
    """Half the cores and a sixteenth of the memory take half of the instance; as many such services fit on it."""
    price = price_of("shop", cost=replace(TABLE, instances=(M7I,)))
    assert (price.instance, price.instance_hour) == ("m7i.large", 0.1)
    assert price.hourly(Limits(1, 512)) == pytest.approx(0.05)
    assert price.hourly(Limits(0.1, 4096)) == pytest.approx(0.05)
    assert price.hourly(Limits(4, 512)) == pytest.approx(0.2)


def test_an_instance_is_for_the_services_that_it_names() -> None:
    """Others are reckoned by the next entry, and without one by cores and memory."""
    cost = replace(TABLE, instances=(replace(M7I, services=("other",)), replace(M7I, type="m7i.xlarge", services=("shop",))))
    assert [price_of(name, cost=cost).instance for name in ("other", "shop", "third")] == ["m7i.large", "m7i.xlarge", None]


def test_the_price_list_comes_first_and_its_failure_is_told() -> None:
    """A table in its place is said to be one."""
    cost = replace(TABLE, aws=AwsPrices("aws", "eu-central-1", "m7i.large", services=("shop",)))
    assert price_of("shop", cost=cost, quoted=QUOTED) == QUOTED
    instead = price_of("shop", cost=cost, refused="TEL-813 AWS Price List: no credentials")
    assert instead.source == "protocol file" and "AWS Price List was not used: TEL-813" in str(instead.note)
    assert price_of("other", cost=cost, quoted=QUOTED).note is None


@pytest.mark.parametrize("price", [QUOTED, price_of("shop", cost=TABLE), price_of("shop", cost=replace(TABLE, as_of=None))])
def test_a_price_is_read_as_it_was_written(price: Price) -> None:
    """So that the cost after the change uses the price of the cost before it."""
    assert price_from(price.document()) == price


@pytest.mark.parametrize(
    "changes",
    [{"core_hour": None}, {"gib_hour": -1.0}, {"core_hour": float("nan")}, {"core_hour": "0.04"}, {"currency": None}, {"core_hour": True}],
)
def test_what_is_no_price_is_none(changes: dict[str, Any]) -> None:
    """A damaged document is not read as a price of 0."""
    assert price_from({**price_of("shop", cost=TABLE).document(), **changes}) is None
    assert price_from({**QUOTED.document(), "vcpu": 0}) is None


def test_the_protocol_file_takes_instances_and_the_price_list() -> None:
    """With their defaults."""
    cost = loaded(
        as_of="2025-02-16",
        instances=[{"type": "m7i.large", "vcpu": 2, "gib": 8, "hour": 0.1008, "services": ["shop"]}],
        aws={"connection": "aws_prices", "region": "eu-central-1", "instance_type": "m7i.large"},
    ).cost
    assert cost.aws == AwsPrices("aws_prices", "eu-central-1", "m7i.large") and cost.instances[0].hour == 0.1008


AWS = {"connection": "aws", "region": "eu-central-1", "instance_type": "m7i.large"}


@pytest.mark.parametrize(
    ("cost", "code"),
    [
        ({"as_of": "16.2.2025"}, "CFG-810"),
        ({"as_of": "2025-02-30"}, "CFG-810"),
        ({"aws": {**AWS, "region": "Frankfurt"}}, "CFG-811"),
        ({"aws": {**AWS, "instance_type": "large"}}, "CFG-811"),
        ({"aws": {**AWS, "connection": ""}}, "CFG-811"),
        ({"aws": {**AWS, "services": ["shop", "ghost"]}}, "CFG-812"),
        ({"instances": [{"type": "x", "vcpu": 2, "gib": 8, "hour": 1, "services": ["ghost"]}]}, "CFG-812"),
        ({"instances": [{"type": "x", "vcpu": 0, "gib": 8, "hour": 1}]}, "CFG-191"),
        ({"instances": [{"type": "x", "vcpu": 2, "gib": 8, "hour": -1}]}, "CFG-191"),
        ({"instances": [{"type": name, "vcpu": 2, "gib": 8, "hour": 1} for name in ("x", "X")]}, "CFG-134"),
    ],
)
def test_prices_that_cannot_be_meant_are_refused(cost: dict[str, Any], code: str) -> None:
    """By name, before anything is measured."""
    with pytest.raises(ConfigError) as refused:
        loaded(**cost)
    assert refused.value.code == code and "cost" in refused.value.where


def test_an_optimization_without_an_owner_has_that_of_its_service() -> None:
    """The owner of the service's entry; one that names its own keeps it."""
    document = yaml.safe_load(DEMO.read_bytes())
    del document["optimizations"][0]["owner"]
    document["optimizations"][1]["owner"] = "demo-sre"
    protocol = load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")
    assert [o.owner for o in protocol.optimizations[:2]] == [protocol.services[0].owner, "demo-sre"]
