"""`perfproof doctor [FILE…]`: checks an installation where Airflow's configuration is, and says what to mend. Nothing is changed.

Exit codes: 0 no problem was found, 1 there are problems, 2 usage. What was not checked is told with its reason, and counted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from perfproof import __version__
from perfproof.config import Protocol, load_protocol
from perfproof.doctor import Area, Finding, as_json, as_text, exit_code
from perfproof.doctor.capacity import judge_capacity
from perfproof.doctor.clock import judge_clocks
from perfproof.doctor.connections import judge_connections
from perfproof.doctor.finding import told_by, unchecked
from perfproof.doctor.installation import judge_directories, judge_protocol_file, judge_server
from perfproof.doctor.keys import judge_keys
from perfproof.doctor.needs import needs_of
from perfproof.doctor.people import judge_auth_manager, judge_people
from perfproof.doctor.storage import judge_storage
from perfproof.errors import ConfigError, ParameterError, PerfproofError
from perfproof.evidence.secrets import masked
from perfproof.input_file import read_input
from perfproof.strict_yaml import MAX_BYTES
from perfproof_airflow.commands import doctor_machine as machine
from perfproof_airflow.commands.doctor_connections import connection_facts, look_here
from perfproof_airflow.commands.doctor_server import Server, capacity_facts, close, server_facts
from perfproof_airflow.cycle import now
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.rest import AirflowApi, address_of

FALLBACK_URL = "http://127.0.0.1:8080"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The protocol files, who asks the api-server, and how the answer is written."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="protocol files (default: all in protocols_dir)")
    parser.add_argument("--config", action="store_true", help="the installation alone, without any protocol file")
    parser.add_argument(
        "--url", default=os.environ.get("AIRFLOW_URL"), help="base URL of Airflow (default: AIRFLOW_URL, else [api] base_url)"
    )
    parser.add_argument(
        "--user", default=os.environ.get("AIRFLOW_USER", ""), help="user name (default: AIRFLOW_USER, else that of perfproof_api)"
    )
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root that auditors have: it must name the signing key")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> int:
    """Looks, judges, prints."""
    if options.config and options.files:
        raise ParameterError(
            960, where="perfproof doctor", what="--config leaves protocol files out, and some are named", got=len(options.files),
            fix="give --config, or files",
        )  # fmt: skip
    # As `airflow connections` does: else the Connections of the metadata database would not be found.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with _quietly():
        findings = list(_findings(options))
    from perfproof_airflow.settings import known_secrets

    text = as_json(findings) if options.json else as_text(findings)
    sys.stdout.write(masked(text, known=known_secrets()))
    return exit_code(findings)


@contextmanager
def _quietly() -> Iterator[None]:
    """Airflow and its providers log to standard output, where the findings go; what they would say is in the findings."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(before)


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    from perfproof_airflow import settings

    try:
        root = settings.workspace_root()
        in_s3 = settings.evidence_in_s3()
    except PerfproofError as error:
        yield told_by(Area.STORAGE, 705, error)
        yield unchecked(Area.PERMISSIONS, "installation", "everything else: it starts from this option")
        return
    api_connection = settings.api_connection()
    protocols, files = _protocols(options, settings.protocols_directory())
    yield from files
    server = _server(options, api_connection)
    server.log_in()
    try:
        yield from judge_server(server_facts(server, protocols), version=__version__)
        yield from judge_directories(machine.directories(protocols, root=root), user=machine.user_name())
        evidence = settings.evidence_connection() if in_s3 else None
        needs, wrong = needs_of(
            protocols, notifiers=settings.option("notifiers", ""), api_connection=api_connection, evidence_connection=evidence
        )
        yield from wrong
        yield from judge_connections(
            connection_facts(needs, protocols, server=server, now=now(), workspace=Workspace(root), api_connection=api_connection)
        )
        accounts = machine.accounts()
        yield from judge_auth_manager(accounts)
        for protocol in protocols:
            yield from judge_people(protocol, accounts, now=now())
        yield from judge_keys(machine.keys(server, trust=options.trust), now=now())
        yield from judge_capacity(
            capacity_facts(
                server,
                capacity=machine.number_option("triggerer", "capacity"),
                parallelism=machine.number_option("core", "parallelism"),
            )
        )
        yield from judge_clocks(machine.clocks(protocols, server=server))
        yield from judge_storage(machine.storage(root=root))
    finally:
        close(server)


def _protocols(options: argparse.Namespace, directory: Path) -> tuple[list[Protocol], list[Finding]]:
    """The protocol files that can be read, and a finding for each that was to be."""
    if options.config:
        return [], [unchecked(Area.CONNECTIONS, "protocol files", "what they name: they were left out by --config")]
    paths = options.files or sorted(directory.glob("*.yaml"))
    if not paths:
        fix = "put one there, set [perfproof] protocols_dir, or name files"
        return [], [unchecked(Area.CONNECTIONS, str(directory), "what protocol files name: there is none", fix=fix)]
    protocols, findings = [], []
    for path in paths:
        try:
            data = read_input(path, limit=MAX_BYTES, error=ConfigError, number=180)
            protocols.append(load_protocol(data, where=path.name))
        except PerfproofError as error:
            findings.append(judge_protocol_file(str(path), error))
        else:
            findings.append(judge_protocol_file(str(path), None))
    return protocols, findings


def _server(options: argparse.Namespace, api_connection: str) -> Server:
    """The api-server, as the account that is named, or as that of the Connection for retries."""
    from airflow.configuration import conf

    url = str(options.url or conf.get("api", "base_url", fallback="") or FALLBACK_URL).rstrip("/")
    password = os.environ.get("AIRFLOW_PASSWORD", "")
    if options.user and password:
        return Server(AirflowApi(url, options.user, password), url, options.user)
    _, connection = look_here(api_connection)
    if connection is None or not connection.login or not connection.password:
        return Server(None, url, "", unasked="no account was given to ask the REST API with")
    own = options.url or address_of(connection)
    return Server(AirflowApi(own, connection.login, connection.password), own, connection.login)
