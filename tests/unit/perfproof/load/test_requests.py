"""Headers and bodies that load may carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfproof.config import Span, Transaction
from perfproof.load.requests import is_allowed_method, placeholders, request_problem

GET = Transaction("a", "GET", "/a", 1)
POST = Transaction("b", "POST", "/b", 1, headers={"Content-Type": "application/json"}, body="{}")


def test_usual_headers_and_bodies_are_fine() -> None:
    """What a client of an API sends."""
    headers = {"Accept": "application/json", "Accept-Language": "de-DE,de;q=0.9", "X-Tenant": "test", "If-None-Match": '"abc"'}
    assert request_problem(replace(GET, headers=headers)) is None
    assert request_problem(POST) is None


@pytest.mark.parametrize(
    "name",
    [
        "Host", "HOST", "X-Forwarded-Host", "Forwarded", "Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE",
        "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "User-Agent", "X-Original-URL", "X-Rewrite-URL",
    ],
)  # fmt: skip
def test_headers_that_lead_elsewhere_or_belong_to_the_connection_are_refused(name: str) -> None:
    """In any case."""
    problem = request_problem(replace(GET, headers={name: "x"}))
    assert problem is not None
    assert name in problem.key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Basic dXNlcg"), ("Cookie", "a=b"), ("X-Api-Key", "1"), ("apikey", "1"), ("X-Auth-Token", "1"),
        ("X-Session", "1"),
        ("X-Note", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ],
)  # fmt: skip
def test_secrets_are_refused_and_not_quoted(name: str, value: str) -> None:
    """By the header's name, or by what its value looks like."""
    problem = request_problem(replace(GET, headers={name: value}))
    assert problem is not None
    assert "secret" in problem.what
    assert problem.got == "***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Accept", "a\r\nHost: b"), ("Accept", "a\nb"), ("Accept", ""), ("Accept", "ä"), ("Accept", "x" * 1025), ("Accept", " x"),
        ("A b", "c"), ("A:", "c"), ("", "c"),
    ],
)  # fmt: skip
def test_what_would_break_the_request_is_refused(name: str, value: str) -> None:
    """Line breaks, other alphabets, empty and endless values."""
    assert request_problem(replace(GET, headers={name: value})) is not None


def test_one_header_in_two_spellings_is_refused() -> None:
    """Which of them would be sent?"""
    assert request_problem(replace(GET, headers={"Accept": "a", "accept": "b"})) is not None


def test_a_body_needs_post_and_a_type_and_has_a_limit() -> None:
    """And POST needs a body."""
    assert request_problem(replace(POST, method="GET")) is not None
    assert request_problem(replace(POST, headers={})) is not None
    assert request_problem(replace(POST, body="x" * (64 << 10))) is None
    assert request_problem(replace(POST, body="x" * ((64 << 10) + 1))) is not None
    assert is_allowed_method(POST)
    assert not is_allowed_method(replace(POST, body=None))
    assert not is_allowed_method(replace(POST, method="PUT"))


def test_braces_of_a_body_are_parameters_only_if_they_name_one() -> None:
    """The path is strict, since every brace in it is meant."""
    both = replace(POST, path="/b/{id}", body='{"query": "{orders {id}}", "n": {n}}', parameters={"id": Span(1, 2), "n": Span(1, 2)})
    assert placeholders(both) == ({"id"}, {"id", "n"})
