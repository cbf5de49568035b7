"""An Airflow of one's own on this machine: its configuration, its four processes, and their end.

Loopback only, SQLite, LocalExecutor, the simple auth manager with generated passwords; tuned for two cores. For the demo and the
tests, never for production.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx

HOST = "127.0.0.1"
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # Logs are read from disk; their servers would listen on every interface.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
KEY_CONNECTION = "perfproof_approvals"
READY_SECONDS = 180.0
STOP_SECONDS = 10.0
STOP_ORDER = ("scheduler", "triggerer", "dag-processor", "api-server")
# Runs before the workers fork, so that no task imports for seconds what every task needs.
LOCAL_SETTINGS = """\
import sys

if "scheduler" in sys.argv:
    import perfproof_airflow.preload  # noqa: F401
"""


@dataclass(frozen=True, slots=True)
class User:
    """An account of the simple auth manager; `role` is viewer, user, op or admin."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class AirflowHome:
    """The files of one Airflow below `root`. `options` are further `section.key` settings; `connections` by id.

    A connection is a mapping with conn_type, host, port, login, password, schema, extra. The signing key of approvals is
    made here and never in the environment.
    """

    root: Path
    dags_folder: Path
    users: tuple[User, ...]
    port: int
    options: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preload: bool = True

    @property
    def url(self) -> str:
        """Base URL of the UI and the REST API."""
        return f"http://{HOST}:{self.port}"

    @property
    def passwords_file(self) -> Path:
        """Where the passwords are, as JSON by user name; readable by the owner only."""
        return self.root / "passwords.json"

    def password(self, user: str) -> str:
        """The generated password of `user`."""
        return str(json.loads(self.passwords_file.read_text())[user])

    def environment(self) -> dict[str, str]:
        """The environment of every process of this Airflow: nothing secret in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHONDONTWRITEBYTECODE"))}
        return kept | {"AIRFLOW_HOME": str(self.root), "GX_ANALYTICS_ENABLED": "false", "NO_COLOR": "1"}

    def prepare(self) -> None:
        """Writes configuration and passwords, makes the database and the connections. Does nothing that was done before."""
        self.root.mkdir(parents=True, exist_ok=True)
        for name in ("config", "plugins", "logs"):
            (self.root / name).mkdir(exist_ok=True)
        (self.root / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS if self.preload else "")
        known = json.loads(self.passwords_file.read_text()) if self.passwords_file.exists() else {}
        passwords = {user.name: known.get(user.name) or secrets.token_urlsafe(12) for user in self.users}
        _write_private(self.passwords_file, json.dumps(passwords) + "\n")
        configuration = self.root / "airflow.cfg"
        secret = configparser.ConfigParser(interpolation=None)
        secret.read(configuration)
        _write_private(configuration, self._configuration(secret))
        connections = {name: _with_password(fields, passwords) for name, fields in self.connections.items()}
        key_file = self.root / ".approvals-key.made"
        if not key_file.exists():
            key = {"conn_type": "generic", "login": f"k{secrets.token_hex(4)}", "password": secrets.token_hex(32)}
            connections[KEY_CONNECTION] = key
        subprocess.run(
            [sys.executable, "-m", "perfproof_demo.airflow_setup"],
            input=json.dumps(connections).encode(),
            env=self.environment(),
            cwd=self.root,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        key_file.touch()

    def _configuration(self, before: configparser.ConfigParser) -> str:
        def secret(section: str, key: str, fresh: str) -> str:
            return before.get(section, key, fallback=fresh)

        users = ",".join(f"{user.name}:{user.role}" for user in self.users)
        settings = {
            "core.dags_folder": self.dags_folder,
            # perfproof's plugin is an entry point of the installed package; a plugins folder would register it twice.
            "core.plugins_folder": self.root / "plugins",
            "core.load_examples": False,
            "core.executor": "LocalExecutor",
            "core.parallelism": 8,
            "core.simple_auth_manager_users": users,
            "core.simple_auth_manager_passwords_file": self.passwords_file,
            "core.execution_api_server_url": f"{self.url}/execution/",
            "core.fernet_key": secret("core", "fernet_key", _fernet_key()),
            "database.sql_alchemy_conn": f"sqlite:///{self.root / 'airflow.db'}",
            "database.load_default_connections": False,
            "api.host": HOST,
            "api.port": self.port,
            "api.base_url": self.url,
            "api.workers": 1,
            "api.secret_key": secret("api", "secret_key", secrets.token_hex(32)),
            "api_auth.jwt_secret": secret("api_auth", "jwt_secret", secrets.token_hex(32)),
            "scheduler.scheduler_idle_sleep_time": 0.1,
            "dag_processor.refresh_interval": 5,
            "dag_processor.min_file_process_interval": 10,
            "dag_processor.parsing_processes": 1,
            "logging.base_log_folder": self.root / "logs",
            **self.options,
        }
        sections: dict[str, list[str]] = {}
        for name, value in settings.items():
            section, _, key = name.partition(".")
            sections.setdefault(section, []).append(f"{key} = {str(value).replace('%', '%%')}")
        return "\n".join(line for section, lines in sections.items() for line in (f"[{section}]", *lines, "")) + "\n"


@dataclass(slots=True)
class RunningAirflow:
    """The four processes of a home, each in a process group of its own, ended with it. Use it in a `with` statement."""

    home: AirflowHome
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _logs: list[IO[bytes]] = field(default_factory=list)

    def __enter__(self) -> RunningAirflow:
        try:
            for component in COMPONENTS:
                self.start(component)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, component: str) -> None:
        """Starts one component; its output goes to `<home>/logs/<component>.log`."""
        output = (self.home.root / "logs" / f"{component}.log").open("ab")
        self._logs.append(output)
        self.processes[component] = subprocess.Popen(
            [sys.executable, "-m", "airflow", *COMPONENTS[component]],
            env=self.home.environment(),
            cwd=self.home.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self, component: str) -> None:
        """Ends one component and all its children at once, as a crash would."""
        process = self.processes.pop(component)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)

    def wait_until_ready(self, *, seconds: float = READY_SECONDS) -> None:
        """Returns when all components report that they are healthy. TimeoutError or ChildProcessError says which does not."""
        deadline = time.monotonic() + seconds
        wanted = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        unhealthy: Sequence[str] = wanted
        while time.monotonic() < deadline:
            for component, process in self.processes.items():
                if process.poll() is not None:
                    raise ChildProcessError(f"{component} ended with {process.returncode}; see {self.home.root}/logs/{component}.log")
            try:
                health = httpx.get(f"{self.home.url}/api/v2/monitor/health", timeout=5).json()
                unhealthy = [name for name in wanted if health.get(name, {}).get("status") != "healthy"]
                if not unhealthy:
                    return
            except (httpx.HTTPError, ValueError):
                unhealthy = ("api-server",)
            time.sleep(0.5)
        raise TimeoutError(f"not healthy after {seconds:g} s: {', '.join(unhealthy)}; see {self.home.root}/logs")

    def stop(self) -> None:
        """Ends the processes: asks each component, the api-server last, since the others talk to it; then kills what is left."""
        for component in sorted(self.processes, key=STOP_ORDER.index):
            process = self.processes[component]
            # The whole group: a triggerer alone waits ten seconds for its runner.
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            _signal_group(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)
        self.processes.clear()
        for output in self._logs:
            output.close()
        self._logs.clear()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _with_password(fields: Mapping[str, Any], passwords: Mapping[str, str]) -> dict[str, Any]:
    """A connection that logs in as one of this Airflow's own users names it under `password_of`."""
    known = {name: value for name, value in fields.items() if name != "password_of"}
    return known | ({"password": passwords[fields["password_of"]]} if "password_of" in fields else {})


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
