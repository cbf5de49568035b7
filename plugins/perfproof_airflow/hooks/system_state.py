"""Looks at the state of the system before a cycle: telemetry access, write permission, the approval key, the mirrored facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from perfproof.config import MirrorCheck, MirrorKind, Protocol, Provides, Service, SourceKind
from perfproof.errors import ConfigError, PerfproofError
from perfproof.prerequisites import access_record, check_record, directory_record, examine_mirror, system_state
from perfproof_airflow import settings
from perfproof_airflow.hooks.prometheus import PrometheusHook, filled
from perfproof_airflow.hooks.sources import access_error
from perfproof_airflow.hooks.workspace import Workspace

TELEMETRY = (Provides.METRICS, Provides.LOGS, Provides.TRACES)
INSTANT_RATE_SECONDS = 60.0
SQL_SECONDS = 10


def examine_system_state(protocol: Protocol, *, services: Sequence[str], now: datetime) -> dict[str, Any]:
    """The system's state as `perfproof.prerequisites.system_state` records it. Every check runs, so that all problems show at once."""
    workspace = Workspace(settings.workspace_root())
    return system_state(
        access=[
            access_record(
                name=source.name,
                provides=source.provides.value,
                critical=source.critical,
                error=access_error(protocol, source, now=now, workspace=workspace),
            )
            for source in protocol.sources
            if source.provides in TELEMETRY
        ],
        directories=[directory_record(path=path, error=workspace.probe_writable(path)) for path in _written_directories(protocol)],
        mirror=[_mirrored(protocol, check, protocol.service(services[0]), now) for check in protocol.environment.mirrors_production],
        others=[check_record(name="approval key", error=_approval_key_error())],
    )


def _written_directories(protocol: Protocol) -> list[str]:
    others = [str(Path(path)) for path in (protocol.context_directory, protocol.instrumentation_directory)]
    if settings.evidence_in_s3():
        return others  # The bucket was probed when the cycle was opened.
    root = settings.workspace_root()
    evidence = settings.evidence_root()
    inside = str(evidence.relative_to(root)) if evidence.is_relative_to(root) else str(evidence)
    return [str(Path(inside)), *others]


def _mirrored(protocol: Protocol, check: MirrorCheck, service: Service, now: datetime) -> dict[str, Any]:
    try:
        values = _sql_values(check, service) if check.kind is MirrorKind.SQL else _metric_values(protocol, check, service, now)
    except PerfproofError as error:
        return examine_mirror(check, None, error=str(error))
    # Several series (one per instance) must all mirror production, so the one farthest from it speaks for all.
    return examine_mirror(check, max(values, key=lambda value: abs(value - check.production), default=None))


def _metric_values(protocol: Protocol, check: MirrorCheck, service: Service, now: datetime) -> list[float]:
    source = next(s for s in protocol.sources if s.kind is SourceKind.PROMETHEUS)
    hook = PrometheusHook(source.connection or PrometheusHook.default_conn_name, source=source.name)
    endpoint = service.endpoints.baseline
    query = filled(check.query, instance=endpoint.instance, service=service.name, rate_window=INSTANT_RATE_SECONDS)
    return hook.instant(query, at=now.timestamp())


def _sql_values(check: MirrorCheck, service: Service) -> list[float]:
    import psycopg

    from perfproof_airflow.hooks.database import dsn_of

    connection_id = service.endpoints.baseline.database_connection
    dsn = dsn_of(connection_id, where=f"mirror check {check.name!r}")
    try:
        with psycopg.connect(dsn, connect_timeout=SQL_SECONDS, autocommit=False) as connection:
            connection.read_only = True
            connection.execute(f"SET LOCAL statement_timeout = '{SQL_SECONDS}s'")
            row = connection.execute(check.query.encode()).fetchone()
            connection.rollback()
    except psycopg.Error as error:
        raise _unreadable(check, connection_id, str(error).strip().partition("\n")[0]) from None
    if row is None or len(row) != 1:
        raise _unreadable(check, connection_id, "not one row with one column")
    try:
        return [float(row[0])]
    except (TypeError, ValueError):
        raise _unreadable(check, connection_id, repr(row[0])) from None


def _unreadable(check: MirrorCheck, connection_id: str | None, got: str) -> ConfigError:
    return ConfigError(
        185, where=f"mirror check {check.name!r}", what=f"no number from Connection {connection_id}", got=got,
        fix="correct the query, or give the Connection's user permission to read it",
    )  # fmt: skip


def _approval_key_error() -> str | None:
    from perfproof_airflow.api.signing_key import worker_ring

    try:
        worker_ring()
    except PerfproofError as error:
        return str(error)
    return None
