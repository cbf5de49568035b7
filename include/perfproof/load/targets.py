"""Where load may go: hosts and ports on the allow-list, and the addresses behind them.

A target has to be listed twice over: the host as it is written (before anything is resolved), and the address that a
connection really goes to (at each connect). A name is listed together with its addresses; `localhost` stands for the
loopback addresses. What looks like a number but is not a plain address (`127.1`, `2130706433`, `0x7f000001`) is refused,
because resolvers read such spellings as addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfproof.errors import LoadError

if TYPE_CHECKING:
    # The protocol file's own checks ask here too.
    from perfproof.config import Target

_NAME = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$")
_NUMBER_LIKE = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)$")
_LOOPBACK = ("127.0.0.1", "::1")


def canonical_host(host: str, *, where: str = "host") -> str:
    """`host` in the one spelling that lists are compared in: lower case, no dot at the end, addresses in their short form.

    An IPv4 address written as IPv6 becomes IPv4. Raises LoadError 101 for anything that is no plain name or address.
    """
    text = host.lower()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return _address(text)
    except ValueError:
        pass
    text = text.removesuffix(".")
    if not host.isascii() or not _NAME.match(text) or len(text) > 253 or _NUMBER_LIKE.search(text):
        raise LoadError(
            101,
            where=where,
            what="not a plain host name or address",
            got=host,
            expected="an ASCII name, 127.0.0.1 or ::1",
            fix="write the host as it stands in load.allow",
        )
    return text


def check_target(host: str, port: int, *, allow: Sequence[Target], where: str = "load target") -> str:
    """The canonical host, if `host` and `port` are on `allow`. Raises LoadError 102 (host) or 103 (port)."""
    canonical = canonical_host(host, where=where)
    ports = [t.port for t in allow if canonical_host(t.host, where="load.allow") == canonical]
    if not ports:
        raise LoadError(
            102,
            where=where,
            what="host is not on the allow-list",
            got=host,
            expected=_listed(allow),
            fix="load-test a listed host, or list this one and have it authorized",
        )
    if port not in ports:
        raise LoadError(
            103,
            where=where,
            what="port is not on the allow-list",
            got=f"{host}:{port}",
            expected=_listed(allow),
            fix="load-test a listed port, or list this one and have it authorized",
        )
    return canonical


def check_address(address: str, port: int, *, allow: Sequence[Target], where: str = "load target") -> None:
    """Returns if a connection may go to `address` (numeric) and `port`. Raises LoadError 104 if it may not."""
    try:
        numeric = _address(address)
    except ValueError:
        numeric = ""
    if not numeric or (numeric, port) not in _listed_addresses(allow):
        raise LoadError(
            104,
            where=where,
            what="the host resolves to an address that is not on the allow-list",
            got=f"{address} port {port}",
            expected=_listed(allow),
            fix="list the address beside the name, if it is the test environment",
        )


def _address(text: str) -> str:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
    return str(address)


def _listed_addresses(allow: Sequence[Target]) -> set[tuple[str, int]]:
    listed: set[tuple[str, int]] = set()
    for target in allow:
        host = canonical_host(target.host, where="load.allow")
        if host == "localhost":
            listed.update((address, target.port) for address in _LOOPBACK)
            continue
        try:
            listed.add((_address(host), target.port))
        except ValueError:
            continue
    return listed


def _listed(allow: Sequence[Target]) -> str:
    return ", ".join(f"{t.host}:{t.port}" for t in allow) or "an entry in load.allow"
