"""The key of the acts, from the Connection `perfproof_approvals`, in the two places that may read it."""

from __future__ import annotations

from perfproof.approvals.act import KEY_CONNECTION, KEY_FIX, SigningKey, read_key
from perfproof.errors import ApprovalError


def api_server_key() -> SigningKey:
    """The key in the api-server, which reads Connections from secrets backends and the metadata database itself."""
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get_connection_from_secrets(KEY_CONNECTION)
    except AirflowNotFoundException:
        raise _missing() from None
    return read_key(login=connection.login, password=connection.password)


def worker_key() -> SigningKey:
    """The key in a task, which asks the api-server for Connections. Raises ApprovalError 423 if there is none."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(KEY_CONNECTION)
    except AirflowNotFoundException:
        raise _missing() from None
    return read_key(login=connection.login, password=connection.password)


def _missing() -> ApprovalError:
    return ApprovalError(423, where=f"Connection {KEY_CONNECTION}", what="does not exist, so no approval can be given", fix=KEY_FIX)
