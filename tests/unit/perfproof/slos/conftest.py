"""Objectives of each kind, and promtool where the machine has it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from perfproof.config import Service, load_protocol
from perfproof.slos.objective import Objective, objective_of

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"


@pytest.fixture(scope="session")
def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml").service("shop")


@pytest.fixture(scope="session")
def samples(shop: Service) -> Objective:
    """A p95 whose buckets nobody knows: one sample a minute."""
    return objective_of(shop, metric="orders_latency_p95", target=60, slo=shop.slos[0])


@pytest.fixture(scope="session")
def buckets(shop: Service) -> Objective:
    """The same p95 in a histogram with a bucket at the target: 95 % of the requests."""
    return objective_of(shop, metric="orders_latency_p95", target=250, slo=shop.slos[0], buckets=(0.1, 0.25, 0.5))


@pytest.fixture(scope="session")
def errors(shop: Service) -> Objective:
    """At most 0.5 % of the requests fail."""
    return replace(objective_of(shop, metric="error_rate", target=0.5, slo=None), name="Errors")


@pytest.fixture(scope="session")
def throughput(shop: Service) -> Objective:
    """A metric where more is better."""
    return objective_of(shop, metric="throughput", target=5, slo=None)


@pytest.fixture(scope="session")
def every(samples: Objective, buckets: Objective, errors: Objective, throughput: Objective) -> Sequence[Objective]:
    return (samples, replace(buckets, name="Orders by buckets"), errors, throughput)


@pytest.fixture(scope="session")
def promtool() -> str:
    found = os.environ.get("PROMTOOL_BIN") or shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool on the PATH or in PROMTOOL_BIN: it comes with Debian's package prometheus, or a release of Prometheus")
    return found
