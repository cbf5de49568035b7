"""The demo's Airflow: private, on loopback, and the same after a second start."""

from __future__ import annotations

import configparser
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from perfproof_demo import airflow_home
from perfproof_demo.airflow_home import AirflowHome, RunningAirflow, User, free_port


@pytest.fixture
def setups(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the set-up process gets on standard input, instead of running it."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(airflow_home.subprocess, "run", lambda *args, **options: found.append(json.loads(options["input"])))
    return found


def home(tmp_path: Path) -> AirflowHome:
    return AirflowHome(
        root=tmp_path / "airflow",
        dags_folder=tmp_path / "dags",
        users=(User("demo-sre", "user"), User("watcher", "viewer")),
        port=18080,
        options={"perfproof.workspace": "/w"},
        connections={"perfproof_prometheus": {"conn_type": "http", "host": "127.0.0.1", "port": 19090}},
    )


def configuration(made: AirflowHome) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read(made.root / "airflow.cfg")
    return parsed


def test_it_listens_on_loopback_only_with_the_given_people(tmp_path: Path, setups: list[dict[str, Any]]) -> None:
    """And the options that were asked for."""
    made = home(tmp_path)
    made.prepare()
    found = configuration(made)
    assert (found["api"]["host"], found["api"]["port"]) == ("127.0.0.1", "18080")
    assert found["core"]["simple_auth_manager_users"] == "demo-sre:user,watcher:viewer"
    assert found["perfproof"]["workspace"] == "/w"
    assert "simple_auth_manager_all_admins" not in found["core"]


def test_secrets_are_in_private_files_and_never_in_the_environment(tmp_path: Path, setups: list[dict[str, Any]]) -> None:
    """The signing key goes to the set-up process on standard input."""
    made = home(tmp_path)
    made.prepare()
    key = setups[0]["perfproof_approvals"]["password"]
    assert len(bytes.fromhex(key)) == 32
    secrets = [key, made.password("demo-sre"), configuration(made)["core"]["fernet_key"], configuration(made)["api_auth"]["jwt_secret"]]
    environment = json.dumps(made.environment())
    assert not [secret for secret in secrets if secret in environment]
    assert key not in (made.root / "airflow.cfg").read_text()
    for name in ("airflow.cfg", "passwords.json"):
        assert stat.S_IMODE((made.root / name).stat().st_mode) == 0o600


def test_a_second_start_keeps_passwords_and_keys(tmp_path: Path, setups: list[dict[str, Any]]) -> None:
    """Acts signed before a restart must still verify after it."""
    made = home(tmp_path)
    made.prepare()
    passwords, before = made.passwords_file.read_text(), configuration(made)
    made.prepare()
    assert made.passwords_file.read_text() == passwords
    for section, key in (("core", "fernet_key"), ("api", "secret_key"), ("api_auth", "jwt_secret")):
        assert configuration(made)[section][key] == before[section][key]
    assert "perfproof_approvals" in setups[0] and "perfproof_approvals" not in setups[1]
    assert "perfproof_prometheus" in setups[1]


def test_a_component_that_ends_is_named_and_everything_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half-running Airflow is left behind."""
    made = home(tmp_path)
    (made.root / "logs").mkdir(parents=True)
    monkeypatch.setattr(airflow_home, "COMPONENTS", {"scheduler": ("no-such-command",)})
    monkeypatch.setattr(airflow_home.sys, "executable", "/bin/false")
    running = RunningAirflow(made)
    with pytest.raises(ChildProcessError, match="scheduler ended with 1"):
        running.__enter__()
    assert running.processes == {}


def test_a_free_port_can_be_listened_on() -> None:
    """On loopback."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
