"""What a protocol file may not say about curves, faults on the network, headers and bodies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import Fault, Protocol, load_protocol
from perfproof.errors import ConfigError

DEMO = Path(__file__).resolve().parents[4] / "include" / "protocols" / "demo.yaml"
PROXY = {"host": "127.0.0.1", "port": 15433, "seconds": 2}


def read(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Protocol:
    """The demo's file after `change` of its profile and its first transaction."""
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    change(document["load"]["profiles"]["demo"], document["services"][0]["transactions"][0])
    return load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")


def test_ramp_replay_proxy_headers_and_body_are_read() -> None:
    """Whole numbers of a curve are numbers; the replay counts as a test, and its length as load."""
    demo = read(lambda profile, transaction: None).load.profiles["demo"]

    def change(profile: dict[str, Any], transaction: dict[str, Any]) -> None:
        profile["peak"]["ramp_seconds"] = 2
        profile["replay"] = {"curve": [[0, 10], [20, 70.5]], "factor": 2}
        profile["failure"] |= {"fault": "slow_dependency", "proxy": {**PROXY, "latency_ms": 250}}
        transaction |= {"method": "POST", "path": "/search", "headers": {"Content-Type": "application/json"}, "body": '{"id": {customer}}'}

    protocol = read(change)
    profile, transaction = protocol.load.profiles["demo"], protocol.services[0].transactions[0]
    assert profile.peak.ramp_seconds == 2
    assert profile.replay is not None
    assert (profile.replay.highest_rate, profile.replay.seconds) == (141, 20)
    assert profile.most_tests(services=1) == demo.most_tests(services=1) + 1
    assert profile.most_seconds(services=1) == demo.most_seconds(services=1) + 2 + 20
    assert (profile.failure.fault, profile.failure.fault_seconds) == (Fault.SLOW_DEPENDENCY, 2)
    assert transaction.body == '{"id": {customer}}'


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("peak.ramp_seconds", 2.5, "CFG-166"),
        ("peak.ramp_seconds", -1, "CFG-166"),
        ("replay", {"curve": []}, "CFG-272"),
        ("replay", {"curve": [[0, 10]]}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [5]]}, "CFG-272"),
        ("replay", {"curve": [[1, 10], [5, 10]]}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [0, 10]]}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [5, -1]]}, "CFG-272"),
        ("replay", {"curve": [[0, 0], [5, 0]]}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [5, 10]], "factor": 0}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [5, 10]], "factor": 0.01}, "CFG-272"),
        ("replay", {"curve": [[0, 10], [5, 151]]}, "CFG-165"),
        ("replay", {"curve": [[0, 80], [5, 80]], "factor": 2}, "CFG-165"),
        ("replay", {"curve": [[0, 10], [119, 10]]}, "CFG-166"),
        ("replay", {"curve": "curve.csv"}, "CFG-123"),
        ("failure.proxy", PROXY, "CFG-273"),
        ("failure.fault", "lost_connections", "CFG-273"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(path: str, value: object, code: str) -> None:
    """With the place and a code of its own."""

    def change(profile: dict[str, Any], transaction: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place = profile
        for name in parents:
            place = place[name]
        place[last] = value

    with pytest.raises(ConfigError) as caught:
        read(change)
    assert caught.value.code == code
    assert path.split(".")[0] in caught.value.where


@pytest.mark.parametrize(
    ("fault", "changes", "code"),
    [
        ("slow_dependency", {}, "CFG-275"),
        ("slow_dependency", {"latency_ms": 0}, "CFG-275"),
        ("slow_dependency", {"latency_ms": 61_000}, "CFG-275"),
        ("slow_dependency", {"latency_ms": 10, "bytes_per_second": 10}, "CFG-275"),
        ("lost_connections", {"latency_ms": 10}, "CFG-275"),
        ("low_bandwidth", {"latency_ms": 10}, "CFG-275"),
        ("lost_connections", {"seconds": 0}, "CFG-275"),
        ("lost_connections", {"seconds": 7.5}, "CFG-275"),
        ("lost_connections", {"host": "10.0.0.5"}, "CFG-274"),
        ("lost_connections", {"host": "proxy.test"}, "CFG-274"),
        ("lost_connections", {"port": 0}, "CFG-274"),
    ],
)
def test_a_proxy_must_fit_its_fault(fault: str, changes: dict[str, Any], code: str) -> None:
    """The figure it needs and no other, on loopback, and over before the test is."""

    def change(profile: dict[str, Any], transaction: dict[str, Any]) -> None:
        profile["failure"] |= {"fault": fault, "proxy": {**PROXY, **changes}}

    with pytest.raises(ConfigError) as caught:
        read(change)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"headers": {"Host": "elsewhere.test"}}, "CFG-271"),
        ({"headers": {"Authorization": "Basic dXNlcg"}}, "CFG-271"),
        ({"body": "x"}, "CFG-271"),
        ({"method": "POST"}, "CFG-152"),
        ({"method": "PUT", "body": "x"}, "CFG-152"),
        ({"path": "/search"}, "CFG-192"),
        ({"headers": {"Accept": 5}}, "CFG-123"),
    ],
)
def test_a_transaction_that_cannot_be_sent_is_refused(changes: dict[str, Any], code: str) -> None:
    """Headers that lead elsewhere or hold secrets, bodies without POST, methods that change data, parameters that nothing names."""
    with pytest.raises(ConfigError) as caught:
        read(lambda profile, transaction: transaction.update(changes))
    assert caught.value.code == code
    assert "dXNlcg" not in str(caught.value)
