"""Reads statement statistics and query plans from a service's PostgreSQL database, without changing anything in it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from perfproof.errors import PerfproofError, ProfileError
from perfproof.query_plans import Explained, StatementRow, plan_of
from perfproof.statements import called_functions, check_explainable

CONNECT_SECONDS = 5
STATEMENT_TIMEOUT_MS = 5000
LOCK_TIMEOUT_MS = 500
# The server shows this in place of a statement of another user.
HIDDEN = "<insufficient privilege>"
CONNECTION_EXTRAS = ("sslmode", "sslcert", "sslkey", "sslrootcert", "options")
_TYPE_NAME = re.compile(r'^[A-Za-z_"][A-Za-z0-9_ ".()\[\],]*$')


# The comment marks this hook's own statements, which are not the service's.
EXTENSION_SCHEMA = """
SELECT /* perfproof */ n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
"""
STATEMENTS = """
SELECT /* perfproof */ s.queryid::text, s.query, sum(s.calls)::bigint, sum(s.total_exec_time), sum(s.rows)::bigint
FROM {} s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = current_database() AND s.toplevel
  AND coalesce(s.query, '') NOT LIKE '%/* perfproof */%' AND coalesce(s.query, '') NOT LIKE 'PREPARE perfproof_%'
GROUP BY s.queryid, s.query ORDER BY 4 DESC, 1
"""
PARAMETER_TYPES = """
SELECT /* perfproof */ format_type(t.oid, NULL)
FROM pg_prepared_statements p, unnest(p.parameter_types) WITH ORDINALITY AS t (oid, place)
WHERE p.name = %s ORDER BY t.place
"""


class QueryPlanHook:
    """Wraps one database. Every transaction is READ ONLY and rolled back, each statement has a timeout.

    :param connection_id: Airflow Connection to the database; its password never leaves the process
    :param dsn: connection string in place of an Airflow Connection
    :param statement_timeout_ms: the longest that one statement may run
    """

    def __init__(
        self, *, connection_id: str | None = None, dsn: str | None = None, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
    ) -> None:
        self.connection_id = connection_id
        self.dsn = dsn
        self.statement_timeout_ms = statement_timeout_ms

    def statement_rows(self) -> tuple[StatementRow, ...]:
        """The counters of this database's statements since the last reset, the largest total time first.

        Read them before and after a load, and take the difference. Raises ProfileError if the extension is missing or
        this user may not see the statements of others.
        """
        with self._session() as connection:
            schema = connection.execute(EXTENSION_SCHEMA).fetchone()
            if schema is None:
                raise ProfileError(
                    171, where=self._where, what="the extension pg_stat_statements is not installed",
                    fix="add it to shared_preload_libraries and CREATE EXTENSION pg_stat_statements",
                )  # fmt: skip
            query = sql.SQL(STATEMENTS).format(sql.Identifier(schema[0], "pg_stat_statements"))
            rows = connection.execute(query).fetchall()
        if any(row[1] is None or row[1] == HIDDEN for row in rows):
            raise ProfileError(
                172, where=self._where, what="this user may not see the statements of others", fix="grant it the role pg_read_all_stats"
            )
        merged: dict[str, StatementRow] = {}
        for query_id, text, calls, spent, returned in rows:
            # One normalised statement can have entries by user whose texts differ in their comments.
            old = merged.get(query_id)
            base = (old.statement, old.calls, old.total_ms, old.rows) if old else (text, 0, 0.0, 0)
            merged[query_id] = StatementRow(query_id, base[0], base[1] + calls, base[2] + float(spent), base[3] + returned)
        return tuple(sorted(merged.values(), key=lambda r: (-r.total_ms, r.query_id)))

    def explain(self, statement: str, *, sample_parameters: Mapping[str, str]) -> Explained:
        """The plan of a normalised `statement`, run with `sample_parameters` (value by SQL type).

        Only a single SELECT or WITH that neither writes nor locks is touched at all. If a value is missing, or it calls
        a volatile function, or it takes too long, the plan is made without running it, and `error` says why.
        """
        try:
            check_explainable(statement, where=self._where)
            functions = called_functions(statement, where=self._where)
        except ProfileError as error:
            return Explained((), None, False, str(error))
        with self._session() as connection:
            reason = self._may_not_run(connection, functions)
            if reason is None:
                try:
                    return self._run(connection, statement, sample_parameters)
                except PerfproofError as error:
                    reason = str(error)
                except psycopg.Error as error:
                    reason = f"it could not be run: {_line(error)}"
            try:
                plan = self._plan_only(connection, statement)
            except psycopg.Error as error:
                return Explained((), None, False, f"not run, because {reason}; nor could it be planned: {_line(error)}")
            return Explained((), plan, False, f"planned without running it, because {reason}")

    def _may_not_run(self, connection: psycopg.Connection[Any], functions: tuple[str, ...]) -> str | None:
        """READ ONLY stops writes to tables, not functions with effects outside of them; PostgreSQL knows those as volatile."""
        found = connection.execute(
            "SELECT /* perfproof */ DISTINCT proname FROM pg_proc WHERE proname = ANY(%s) AND provolatile = 'v' ORDER BY 1",
            [list(functions)],
        ).fetchall()
        return f"it calls a volatile function ({', '.join(row[0] for row in found)})" if found else None

    def _run(self, connection: psycopg.Connection[Any], statement: str, sample_parameters: Mapping[str, str]) -> Explained:
        name = f"perfproof_{uuid.uuid4().hex}"
        with connection.transaction(force_rollback=True), connection.cursor(binary=True) as cursor:
            # A binary cursor speaks the extended protocol, in which a second statement in the text is an error.
            cursor.execute(f"PREPARE {name} AS ".encode() + statement.encode())
            types = connection.execute(PARAMETER_TYPES, [name]).fetchall()
            parameters = tuple((kind, self._sample(kind, sample_parameters)) for (kind,) in types)
            values = [sql.SQL("CAST({} AS {})").format(sql.Literal(value), sql.SQL(kind)) for kind, value in parameters]
            call = sql.SQL("({})").format(sql.SQL(", ").join(values)) if values else sql.SQL("")
            explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {}{}").format(sql.Identifier(name), call)
            row = connection.execute(explain).fetchone()
        return Explained(parameters, plan_of(row[0] if row else None, where=self._where), True, None)

    def _sample(self, kind: str, sample_parameters: Mapping[str, str]) -> str:
        if kind not in sample_parameters or not _TYPE_NAME.match(kind):
            raise ProfileError(
                173, where=self._where, what=f"no sample value for a parameter of type {kind}",
                fix=f"add {kind} to sample_parameters of the service",
            )  # fmt: skip
        return sample_parameters[kind]

    def _plan_only(self, connection: psycopg.Connection[Any], statement: str) -> Mapping[str, Any]:
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            row = cursor.execute(b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + statement.encode()).fetchone()
        return plan_of(row[0] if row else None, where=self._where)

    @property
    def _where(self) -> str:
        return f"database {self.connection_id or 'of the given dsn'}"

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            connection = psycopg.connect(**self._arguments(), autocommit=True)
        except psycopg.Error as error:
            raise ProfileError(
                174, where=self._where, what="the database does not answer", got=_line(error), fix="check its Connection"
            ) from None
        with connection:
            connection.read_only = True
            try:
                yield connection
            except psycopg.Error as error:
                raise ProfileError(175, where=self._where, what="a query failed", got=_line(error), fix="see its message") from None

    def _arguments(self) -> dict[str, Any]:
        """Connection arguments; options of the Connection, such as a search_path, are kept before our own."""
        arguments = conninfo_to_dict(self.dsn) if self.dsn is not None else self._stored()
        limits = {
            "default_transaction_read_only": "on",
            "standard_conforming_strings": "on",
            "statement_timeout": self.statement_timeout_ms,
            "lock_timeout": LOCK_TIMEOUT_MS,
        }
        options = " ".join([str(arguments.get("options") or ""), *(f"-c {name}={value}" for name, value in limits.items())])
        return {**arguments, "options": options.strip(), "connect_timeout": CONNECT_SECONDS, "application_name": "perfproof"}

    def _stored(self) -> dict[str, Any]:
        from airflow.sdk import BaseHook

        if self.connection_id is None:
            raise ProfileError(
                176, where="query plans", what="neither a Connection nor a dsn", fix="name database_connection in the endpoint"
            )
        stored = BaseHook.get_connection(self.connection_id)
        parts = {"host": stored.host, "port": stored.port, "dbname": stored.schema, "user": stored.login, "password": stored.password}
        extra = {key: stored.extra_dejson.get(key) for key in CONNECTION_EXTRAS}
        return {key: value for key, value in {**parts, **extra}.items() if value}


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
