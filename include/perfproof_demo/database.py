"""The shop's two databases, one per side: roles, tables, rows, and the index that a deployment adds or drops."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from perfproof_demo import postgres_server
from perfproof_demo.errors import DemoError
from perfproof_demo.settings import HOST, DemoSettings, Side
from perfproof_demo.shop_rows import fill

SHOP_ROLE = "perfproof_demo_shop"
READER_ROLE = "perfproof_demo_reader"
MARK = "perfproof demo, may be dropped"
INDEX = "orders_customer_id"
CONNECT_TRIES = 3


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """How to reach the database of one side, in three roles. They hold passwords."""

    administrator: str
    shop: str
    reader: str


def database_name(side: Side) -> str:
    """The name of the database of `side`."""
    return f"shop_{side}"


def database_urls(settings: DemoSettings, side: Side) -> DatabaseUrls:
    """The addresses of the database of `side`.

    `reader` sees every table, the statistics of all roles, and may end backends (for the failure scenario); it
    cannot write. `shop` is what the shop itself runs as.
    """
    words = postgres_server.passwords(settings)
    base = _administrator_url(settings)
    return DatabaseUrls(
        administrator=_url(base, database_name(side)),
        shop=_url(base, database_name(side), SHOP_ROLE, words["shop"]),
        reader=_url(base, database_name(side), READER_ROLE, words["reader"]),
    )


def start_database(settings: DemoSettings) -> None:
    """Starts the embedded server, unless DEMO_DATABASE_URL names another one, and makes and fills what is missing."""
    with closing(_started(settings)) as connection:
        _make_roles(settings, connection)
        for side in Side:
            _make_database(settings, connection, side)
    for side in Side:
        _grant(settings, side)


def _started(settings: DemoSettings) -> psycopg.Connection[tuple[Any, ...]]:
    """An administrator's connection to the server, which is started if it is the embedded one and does not run."""
    if settings.database_url is not None:
        return connect(_administrator_url(settings))
    for left in reversed(range(CONNECT_TRIES)):
        postgres_server.start_server(settings)
        try:
            return connect(_administrator_url(settings))
        except DemoError:
            # A server that is being killed is listed a moment longer than it answers.
            if left == 0:
                raise
            time.sleep(0.5)
    raise AssertionError("unreachable")


def stop_database(settings: DemoSettings) -> bool:
    """Stops the embedded server; another one is left alone. True if something was stopped."""
    return settings.database_url is None and postgres_server.stop_server(settings)


def set_index(settings: DemoSettings, side: Side, *, present: bool) -> None:
    """Builds or drops the index on orders.customer_id in the database of `side`, without blocking its readers."""
    with closing(connect(database_urls(settings, side).administrator)) as connection:
        row = connection.execute(
            "select i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname = %s", [INDEX]
        ).fetchone()
        # A concurrent build that was cut off leaves an invalid index that no plan uses.
        if row is not None and not (present and row[0]):
            connection.execute(sql.SQL("drop index concurrently {}").format(sql.Identifier(INDEX)))
            row = None
        if present and row is None:
            connection.execute(sql.SQL("create index concurrently {} on orders (customer_id)").format(sql.Identifier(INDEX)))
        reset_statistics(connection)


def reset_statistics(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Forgets the statement statistics of the connection's database, so that they describe what runs from now on."""
    connection.execute("select pg_stat_statements_reset(0, (select oid from pg_database where datname = current_database()), 0)")


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection that commits every statement. Raises DemoError without the password of `url`."""
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="perfproof-demo")
    except psycopg.OperationalError as error:
        parts = urlsplit(url)
        where = f"database {parts.hostname}:{parts.port}{parts.path}"
        raise DemoError(
            131, where=where, what="cannot connect", got=str(error).splitlines()[0], fix="start it, or correct DEMO_DATABASE_URL"
        ) from None


def _administrator_url(settings: DemoSettings) -> str:
    if settings.database_url is not None:
        return settings.database_url
    password = postgres_server.passwords(settings)["administrator"]
    return f"postgresql://{postgres_server.ADMINISTRATOR}:{quote(password)}@{HOST}:{settings.port('database')}/postgres"


def _url(base: str, database: str, role: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(base)
    if role is None or password is None:
        return urlunsplit(parts._replace(path=f"/{database}"))
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{address}", path=f"/{database}"))


def _make_roles(settings: DemoSettings, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    words = postgres_server.passwords(settings)
    for role, password in ((SHOP_ROLE, words["shop"]), (READER_ROLE, words["reader"])):
        known = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
        verb = sql.SQL("alter" if known else "create")
        connection.execute(sql.SQL("{} role {} login password {}").format(verb, sql.Identifier(role), sql.Literal(password)))
    reader = sql.Identifier(READER_ROLE)
    connection.execute(sql.SQL("grant pg_monitor, pg_signal_backend to {}").format(reader))
    connection.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(reader))


def _make_database(settings: DemoSettings, connection: psycopg.Connection[tuple[Any, ...]], side: Side) -> None:
    name = database_name(side)
    row = connection.execute("select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]).fetchone()
    mark = f"{MARK}: {settings.size.customers}/{settings.size.products}/{settings.size.orders}"
    if row is not None and row[0] == mark:
        return
    if row is not None:
        # Unmarked and ours: a fill that was cut off. Without our mark at all it may be somebody's.
        if not (row[0] or "").startswith(MARK):
            raise DemoError(
                132, where=name, what="a database of this name exists and is not the demo's", fix="rename it, or use another server"
            )
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    comment = sql.SQL("comment on database {} is {}")
    connection.execute(comment.format(sql.Identifier(name), sql.Literal(MARK)))
    with closing(connect(database_urls(settings, side).administrator)) as own:
        fill(own, settings.size)
    connection.execute(comment.format(sql.Identifier(name), sql.Literal(mark)))


def _grant(settings: DemoSettings, side: Side) -> None:
    with closing(connect(database_urls(settings, side).administrator)) as connection:
        try:
            connection.execute("create extension if not exists pg_stat_statements")
            reset_statistics(connection)
        except psycopg.Error as error:
            raise DemoError(
                133, where=database_name(side), what="pg_stat_statements does not work", got=str(error).splitlines()[0],
                fix="add it to shared_preload_libraries",
            ) from None  # fmt: skip
        roles = sql.SQL(", ").join([sql.Identifier(SHOP_ROLE), sql.Identifier(READER_ROLE)])
        connection.execute(sql.SQL("grant select on all tables in schema public to {}").format(roles))
        reader = sql.Identifier(READER_ROLE)
        connection.execute(sql.SQL("grant execute on function pg_stat_statements_reset to {}").format(reader))
