"""What the compose stack starts beside Airflow: its secrets, its setup, its target and its health checks."""

from __future__ import annotations

import io
import json
import os
import runpy
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from perfproof.evidence import LocalBackend
from perfproof.evidence.envelope import SIGNING_CONNECTION, read_checkpoint_key, read_envelope, seal
from perfproof.evidence.trust import read_trust_root
from perfproof_demo import compose_env, compose_evidence, compose_setup, compose_signing, compose_target
from perfproof_demo.airflow_processes import PEOPLE
from perfproof_demo.errors import DemoError
from perfproof_demo.settings import DemoSettings

SCRIPTS = Path(__file__).parents[3] / "compose"
STACK = {
    "APPROVALS_KEY_ID": "k1",
    "APPROVALS_KEY": "ab" * 32,
    "SIGNING_KEY": "cd" * 32,
    "S3_ENDPOINT": "http://s3:8333",
    "S3_ACCESS_KEY": "access",
    "S3_SECRET_KEY": "secret",
    "PROMETHEUS_URL": "http://prometheus:9090",
    "DEMO_DATABASE_URL": "postgresql://postgres:word@postgres:5432/postgres",
}


def values(text: str) -> dict[str, str]:
    """The variables of an .env text."""
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def test_secrets_differ_from_each_other_and_from_time_to_time() -> None:
    """No two secrets are the same, in one file or in two."""
    first, second = values(compose_env.environment_text(os.urandom)), values(compose_env.environment_text(os.urandom))
    secrets = [value for file in (first, second) for name, value in file.items() if name != "COMPOSE_PROJECT_NAME"]
    assert len(set(secrets)) == len(secrets) == 22
    assert all(
        len(value) >= 32 for name, value in first.items() if name not in ("COMPOSE_PROJECT_NAME", "APPROVALS_KEY_ID", "S3_ACCESS_KEY")
    )


def test_secrets_need_no_quoting_in_addresses_and_env_files() -> None:
    """Letters and digits only; the Fernet key is one that cryptography takes."""
    made = values(compose_env.environment_text(os.urandom))
    assert all(value.isalnum() for name, value in made.items() if name != "FERNET_KEY")
    Fernet(made["FERNET_KEY"].encode())


def test_environment_file_is_private_and_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mode 0600; a second call fails and leaves the file as it was."""
    path = tmp_path / ".env"
    assert compose_env.main([str(path)]) == 0
    before = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert compose_env.main([str(path)]) == 2
    assert path.read_text() == before
    assert "DEM-181" in capsys.readouterr().err


def test_environment_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A link to a place that does not exist is in the way too."""
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    assert compose_env.main([str(tmp_path / ".env")]) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_everybody_gets_a_password_once(tmp_path: Path) -> None:
    """Passwords are kept at the next start, and the file is the owner's."""
    path = tmp_path / "passwords.json"
    first = compose_setup.people_passwords(path)
    assert set(first) == set(PEOPLE)
    assert compose_setup.people_passwords(path) == first == json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_person_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    """An account that is added later does not lock the others out."""
    path = tmp_path / "passwords.json"
    path.write_text(json.dumps({"demo-owner": "kept"}))
    passwords = compose_setup.people_passwords(path)
    assert passwords["demo-owner"] == "kept"
    assert set(passwords) == set(PEOPLE)


def test_connections_lead_to_the_services_of_the_stack(tmp_path: Path) -> None:
    """Nothing of the stack is looked for on the loopback interface of a container."""
    settings = DemoSettings.from_environment(tmp_path, STACK)
    found = compose_setup.connections(settings, STACK, api_password="word")
    hosts = {name: (fields["host"], fields["port"]) for name, fields in found.items() if fields["conn_type"] in ("http", "postgres")}
    assert hosts == {
        "perfproof_prometheus": ("prometheus", 9090),
        "perfproof_api": ("api-server", 8080),
        "perfproof_shop_baseline": ("postgres", 5432),
        "perfproof_shop_candidate": ("postgres", 5432),
    }
    assert found["perfproof_api"]["password"] == "word"
    assert (found["perfproof_approvals"]["login"], found["perfproof_approvals"]["password"]) == ("k1", "ab" * 32)
    assert json.loads(found["perfproof_s3"]["extra"])["endpoint_url"] == "http://s3:8333"


def test_shop_connections_are_the_readers(tmp_path: Path) -> None:
    """Airflow does not get the password of the database's administrator."""
    found = compose_setup.connections(DemoSettings.from_environment(tmp_path, STACK), STACK, api_password="word")
    for side in ("baseline", "candidate"):
        assert found[f"perfproof_shop_{side}"]["login"] == "perfproof_demo_reader"
        assert found[f"perfproof_shop_{side}"]["password"] != "word"


def test_checkpoints_are_signed_with_the_key_of_the_environment(tmp_path: Path) -> None:
    """What the Connection signs, the trust root that is made of the same `.env` accepts; another key's trust root does not."""
    found = compose_setup.connections(DemoSettings.from_environment(tmp_path, STACK), STACK, api_password="word")[SIGNING_CONNECTION]
    key = read_checkpoint_key(found["password"].encode(), key_id=found["login"], where="test")
    signed = read_envelope(seal(b"{}", key=key), where="test")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for text, accepted in ((STACK["SIGNING_KEY"], True), ("ef" * 32, False)):
        root = read_trust_root(compose_signing.trust_root(text).encode(), where="test")
        assert (root.problem(signed, at=at) is None) is accepted


def test_trust_root_is_made_of_the_environment_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the trust root, and one line without the key if the file has none."""
    path = tmp_path / ".env"
    path.write_text(f"# a comment\nSIGNING_KEY={STACK['SIGNING_KEY']}\n")
    assert compose_signing.main([str(path)]) == 0
    written = capsys.readouterr().out
    assert written == compose_signing.trust_root(STACK["SIGNING_KEY"])
    assert STACK["SIGNING_KEY"] not in written
    path.write_text("SIGNING_KEY=short\n")
    assert compose_signing.main([str(path)]) == 2
    assert "DEM-184 SIGNING_KEY" in capsys.readouterr().err
    assert compose_signing.main([str(tmp_path / "absent")]) == 2


def test_cycle_leaves_the_bucket_as_a_tar_of_its_own_objects(tmp_path: Path) -> None:
    """Names are relative to the cycle, bytes are those stored, and another cycle's objects stay behind."""
    backend = LocalBackend(tmp_path)
    for key, data in (("one/log/0.json", b"{}"), ("one/report.md", b"words"), ("another/log/0.json", b"x")):
        assert backend.create(key, data)
    stream = io.BytesIO()
    assert compose_evidence.write_tar(backend, "one", stream) == 2
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert contents == {"log/0.json": b"{}", "report.md": b"words"}
    with pytest.raises(DemoError, match="DEM-185 absent"):
        compose_evidence.write_tar(backend, "absent", io.BytesIO())


@pytest.mark.parametrize("name", ["SIGNING_KEY", "APPROVALS_KEY", "APPROVALS_KEY_ID", "S3_SECRET_KEY", "S3_ENDPOINT"])
def test_missing_secret_is_named(tmp_path: Path, name: str) -> None:
    """An empty variable is as bad as none."""
    environment = {**STACK, name: ""}
    with pytest.raises(DemoError, match=f"DEM-182 {name}"):
        compose_setup.connections(DemoSettings.from_environment(tmp_path, environment), environment, api_password="word")


def test_absence_is_counted_from_the_first_look_without() -> None:
    """A deployment's gap ends the count; only an unbroken absence grows."""
    absence = compose_target.Absence()
    seen = [
        absence.see(present=present, now=now) for present, now in [(True, 0), (False, 5), (False, 30), (True, 35), (False, 40), (False, 60)]
    ]
    assert seen == [0, 0, 25, 0, 0, 20]


def test_ended_child_is_reaped() -> None:
    """A shop that a deployment stopped is no zombie afterwards."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    status = Path(f"/proc/{process.pid}")
    while status.exists() and time.monotonic() < deadline:
        compose_target.reap()
        time.sleep(0.01)
    assert not status.exists()
    process.returncode = 0
    compose_target.reap()


class Answers(BaseHTTPRequestHandler):
    """200 for /ok, 503 for everything else."""

    def do_GET(self) -> None:
        """Answers."""
        self.send_response(200 if self.path == "/ok" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on loopback."""
    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def health(*urls: str) -> int:
    """The exit code of the health check."""
    return subprocess.run([sys.executable, str(SCRIPTS / "health.py"), *urls], check=False).returncode


def test_health_check_needs_every_address(server: str) -> None:
    """One answer that is not 200, a port where nobody listens, or no address at all is ill."""
    assert health(f"{server}/ok") == 0
    assert health(f"{server}/ok", f"{server}/ok") == 0
    assert health(f"{server}/ok", f"{server}/other") == 1
    assert health("http://127.0.0.1:9/") == 1
    assert health() == 1


def test_s3_server_keeps_its_secret_off_the_command_line_and_calls_nobody() -> None:
    """The configuration file holds the identity; telemetry, which is on by default, is off."""
    script = runpy.run_path(str(SCRIPTS / "start_s3.py"))
    identity = json.loads(script["identities"]("access", 'se"cret'))["identities"][0]
    assert identity["credentials"] == [{"accessKey": "access", "secretKey": 'se"cret'}]
    arguments = script["command"]()
    assert "-master.telemetry=false" in arguments
    assert not any("access" in word or "cret" in word for word in arguments)


@pytest.mark.parametrize(("access", "secret"), [("", "secret"), ("access", "")])
def test_s3_server_does_not_start_without_both_keys(access: str, secret: str) -> None:
    """Without an identity the server would let everybody in."""
    with pytest.raises(SystemExit, match="must be set"):
        runpy.run_path(str(SCRIPTS / "start_s3.py"))["identities"](access, secret)


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_shell_script_is_valid_and_stops_at_errors(script: str) -> None:
    """`sh -n` reads it, and it does not go on after a failure."""
    assert subprocess.run(["/bin/sh", "-n", str(SCRIPTS / script)], check=False).returncode == 0
    assert "set -eu" in (SCRIPTS / script).read_text()
