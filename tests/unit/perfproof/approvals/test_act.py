"""An act counts only as it was signed."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from typing import Any

import pytest

from perfproof.approvals import Act, Channel, SigningKey, read_act, read_key, sign
from perfproof.errors import ApprovalError

KEY = SigningKey(id="k1", secret=bytes(range(32)))
ACT = Act(
    actor_id="ann",
    actor_name="Ann",
    state="success",
    dag_id="performance_approvals",
    run_id="r",
    task_id="approve",
    map_index=0,
    ti_id="01",
    try_number=1,
    time="2025-02-16T10:00:00Z",
    note='looks "right" ü',
    decision=None,
    channel=Channel.MARK,
    conf_sha256="a" * 64,
    key_id="k1",
)


def test_a_signed_act_is_read_back_from_document_and_from_text() -> None:
    """The api-server stores text, a worker a document."""
    document = sign(ACT, key=KEY)
    assert read_act(document, key=KEY, where="x") == ACT
    assert read_act(json.dumps(document), key=KEY, where="x") == ACT


def test_the_signature_is_an_hmac_over_the_canonical_form() -> None:
    """Checked against the standard library, with the canonical form written by hand."""
    document = sign(ACT, key=KEY)
    body = {k: v for k, v in document.items() if k != "hmac_sha256"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert document["hmac_sha256"] == hmac.new(KEY.secret, canonical, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Act)])
def test_no_field_can_be_changed(field: str) -> None:
    """Each field is under the signature."""
    document = sign(ACT, key=KEY)
    document[field] = 7 if isinstance(document[field], int) else "other"
    with pytest.raises(ApprovalError) as caught:
        read_act(document, key=KEY, where="x")
    assert caught.value.code == "APR-402"


def test_a_field_cannot_be_added() -> None:
    """Nor can anything be said beside what was signed."""
    with pytest.raises(ApprovalError) as caught:
        read_act({**sign(ACT, key=KEY), "role": "sre_lead"}, key=KEY, where="x")
    assert caught.value.code == "APR-402"


def test_another_key_is_refused() -> None:
    """A key of another Airflow, even with the same id."""
    with pytest.raises(ApprovalError) as caught:
        read_act(sign(ACT, key=KEY), key=SigningKey(id="k1", secret=b"x" * 32), where="x")
    assert caught.value.code == "APR-402"


@pytest.mark.parametrize(
    "stored",
    [None, 7, [], {}, "not json", '{"a": NaN}', {"hmac_sha256": 1}, "[]", '{"a":1,"a":2}', "\ud800"],
)
def test_what_is_no_act_is_refused_as_such(stored: Any) -> None:
    """Whatever somebody stored: one clear refusal, no other error."""
    with pytest.raises(ApprovalError) as caught:
        read_act(stored, key=KEY, where="x")
    assert caught.value.code == "APR-401"


def test_an_unsigned_document_with_odd_values_is_refused() -> None:
    """Values that have no canonical form cannot have been signed."""
    for value in (float("nan"), 2**60, "\ud800", {1: 2}):
        # The empty signature: there is none to compare with, and nothing must not equal nothing.
        for signature in ("0" * 64, ""):
            with pytest.raises(ApprovalError) as caught:
                read_act({"hmac_sha256": signature, "key_id": "k1", "x": value}, key=KEY, where="x")
            assert caught.value.code == "APR-402"


@pytest.mark.parametrize("change", [{"note": "\ud800"}, {"try_number": 2**60}, {"ti_id": "\udfff"}])
@pytest.mark.parametrize("signature", ["", "0" * 64])
def test_a_whole_act_that_cannot_have_been_signed_is_refused(change: dict[str, Any], signature: str) -> None:
    """Every field in its type, no canonical form, and no signature: written by hand into the place of an act."""
    forged = {**dataclasses.asdict(ACT), "channel": "mark", **change, "hmac_sha256": signature}
    with pytest.raises(ApprovalError) as caught:
        read_act(forged, key=KEY, where="x")
    assert caught.value.code == "APR-402"


def test_an_act_of_more_than_64_kib_is_none() -> None:
    """A record holds its act, and a log entry is small; as text and as a document, also if it is signed."""
    document = sign(dataclasses.replace(ACT, note="n" * (1 << 16)), key=KEY)
    for stored in (document, json.dumps(document)):
        with pytest.raises(ApprovalError, match=r"too large") as caught:
            read_act(stored, key=KEY, where="x")
        assert caught.value.code == "APR-401"
    long = dataclasses.replace(ACT, note="n" * 60_000)
    assert read_act(sign(long, key=KEY), key=KEY, where="x") == long


@pytest.mark.parametrize(
    ("login", "password"), [(None, "a" * 64), ("k", None), ("k", ""), ("k", "a" * 63), ("k", "g" * 64), ("", "a" * 64)]
)
def test_a_connection_without_a_proper_key_is_refused_without_showing_it(login: str | None, password: str | None) -> None:
    """The message says how to make one, and never what was there."""
    with pytest.raises(ApprovalError) as caught:
        read_key(login=login, password=password)
    assert caught.value.code == "APR-423"
    assert not password or password not in str(caught.value)


def test_a_key_never_shows_its_secret() -> None:
    """Logs and tracebacks print representations."""
    key = read_key(login="k1", password="ab" * 32)
    assert "ab" * 4 not in repr(key) and "\\xab" not in repr(key)
