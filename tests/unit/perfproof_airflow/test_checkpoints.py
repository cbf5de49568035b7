"""Where a Connection holds a signing key, the log is signed when a cycle decides something; without one nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from perfproof.errors import EvidenceError, Tampered
from perfproof.gates.result import GateResult, Outcome
from perfproof_airflow.checkpoints import checkpoint, signing_key
from perfproof_airflow.gate import PROPOSAL, judge
from perfproof_airflow.sensors.questions import ProtocolApproval


@pytest.fixture
def pem() -> str:
    """A new private key."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def connected(pem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key in the Connection."""
    connection = {"conn_type": "generic", "login": "k1", "password": pem}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SIGNING", json.dumps(connection))


def checkpoints(run: Any) -> list[str]:
    """Numbers of the checkpoints of a run."""
    store = run.cycle().store
    return [key.rpartition("/")[2] for key in store.backend.names(f"{store.run}/checkpoints/")]


def test_without_a_connection_nothing_is_signed(run: Any) -> None:
    """And nothing fails."""
    assert signing_key() is None
    assert checkpoint(run.cycle().store) is None
    assert checkpoints(run) == []


@pytest.mark.usefixtures("connected")
def test_the_log_as_it_is_now_is_signed(run: Any) -> None:
    """One checkpoint for one head."""
    size, _ = run.cycle().store.head()
    name = checkpoint(run.cycle().store)
    assert name == f"checkpoints/{size - 1:08d}.dsse.json"
    assert checkpoint(run.cycle().store) == name
    assert checkpoints(run) == [f"{size - 1:08d}.dsse.json"]


@pytest.mark.parametrize("connection", [{"login": "k1"}, {"login": "k1", "password": "hunter2"}, {"password": "hunter2"}])
def test_a_connection_without_a_key_halts_before_the_cycle_opens(
    unopened: Any, connection: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wants signatures must not get unsigned evidence; and the secret is not in the message."""
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SIGNING", json.dumps({"conn_type": "generic", **connection}))
    with pytest.raises(EvidenceError, match=r"EVI-62[01] Connection perfproof_signing") as caught:
        unopened.open()
    assert connection.get("password", "-----") not in str(caught.value)
    assert not list((unopened.workspace / ".artifacts" / "performance").glob("*/log/*"))


@pytest.mark.usefixtures("connected")
def test_an_approval_record_is_followed_by_a_checkpoint(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Its head covers the entry that publishes the record."""
    run.publish(PROPOSAL, {"updates": []})
    sensor = ProtocolApproval(task_id="await_slo_approvals", step="slo_updates", evidence=[PROPOSAL])
    ask(sensor)
    assert checkpoints(run) == []
    desk.answer("product_owner", "demo-owner")
    desk.answer("sre_lead", "demo-sre")
    ask(sensor)
    signed, (size, _) = checkpoints(run), run.cycle().store.head()
    assert len(signed) == 2
    assert signed[-1] == f"{size - 1:08d}.dsse.json"


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_gate_is_followed_by_a_checkpoint_whatever_it_says(run: Any, outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict that nobody likes cannot be cut off later."""
    result = GateResult(3, "Optimization Validation", outcome, datetime(2025, 2, 16, tzinfo=UTC), (), {}, (), {}, (), None)
    monkeypatch.setattr("perfproof.gates.assembly.evaluate_gate", lambda gate, *, read, facts: result)
    task = "optimization.gate_3"
    with nullcontext() if outcome is Outcome.PASS else pytest.raises(AirflowFailException):
        run.within(task, lambda: judge(run.cycle(task), 3, inputs=[]))
    entry = run.cycle().store.of_type("gate.evaluated")[0]
    assert f"{entry.seq:08d}.dsse.json" in checkpoints(run)


@pytest.mark.usefixtures("connected")
def test_a_log_that_was_cut_is_not_signed_again(run: Any) -> None:
    """The step halts, and says what to do."""
    store = run.cycle().store
    run.publish(PROPOSAL, {})
    checkpoint(run.cycle().store)
    max((run.workspace / ".artifacts" / "performance" / store.run / "log").iterdir()).unlink()
    with pytest.raises(Tampered, match="EVI-625"):
        checkpoint(run.cycle().store)
