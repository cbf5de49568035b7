"""What a request of load may carry beside its path: headers and a body, without secrets and without a way around the target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfproof.evidence.secrets import find_secrets

if TYPE_CHECKING:
    # The protocol file's own checks ask here too.
    from perfproof.config import Transaction

MAX_HEADERS = 32
MAX_VALUE = 1024
MAX_BODY_BYTES = 64 << 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# They say where a request goes, or how the connection is used: that is the generator's own business.
REFUSED_HEADERS = frozenset(
    (
        "host", "forwarded", "x-forwarded-host", "x-forwarded-server", "x-original-host", "x-host", "x-original-url", "x-rewrite-url",
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect", "http2-settings",
        "content-length", "user-agent",
    )
)  # fmt: skip
# The file is evidence, and evidence holds no secrets; no header's value is looked up anywhere.
_SECRET_NAME = re.compile(r"authori[sz]ation|authentic|cookie|credential|password|secret|token|api-?key|signature|session", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a transaction, and under which of its keys."""

    key: str
    what: str
    got: object = None
    expected: object = None


def is_allowed_method(transaction: Transaction) -> bool:
    """GET and HEAD, which change nothing; POST with a body, for what can only be asked so."""
    return transaction.method in ("GET", "HEAD") or (transaction.method == "POST" and transaction.body is not None)


def request_problem(transaction: Transaction) -> Problem | None:
    """What is wrong with headers and body of a transaction, or None."""
    return _headers_problem(transaction) or _body_problem(transaction)


def _headers_problem(transaction: Transaction) -> Problem | None:
    headers = transaction.headers
    if len(headers) > MAX_HEADERS or len({name.lower() for name in headers}) != len(headers):
        return Problem("headers", "too many, or one of them twice", sorted(headers), f"at most {MAX_HEADERS}, each once")
    for name, value in headers.items():
        key = f"headers.{name}"
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or len(value) > MAX_VALUE:
            return Problem(key, "not a header", value, f"letters, digits, _ and - in the name; 1 to {MAX_VALUE} ASCII characters")
        if name.lower() in REFUSED_HEADERS or name.lower().startswith("proxy-"):
            return Problem(key, "the generator sets this header itself, or it could lead elsewhere", name)
        if _SECRET_NAME.search(name) or find_secrets(f"{name}: {value}".encode()):
            return Problem(key, "a header that holds a secret", "***", "no secrets in the file: let the test environment do without")
    return None


def _body_problem(transaction: Transaction) -> Problem | None:
    body = transaction.body
    if body is None:
        return None
    if transaction.method != "POST":
        return Problem("body", "only POST has a body", transaction.method, "POST")
    if len(body.encode()) > MAX_BODY_BYTES:
        return Problem("body", "too long", len(body.encode()), f"at most {MAX_BODY_BYTES} bytes")
    if "content-type" not in {name.lower() for name in transaction.headers}:
        return Problem("headers", "a body without its type", sorted(transaction.headers), "Content-Type")
    if find_secrets(body.encode()):
        return Problem("body", "a body that holds a secret", "***", "no secrets in the file")
    return None


def placeholders(transaction: Transaction) -> tuple[set[str], set[str]]:
    """The names in braces in the path, and those of the parameters that the body uses.

    Braces in a body that name no parameter stay: JSON is full of them.
    """
    body = transaction.body or ""
    in_path = set(re.findall(r"\{([^{}]*)\}", transaction.path))
    return in_path, {name for name in transaction.parameters if f"{{{name}}}" in body}
