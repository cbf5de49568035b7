"""Signs the log where a Connection holds a key for it; without one the evidence is unsigned, and the task log says so."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perfproof.errors import EvidenceError
from perfproof.evidence.envelope import SIGNING_CONNECTION, read_checkpoint_key

if TYPE_CHECKING:
    from perfproof.evidence import EvidenceStore
    from perfproof.evidence.envelope import CheckpointKey

log = logging.getLogger(__name__)


def signing_key() -> CheckpointKey | None:
    """The key in the Connection `perfproof_signing` (login: key id, password: PEM); None if there is no such Connection.

    Raises EvidenceError for a Connection that holds no key: a team that wants signatures must not get unsigned evidence.
    """
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(SIGNING_CONNECTION)
    except AirflowNotFoundException:
        return None
    pem = (connection.password or "").encode()
    return read_checkpoint_key(pem, key_id=connection.login or "", where=f"Connection {SIGNING_CONNECTION}")


def refresh_view(store: EvidenceStore) -> None:
    """Writes what pages show of the run at a glance. It stops nothing if it cannot: pages then compute it from the log."""
    from perfproof.cycles.view import write_view

    try:
        write_view(store)
    except EvidenceError as error:
        log.warning("the view of the cycle was not written: %s", error)


def checkpoint(store: EvidenceStore) -> str | None:
    """Path of the signed checkpoint of the log as it is now; None without a key.

    Raises Tampered when the log does not extend its last checkpoint.
    """
    from perfproof.evidence.checkpoints import sign_checkpoint

    refresh_view(store)
    key = signing_key()
    if key is None:
        log.info("the log is not signed: there is no Connection %s", SIGNING_CONNECTION)
        return None
    name = sign_checkpoint(store, key=key, time=datetime.now(UTC))
    log.info("signed %s with the key %s", name, key.id)
    return name
