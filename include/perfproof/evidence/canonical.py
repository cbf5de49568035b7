"""RFC 8785 bytes of a JSON value, quickly for the values that entries of a log are made of.

`rfc8785` decides about everything. For values without floats and with ASCII keys the standard library's encoder gives the same
bytes twenty times faster: what RFC 8785 adds to sorted, compact JSON is the form of floats, an order of keys by UTF-16 code
units (that of code points, as long as keys are ASCII) and the limits of what is JSON at all.
"""

from __future__ import annotations

import json
from typing import Any

import rfc8785

LARGEST_INTEGER = (1 << 53) - 1
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_bytes(value: Any) -> bytes:
    """`value` as RFC 8785 bytes. Raises rfc8785.CanonicalizationError, or RecursionError, for what JSON cannot hold."""
    if _is_simple(value):
        try:
            return _ENCODER.encode(value).encode()
        except UnicodeEncodeError:
            # A lone surrogate: the library says so in its own words.
            pass
    return rfc8785.dumps(value)


def _is_simple(value: Any) -> bool:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-LARGEST_INTEGER <= value <= LARGEST_INTEGER)
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_simple(item) for key, item in value.items())
    if kind is list or kind is tuple:
        return all(map(_is_simple, value))
    return False
