"""Whether a host is this machine, by its name as it is written: nothing is resolved."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """True for an address of loopback and for `localhost`; `host` has no port."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
