"""Which hosts, ports and addresses load may go to."""

from __future__ import annotations

import pytest

from perfproof.config import Target
from perfproof.errors import LoadError
from perfproof.load.targets import canonical_host, check_address, check_target

ALLOW = (Target("127.0.0.1", 8001), Target("shop.test", 8002), Target("10.0.0.5", 8002), Target("localhost", 8003))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Shop.Test.", "shop.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_spellings_of_one_host_are_one(host: str, expected: str) -> None:
    """Case, a dot at the end, brackets and long or mapped addresses make no difference."""
    assert canonical_host(host) == expected


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "0x7f.1", "１２７.0.0.1", "shöp.test", "shop test",
        "http://shop.test", "user@shop.test", "shop.test:8002", "", ".", "*", "-shop.test", "fe80::1%eth0", "shop.test/x", "a" * 64,
    ],
)  # fmt: skip
def test_what_is_no_plain_host_is_refused(host: str) -> None:
    """Numbers that resolvers read as addresses, other alphabets, URLs and wildcards."""
    with pytest.raises(LoadError) as caught:
        check_target(host, 8001, allow=ALLOW)
    assert caught.value.code == "LOD-101"


@pytest.mark.parametrize("host", ["other.test", "LOCALHOST.", "10.0.0.5", "127.0.0.2", "::1", "sub.shop.test"])
def test_an_unlisted_host_or_port_is_refused(host: str) -> None:
    """Each spelling is compared after it was made canonical; a listed host with another port is as good as unlisted."""
    with pytest.raises(LoadError) as caught:
        check_target(host, 8001, allow=ALLOW)
    assert caught.value.code in ("LOD-102", "LOD-103")


def test_a_listed_target_is_let_through() -> None:
    """In any spelling of the listed host."""
    assert check_target("SHOP.test.", 8002, allow=ALLOW) == "shop.test"
    assert check_target("::ffff:127.0.0.1", 8001, allow=ALLOW) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "port", "allowed"),
    [
        ("127.0.0.1", 8001, True),
        ("::ffff:127.0.0.1", 8001, True),
        ("127.0.0.1", 8002, False),
        ("10.0.0.5", 8002, True),
        ("10.0.0.6", 8002, False),
        ("127.0.0.1", 8003, True),
        ("::1", 8003, True),
        ("::1", 8001, False),
        ("shop.test", 8002, False),
        ("fe80::1%eth0", 8001, False),
    ],
)
def test_the_address_of_a_connection_must_be_listed_itself(address: str, port: int, allowed: bool) -> None:
    """A listed name lends nothing to the address behind it; localhost stands for the loopback addresses."""
    if allowed:
        check_address(address, port, allow=ALLOW)
        return
    with pytest.raises(LoadError) as caught:
        check_address(address, port, allow=ALLOW)
    assert caught.value.code == "LOD-104"
