"""The keys of the acts, from the Connection `perfproof_approvals`, in the two places that may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfproof.errors import ApprovalError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from perfproof.approvals.keys import KeyRing, SigningKey


def api_server_key() -> SigningKey:
    """The current key in the api-server, which reads Connections from secrets backends and the metadata database itself.

    Retired keys are not read: nothing is signed with them, and a mistake among them must not lose an act.
    """
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from perfproof.approvals.keys import KEY_CONNECTION, read_key

    try:
        connection = Connection.get_connection_from_secrets(KEY_CONNECTION)
    except AirflowNotFoundException:
        raise _missing() from None
    return read_key(login=connection.login, password=connection.password)


def worker_key() -> SigningKey:
    """The current key in a task, which asks the api-server for Connections, for signing. Raises ApprovalError 423 if there is none."""
    from perfproof.approvals.keys import read_key

    connection = _worker_connection()
    return read_key(login=connection.login, password=connection.password)


def worker_ring() -> KeyRing:
    """All keys in a task, for reading acts. Raises ApprovalError 423 if there is no key, 425 if a retired one is malformed."""
    from airflow.sdk.log import mask_secret

    from perfproof.approvals.keys import read_ring

    connection = _worker_connection()
    ring = read_ring(login=connection.login, password=connection.password, extra=connection.extra)
    for retired in ring.retired:
        mask_secret(retired.key.secret.hex())
    return ring


def _worker_connection() -> Connection:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from perfproof.approvals.keys import KEY_CONNECTION

    try:
        return Connection.get(KEY_CONNECTION)
    except AirflowNotFoundException:
        raise _missing() from None


def _missing() -> ApprovalError:
    from perfproof.approvals.keys import KEY_CONNECTION, KEY_FIX

    return ApprovalError(423, where=f"Connection {KEY_CONNECTION}", what="does not exist, so no approval can be given", fix=KEY_FIX)
