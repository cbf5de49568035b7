"""Keys can be replaced while cycles wait, and nothing of them is ever shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof.approvals import Act, Channel, KeyRing, RetiredKey, SigningKey, read_act, read_ring, sign
from perfproof.errors import ApprovalError

OLD, NEW = "ab" * 32, "cd" * 32
UNTIL = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
RING = KeyRing(SigningKey("k2", bytes.fromhex(NEW)), (RetiredKey(SigningKey("k1", bytes.fromhex(OLD)), UNTIL),))


def extra(**changes: Any) -> str:
    return json.dumps({"retired": {"k1": {"password": OLD, "until": "2026-12-01T10:00:00Z", **changes}}})


def act(*, key_id: str, time: str) -> Act:
    return Act(
        actor_id="ann", actor_name="Ann", state="success", dag_id="performance_approvals", run_id="r", task_id="approve", map_index=0,
        ti_id="01", try_number=1, time=time, note=None, decision=None, channel=Channel.MARK, conf_sha256="a" * 64, key_id=key_id,
    )  # fmt: skip


def test_a_connection_gives_the_current_key_and_the_retired_ones() -> None:
    """As login and password, and as extra."""
    assert read_ring(login="k2", password=NEW, extra=extra()) == RING


@pytest.mark.parametrize("nothing", [None, "", "  ", "{}", '{"retired": {}}'])
def test_a_connection_without_retired_keys_is_as_before(nothing: str | None) -> None:
    """Nobody has to write anything until a key is replaced."""
    assert read_ring(login="k2", password=NEW, extra=nothing) == KeyRing(RING.current)


@pytest.mark.parametrize(
    ("key_id", "time", "code"),
    [
        ("k2", "2026-12-09T10:00:00Z", None),
        ("k2", "2026-11-09T10:00:00Z", None),
        ("k1", "2026-12-01T10:00:00Z", None),
        ("k1", "2026-12-01T10:00:01Z", "APR-402"),
    ],
)
def test_an_act_of_a_retired_key_counts_until_its_last_moment(key_id: str, time: str, code: str | None) -> None:
    """What was approved before the key was replaced stays approved; what is signed with it later is not."""
    signer = RING.key(key_id)
    assert signer is not None
    made = act(key_id=key_id, time=time)
    if code is None:
        assert read_act(sign(made, key=signer), key=RING, where="x") == made
    else:
        with pytest.raises(ApprovalError, match=r"APR-402 .*the key k1 after it was retired"):
            read_act(sign(made, key=signer), key=RING, where="x")


def test_an_act_of_a_key_that_is_not_in_the_ring_names_the_key() -> None:
    """Whoever forgot to keep the old key sees that at once."""
    stray = SigningKey("k0", b"x" * 32)
    with pytest.raises(ApprovalError, match=r"APR-402 .*a key that this Airflow does not know \(got k0\)"):
        read_act(sign(act(key_id="k0", time="2026-11-09T10:00:00Z"), key=stray), key=RING, where="x")


def test_a_retired_id_with_another_secret_is_no_retired_key() -> None:
    """The id says nothing, the signature does."""
    forged = sign(act(key_id="k1", time="2026-11-09T10:00:00Z"), key=SigningKey("k1", b"x" * 32))
    with pytest.raises(ApprovalError, match=r"APR-402 .*the signature is not of this Airflow"):
        read_act(forged, key=RING, where="x")


MALFORMED = {
    "no JSON": "{" + OLD,
    "duplicate key": f'{{"retired": {{"k1": {{"password": "{OLD}", "password": "{NEW}", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "a list": f'["{OLD}"]',
    "misspelt": f'{{"retried": {{"k1": {{"password": "{OLD}", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "no mapping": f'{{"retired": ["{OLD}"]}}',
    "the key itself": f'{{"retired": {{"k1": "{OLD}"}}}}',
    "id and secret mixed up": f'{{"retired": {{"{OLD}": {{"password": "k1", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "another word": f'{{"retired": {{"k1": {{"key": "{OLD}", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "more words": extra(secret=OLD),
    "63 digits": extra(password=OLD[:-1]),
    "capitals": extra(password=OLD.upper()),
    "no text": extra(password=7),
    "no moment": extra(until="yesterday"),
    "no zone": extra(until="2026-12-01T10:00:00"),
    "no until": extra(until=None),
    "the current id": f'{{"retired": {{"k2": {{"password": "{OLD}", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "no id": f'{{"retired": {{" ": {{"password": "{OLD}", "until": "2026-12-01T10:00:00Z"}}}}}}',
    "too long": json.dumps({"retired": {}, "x": OLD * 2000}),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_ring_is_one_line_without_any_secret(text: str) -> None:
    """Logs are read by many people, and an error is what they show."""
    with pytest.raises(ApprovalError) as caught:
        read_ring(login="k2", password=NEW, extra=text)
    line = str(caught.value)
    assert caught.value.code == "APR-425" and "\n" not in line
    assert not any(part in line.lower() for part in (OLD[:8], NEW[:8]))
    assert caught.value.__context__ is None or caught.value.__suppress_context__, "a traceback would show what was read"


def test_without_a_current_key_a_retired_one_does_not_help() -> None:
    """Nothing could be signed."""
    with pytest.raises(ApprovalError, match="APR-423"):
        read_ring(login=None, password=None, extra=extra())


def test_a_ring_never_shows_a_secret() -> None:
    """Tracebacks and logs print representations."""
    shown = repr(RING) + str(RING) + f"{RING.retired}"
    assert "k1" in shown and "k2" in shown
    assert not any(part in shown for part in (OLD[:8], NEW[:8], repr(bytes.fromhex(OLD))[2:12], "\\xab", "\\xcd"))
