"""What is left to do after `perfproof init`, with commands that can be copied. No secret stands on a command line."""

from __future__ import annotations

from collections.abc import Iterator

from perfproof.config.sources import SourceKind
from perfproof.starting.given import Given

# What is asked for at the terminal goes into a file of the owner's, which is removed after the import.
_KEY = (
    """(umask 077; python3 -c 'import json, secrets; print(json.dumps({"perfproof_approvals": {"conn_type": "generic", """
    """"login": "k1", "password": secrets.token_hex(32)}}))' > connection.json)"""
)
_IMPORT = "airflow connections import connection.json; rm connection.json"


def next_steps(given: Given, *, protocol: str) -> str:
    """Numbered steps; `protocol` is the path of the file that was written."""
    lines = [
        "next:",
        f"  1. read {protocol} and correct the lines with CORRECT, then: perfproof check {protocol}",
        f"  2. replace the templates in {given.inputs} by what you have",
        "  3. add the Connections to Airflow (capitals are yours to fill in):",
        *(f"       {command}" for command in _connections(given)),
        *(f"  4. {line}" for line in [_beside(given)]),
        f"  5. look at what a run would do: perfproof plan --protocol {given.name} --set optimizations=OPT-001 --requester YOU --airflow",
        f'  6. trigger it: echo \'{{"protocol": "{given.name}", "optimizations": ["OPT-001"]}}\' > conf.json; '
        "perfproof run --conf conf.json --wait",
        "The guide is docs/getting-started.md of perfproof.",
    ]
    return "\n".join(lines) + "\n"


def _beside(given: Given) -> str:
    told = "let the service answer /build and /metrics"
    if given.pprof_path is None:
        told += f", and write its process id into run/{given.service}-baseline.pid"
    if given.database is None:
        told += f"; start the fault proxy with --control {given.fault_proxy}"
    return told


def _connections(given: Given) -> Iterator[str]:
    connection = given.connection
    if given.source in (SourceKind.PROMETHEUS, SourceKind.OPENMETRICS):
        yield f"airflow connections add {connection} --conn-type http --conn-schema http --conn-host HOST --conn-port PORT"
    elif given.source is SourceKind.CLOUDWATCH:
        yield f'airflow connections add {connection} --conn-type aws --conn-extra \'{{"region_name": "REGION", "role_arn": "ROLE"}}\''
    elif given.source is SourceKind.DATADOG and connection is not None:
        yield _asked(connection, {"conn_type": "http", "host": "datadoghq.eu"}, ("login", "API key"), ("password", "application key"))
        yield _IMPORT
    yield _KEY
    yield _IMPORT
    for database in dict.fromkeys(given.database.replace("{side}", side) for side, _ in given.endpoints) if given.database else ():
        fields = {"conn_type": "postgres", "host": "HOST", "schema": "DATABASE", "login": "USER"}
        yield _asked(database, fields, ("password", "password of the database"))
        yield _IMPORT


def _asked(connection: str, fields: dict[str, str], *secrets: tuple[str, str]) -> str:
    known = ", ".join(f'"{key}": "{value}"' for key, value in fields.items())
    asked = ", ".join(f'"{key}": getpass.getpass("{prompt}: ")' for key, prompt in secrets)
    return (
        f"(umask 077; python3 -c 'import getpass, json; print(json.dumps({{\"{connection}\": {{{known}, {asked}}}}}))' > connection.json)"
    )
