"""`perfproof doctor` on a real small Airflow: nothing to say of a healthy one, and each planted mistake found alone, with what mends it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow_rig import APPROVALS, eventually
from doctor_rig import CYCLES, WAITING, Installation, healthy_installation, http_fields, killed_and_started, metrics
from fault_server import fault_server

from perfproof.commands import keygen

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all."""
    with healthy_installation(tmp_path_factory.mktemp("doctor")) as running:
        yield running


@dataclass(frozen=True)
class Planted:
    """A mistake: how it is made, with which options the doctor runs, and the codes and words that must come of it."""

    name: str
    code: str
    where: str
    fix: str
    plant: Callable[[Installation], AbstractContextManager[None]] = field(default=lambda _: nullcontext())
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    also: frozenset[str] = frozenset()


def server_in(mode: str, connection_id: str, good: Any = None) -> Callable[[Installation], AbstractContextManager[None]]:
    """The Connection leads to a server in a mode."""

    @contextmanager
    def planted(installed: Installation) -> Iterator[None]:
        with (
            fault_server(mode, *([good] if good is not None else [])) as address,
            installed.connection(connection_id, **http_fields(address)),
        ):
            yield

    return planted


@contextmanager
def broken_dag(installed: Installation) -> Iterator[None]:
    """A DAG file that cannot be imported."""
    file = installed.rig.airflow.home.dags_folder / "broken.py"
    admin = installed.rig.as_("requester")
    file.write_text("from airflow.sdk import dag\nraise RuntimeError('half a file')\n")
    try:
        eventually(admin.import_errors, seconds=300, what="the import error is known")
        yield
    finally:
        file.unlink()
        eventually(lambda: not admin.import_errors(), seconds=300, what="the import error is gone")


@contextmanager
def a_cycle_waits(installed: Installation) -> Iterator[None]:
    """One run that waits for an approval."""
    admin = installed.rig.as_("requester")
    run_id = f"doctor-{time.time_ns()}"
    admin.trigger(WAITING, run_id=run_id, conf={"roles": {"sre_lead": ["demo-sre"]}})
    installed.rig.request_of(WAITING, run_id, seconds=300)
    waiting = "dags/~/dagRuns/~/taskInstances?state=deferred"
    eventually(lambda: admin.client.get(f"/api/v2/{waiting}").json()["total_entries"], seconds=300, what="a task is deferred")
    try:
        yield
    finally:
        admin.mark_run(WAITING, run_id, state="failed")


@contextmanager
def a_file_in_the_way(installed: Installation) -> Iterator[None]:
    """A file where the directory of the evidence would be made."""
    file = installed.rig.workspace / "taken"
    file.write_text("not a directory")
    yield
    file.unlink()


@contextmanager
def a_bucket_that_overwrites(installed: Installation) -> Iterator[None]:
    """An S3 server that takes every PUT, whatever its condition."""
    with fault_server("good", (200, {"ETag": '"1"', "Content-Type": "application/xml"}, b"")) as address:
        extra = json.dumps({"endpoint_url": address, "region_name": "us-east-1"})
        installed.put("perfproof_s3", {"conn_type": "aws", "login": "AK", "password": "SK", "extra": extra})
        try:
            yield
        finally:
            installed.put("perfproof_s3", None)


@contextmanager
def a_plugin_in_the_folder(installed: Installation) -> Iterator[None]:
    """The package's plugin in the plugins folder too, and an api-server that was started with it."""
    file = installed.rig.airflow.home.root / "plugins" / "perfproof_again.py"
    file.write_text(
        "from perfproof_airflow.plugin import PerfproofPlugin as Base\n\n\nclass PerfproofPlugin(Base):\n    name = 'perfproof'\n"
    )
    killed_and_started(installed.rig, "api-server")
    try:
        yield
    finally:
        file.unlink()
        killed_and_started(installed.rig, "api-server")


def connection(connection_id: str, **changes: Any) -> Callable[[Installation], AbstractContextManager[None]]:
    """A Connection that is changed; without changes it is gone."""
    return lambda installed: installed.connection(connection_id, **changes)


def protocol(old: str, new: str) -> Callable[[Installation], AbstractContextManager[None]]:
    """Other words in the protocol file."""
    return lambda installed: installed.protocol(old, new)


def pool(**changes: Any) -> Callable[[Installation], AbstractContextManager[None]]:
    """The default pool changed."""
    return lambda installed: installed.patched("pools/default_pool", back={"slots": 128, "include_deferred": False}, **changes)


def paused(dag: str) -> Callable[[Installation], AbstractContextManager[None]]:
    """A DAG that is paused."""
    return lambda installed: installed.patched(f"dags/{dag}", back={"is_paused": False}, is_paused=True)


SRE = "people: [{id: demo-sre, name: demo-sre (demo account)}]"
OTHER_KEY = json.dumps({"conn_type": "generic", "login": "k-other", "password": "6f" * 32})
MISTAKES = (
    Planted("no Connection", "DOC-101", "perfproof_prometheus", "airflow connections add", connection("perfproof_prometheus")),
    Planted("a wrong type", "DOC-102", "perfproof_prometheus", "type to http", connection("perfproof_prometheus", conn_type="generic")),
    Planted("nothing listens", "DOC-103", "perfproof_prometheus", "host and port", server_in("down", "perfproof_prometheus")),
    Planted(
        "a wrong password of the database", "DOC-104", "perfproof_shop_baseline", "Connection",
        connection("perfproof_shop_baseline", password="wrong"),
    ),
    Planted("a wrong password of Airflow", "DOC-104", "perfproof_api", "login and password", connection("perfproof_api", password="wrong")),
    Planted("an account that may not clear", "DOC-104", "perfproof_api", "right to clear tasks", lambda i: i.connection(
        "perfproof_api", login="watcher", password=i.rig.airflow.home.password("watcher"))),
    Planted("a server that redirects", "DOC-105", "perfproof_prometheus", "final address", server_in("redirect", "perfproof_prometheus")),
    Planted("a login page", "DOC-106", "perfproof_prometheus", "API and not a login page", server_in("html_200", "perfproof_prometheus")),
    Planted(
        "somebody without an account", "DOC-202", "role sre_lead", "simple_auth_manager_users",
        protocol(SRE, SRE.replace("]", ", {id: gone, name: Gone}]")),
    ),
    Planted(
        "somebody who looks only", "DOC-203", "role sre_lead", "role user",
        protocol(SRE, SRE.replace("]", ", {id: watcher, name: Watcher}]")),
    ),
    Planted(
        "the only approver owns the work", "DOC-204", "step plan", "one more person",
        protocol(SRE, SRE.replace("demo-sre", "demo-engineer")),
    ),
    Planted(
        "nobody is left", "DOC-205", "step profiling_clearance", "one more person",
        protocol("{id: demo-security, name: demo-security (demo account)}", "{id: gone, name: Gone}"), also=frozenset({"DOC-202"}),
    ),
    Planted("approvals are paused", "DOC-303", APPROVALS, f"airflow dags unpause {APPROVALS}", paused(APPROVALS)),
    Planted("cycles are paused", "DOC-303", CYCLES, f"airflow dags unpause {CYCLES}", paused(CYCLES)),
    Planted("a DAG file is broken", "DOC-304", "broken.py", "DAGs folder", broken_dag),
    Planted(
        "no directory for evidence", "DOC-309", "taken", "directory", a_file_in_the_way,
        environment={"AIRFLOW__PERFPROOF__EVIDENCE_URI": "taken"},
    ),
    Planted("no valid protocol file", "DOC-310", "demo.yaml", "", protocol("schema_version: 1", "schema_version: 9")),
    Planted("no key for acts", "DOC-401", "perfproof_approvals", "64 hexadecimal", connection("perfproof_approvals")),
    Planted(
        "a key that is none", "DOC-401", "perfproof_approvals", "64 hexadecimal", connection("perfproof_approvals", password="secret-words")
    ),
    Planted(
        "another key on the api-server", "DOC-402", "perfproof_approvals", "AIRFLOW_CONN_PERFPROOF_APPROVALS",
        environment={"AIRFLOW_CONN_PERFPROOF_APPROVALS": OTHER_KEY},
    ),
    Planted(
        "one waits, and one fits", "DOC-502", "capacity", "[triggerer] capacity", a_cycle_waits,
        environment={"AIRFLOW__TRIGGERER__CAPACITY": "1"},
    ),
    Planted("waiting tasks hold slots", "DOC-503", "default_pool", "Include Deferred", pool(include_deferred=True)),
    Planted("a pool of one slot", "DOC-504", "default_pool", "airflow pools set", pool(slots=1)),
    Planted("one task at a time", "DOC-505", "parallelism", "set it to", environment={"AIRFLOW__CORE__PARALLELISM": "1"}),
    Planted(
        "a clock that is ahead", "DOC-601", "source prometheus", "time servers",
        server_in("good", "perfproof_prometheus", metrics(ahead=90.0)),
    ),
    Planted(
        "a bucket that overwrites", "DOC-702", "s3://evidence", "AWS S3, SeaweedFS", a_bucket_that_overwrites,
        environment={"AIRFLOW__PERFPROOF__EVIDENCE_URI": "s3://evidence/performance"},
    ),
    Planted("no workspace", "DOC-705", "workspace", "existing directory", environment={"AIRFLOW__PERFPROOF__WORKSPACE": "/nowhere/at/all"}),
    Planted("a plugin twice", "DOC-306", "plugin perfproof", "plugins_folder", a_plugin_in_the_folder),
)  # fmt: skip


def test_a_healthy_installation_has_no_problem(installed: Installation) -> None:
    """Exit 0; what was not looked at is told, and is only what nobody can see here."""
    told = installed.doctor()
    assert told.problems == [], told.output
    assert told.code == 0
    assert {finding["area"] for finding in told.findings} == {
        "connections", "roles", "permissions", "keys", "capacity", "clock", "storage",
    }  # fmt: skip
    unchecked = [finding["what"] for finding in told.findings if finding["state"] == "not checked"]
    assert unchecked == [], unchecked


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name.replace(" ", "-") for mistake in MISTAKES])
def test_a_planted_mistake_is_found_alone_with_what_mends_it(installed: Installation, mistake: Planted) -> None:
    """Exit 1, its code and no other, the place named, and the fix."""
    with mistake.plant(installed):
        told = installed.doctor(*mistake.arguments, **mistake.environment)
    assert told.codes == {mistake.code, *mistake.also}, told.output
    found = next(finding for finding in told.problems if finding["code"] == mistake.code)
    assert mistake.where in f"{found['where']} {found['what']}"
    assert mistake.fix in found["fix"]
    assert told.code == 1


def test_a_signing_key_that_the_trust_root_does_not_name(installed: Installation, tmp_path: Path) -> None:
    """The Connection of one key and the trust root of another: DOC-404; with its own trust root: no problem."""
    for name in ("one", "two"):
        keygen.run(argparse.Namespace(directory=tmp_path / name, key_id=None, valid_from=None, valid_until=None))
    fields = json.loads((tmp_path / "one" / keygen.CONNECTION_FILE).read_text())["perfproof_signing"]
    installed.put("perfproof_signing", fields)
    try:
        other = installed.doctor("--trust", str(tmp_path / "two" / keygen.TRUST_FILE))
        own = installed.doctor("--trust", str(tmp_path / "one" / keygen.TRUST_FILE))
    finally:
        installed.put("perfproof_signing", None)
    assert other.codes == {"DOC-404"}, other.output
    assert "perfproof keygen" in other.problems[0]["fix"]
    assert own.problems == [], own.output
    assert not any("BEGIN PRIVATE" in told.output for told in (other, own))


def test_without_an_account_what_the_api_server_knows_is_not_checked(installed: Installation) -> None:
    """No credentials are no problem and no pass: it is said what nobody looked at."""
    with installed.connection("perfproof_api"):
        told = installed.doctor(AIRFLOW_USER="", AIRFLOW_PASSWORD="")
    assert told.problems == [], told.output
    unchecked = [finding["what"] for finding in told.findings if finding["state"] == "not checked"]
    assert any(what.startswith("plugin, provider, DAGs") for what in unchecked), unchecked


def test_an_account_that_airflow_refuses_is_a_problem(installed: Installation) -> None:
    """A wrong password of the account that asks."""
    told = installed.doctor(AIRFLOW_PASSWORD="wrong")
    assert told.codes == {"DOC-301"}, told.output
