"""Looks at each Connection as a task on this machine would use it: its type, its host, what answers there. Nothing is changed."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from perfproof.config import Protocol, Source
from perfproof.doctor.connections import ConnectionFacts, Looked, Need, Seen
from perfproof.doctor.finding import Answer
from perfproof.errors import ParameterError, PerfproofError, TelemetryError
from perfproof_airflow.commands.airflow_access import refused
from perfproof_airflow.commands.doctor_server import Server, served_connection
from perfproof_airflow.commands.run import DAG
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.rest import AirflowApi, address_of

REACH_SECONDS = 5.0
DEFAULT_PORTS = {"http": 80, "https": 443, "postgres": 5432, "smtp": 465}
NOT_ASKED_AWS = "an account of AWS is asked when a cycle needs it"
NOT_SENT = "only a message would show it"
NEVER = "9999-01-01T00:00:00Z"


def look_here(connection_id: str) -> tuple[Seen, Any]:
    """A Connection as Airflow's secrets backends give it in this process, and the Connection itself."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = Connection.get(connection_id)
    except AirflowNotFoundException:
        failed = _failed_backend(connection_id)
        return (Seen(Looked.ABSENT), None) if failed is None else (Seen(Looked.UNSEEN, reason=failed), None)
    except Exception as error:
        # Whatever a secrets backend of somebody else raises is told, without its words: they may hold the secret.
        return Seen(Looked.UNSEEN, reason=f"the secrets backend raised {type(error).__name__}"), None
    return Seen(Looked.THERE, type=found.conn_type), found


def _failed_backend(connection_id: str) -> str | None:
    """Airflow passes over a backend that fails, and then says that there is no such Connection: not the same."""
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for backend in ensure_secrets_backend_loaded():
        try:
            backend.get_connection(conn_id=connection_id)
        except Exception as error:
            return f"{type(backend).__name__} cannot be asked on this machine ({type(error).__name__})"
    return None


def connection_facts(
    needs: Sequence[Need], protocols: Sequence[Protocol], *, server: Server, now: datetime, workspace: Workspace, api_connection: str
) -> list[ConnectionFacts]:
    """What is known of each needed Connection."""
    return [_facts(need, protocols, server, now, workspace, api_connection) for need in needs]


def _facts(
    need: Need, protocols: Sequence[Protocol], server: Server, now: datetime, workspace: Workspace, api_connection: str
) -> ConnectionFacts:
    here, connection = look_here(need.id)
    served, _ = served_connection(server, need.id)
    if connection is None:
        return ConnectionFacts(need, here, served)
    address, reach = _reach(connection, need)
    asked: list[tuple[str, Answer]] = []
    if reach is None or reach.error is None:
        asked = _asked(need, connection, protocols, now, workspace, api_connection)
    return ConnectionFacts(need, here, served, address=address, reach=reach, asked=tuple(asked))


def _reach(connection: Any, need: Need) -> tuple[str | None, Answer | None]:
    """The address that the Connection leads to, and whether something accepts connections there."""
    try:
        place = _place(connection, need.types[0])
    except PerfproofError as error:
        return str(connection.host), Answer(error=error)
    if place is None:
        return None, None
    host, port = place
    address = host if host.startswith("/") else f"{host}:{port}"
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(REACH_SECONDS)
                client.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, port), timeout=REACH_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return address, Answer(error=TelemetryError(270, where=address, what=reason, fix="see there"))
    return address, Answer()


def _place(connection: Any, kind: str) -> tuple[str, int] | None:
    """Host and port; None for a Connection that names neither, since its service has an address of its own."""
    if kind == "http":
        parts = urlsplit(ConnectionValues.of(connection).url)
        try:
            return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError:
            raise TelemetryError(275, where=connection.conn_id, what="no usable address", fix="set its host") from None
    if kind == "aws":
        parts = urlsplit(str((connection.extra_dejson or {}).get("endpoint_url") or connection.host or ""))
        return (parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme, 443)) if parts.hostname else None
    if kind in ("postgres", "smtp"):
        return connection.host or "localhost", int(connection.port or DEFAULT_PORTS[kind])
    return None


def _asked(
    need: Need, connection: Any, protocols: Sequence[Protocol], now: datetime, workspace: Workspace, api_connection: str
) -> list[tuple[str, Answer]]:
    asked = [
        (f"source {source.name} of {protocol.name}", _source(source, now, workspace))
        for protocol in protocols
        for source in protocol.sources
        if source.connection == need.id
    ]
    if "postgres" in need.types:
        asked.append(("the database", _database(need.id)))
    if need.id == api_connection:
        asked.append(("the REST API", _api(connection)))
    if not asked and "aws" in need.types:
        asked.append(("whether its account is accepted", Answer(unasked=NOT_ASKED_AWS)))
    elif not asked and need.types[0] in ("slackwebhook", "smtp", "pagerduty_events", "http"):
        asked.append(("whether it is accepted", Answer(unasked=NOT_SENT)))
    return asked


def _source(source: Source, now: datetime, workspace: Workspace) -> Answer:
    """Whether the source answers as a cycle asks it."""
    from perfproof_airflow.hooks.context_sources import context_hook
    from perfproof_airflow.hooks.metric_sources import METRIC_KINDS, metric_hook

    try:
        if source.kind in METRIC_KINDS:
            metric_hook(source, workspace=workspace).probe(source.probe or "", at=now.timestamp())
        else:
            begin = now - timedelta(hours=source.lookback_hours)
            hook = context_hook(source, workspace=workspace)
            hook.items(query=source.query, start=begin.timestamp(), end=now.timestamp(), fetched_at=now)
    except PerfproofError as error:
        return Answer(error=error)
    return Answer()


def _database(connection_id: str) -> Answer:
    """Whether the database lets this account in, and shows it the statements that diagnostics read."""
    from perfproof_airflow.hooks.query_plans import QueryPlanHook

    try:
        QueryPlanHook(connection_id=connection_id).statement_rows()
    except PerfproofError as error:
        return Answer(error=error)
    return Answer()


def _api(connection: Any) -> Answer:
    """Whether the account of the Connection may log in and clear tasks: a dry run over a time in which there is nothing."""
    where = f"Connection {connection.conn_id}"
    api = AirflowApi(address_of(connection), connection.login or "", connection.password or "")
    body = {"dry_run": True, "start_date": NEVER, "end_date": NEVER, "only_failed": True}
    try:
        api.client.post(f"/api/v2/dags/{DAG}/clearTaskInstances", json=body).raise_for_status()
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return Answer(unasked=f"whether it may clear tasks cannot be seen without the DAG {DAG}")
        problem = refused(where, error.response)
        fix = "correct its login and password, or give the account the right to clear tasks (role op or admin)"
        return Answer(error=ParameterError(222, where=where, what=problem.what, got=problem.got, fix=fix))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        fix = "let host and port of the Connection be those of this Airflow's api-server"
        return Answer(error=ParameterError(223, where=where, what="no Airflow 3 answers", got=type(error).__name__, fix=fix))
    finally:
        api.close()
    return Answer()
