"""The connection string of a database, from an Airflow Connection. It never leaves the worker."""

from __future__ import annotations

from urllib.parse import quote

from perfproof.errors import ConfigError


def dsn_of(connection: str | None, *, where: str) -> str:
    """The libpq URI of an Airflow Connection of type postgres. Raises ConfigError if there is none."""
    if connection is None:
        raise ConfigError(183, where=where, what="no database connection is declared", fix="add database_connection to the endpoint")
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = Connection.get(connection)
    except AirflowNotFoundException:
        raise ConfigError(
            184, where=where, what="this Airflow has no such Connection", got=connection, fix="add it under Admin > Connections"
        ) from None
    user = f"{quote(found.login or '', safe='')}:{quote(found.password or '', safe='')}@" if found.login else ""
    host = found.host or ""
    # A socket directory is a host for libpq, written in percent form.
    address = quote(host, safe="") if host.startswith("/") else host
    port = f":{found.port}" if found.port else ""
    return f"postgresql://{user}{address}{port}/{quote(found.schema or '', safe='')}"
