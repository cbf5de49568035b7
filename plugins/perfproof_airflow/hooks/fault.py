"""The faults of a failure scenario, done to the test environment while load runs."""

from __future__ import annotations

from perfproof.errors import LoadError

CONNECT_SECONDS = 3
_TERMINATE = """
select count(*) filter (where pg_terminate_backend(pid))
  from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


class DatabaseFaultHook:
    """Does harm to one database, which its Airflow connection names."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def terminate_database_connections(self) -> int:
        """Ends every other client connection of the database; returns how many. Raises LoadError 331."""
        import psycopg

        try:
            with psycopg.connect(self._dsn, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
                row = connection.execute(_TERMINATE).fetchone()
        except psycopg.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LoadError(
                331,
                where="fault terminate_database_connections",
                what="the database's connections could not be ended",
                got=reason,
                fix="give the connection a role that may call pg_terminate_backend",
            ) from None
        return int(row[0]) if row else 0
