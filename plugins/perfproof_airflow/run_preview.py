"""The preview of a run as this Airflow would do it: its settings, workspace, Connections, and on request the answers of its sources."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfproof.commands.plan import named_protocol
from perfproof.commands.workspace_files import look
from perfproof.config import Protocol
from perfproof.parameters import Parameters, read_parameters
from perfproof.preview import Found, preview
from perfproof.preview.missing import connection_ids
from perfproof_airflow import settings


def preview_of(conf: Mapping[str, Any], *, requester: str | None, probe: bool = False) -> dict[str, Any]:
    """The document of `perfproof.preview` for a run with the parameters `conf`, triggered by the user `requester`.

    Writes nothing. `probe` asks every source, over the network. Raises PerfproofError, one line, for parameters or a protocol file
    that a run would refuse.
    """
    from perfproof_airflow.cycle import now

    protocol = named_protocol(conf.get("protocol"), directory=settings.protocol_path("any").parent)
    parameters = read_parameters(conf, protocol)
    return preview(protocol, parameters, requester=requester, now=now(), found=_found(protocol, parameters, probe=probe))


def preview_for_command(conf: Mapping[str, Any], *, requester: str | None, probe: bool) -> dict[str, Any]:
    """`preview_of` in the process of a command, which is neither a task nor a server."""
    # As `airflow connections` does: else the Connections of the metadata database would not be found.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    return preview_of(conf, requester=requester, probe=probe)


def _found(protocol: Protocol, parameters: Parameters, *, probe: bool) -> Found:
    from perfproof_airflow.hooks.workspace import found_artifacts

    root = settings.workspace_root()
    evidence = None if settings.evidence_in_s3() else _inside(root, settings.evidence_root())
    found = look(protocol, parameters, root=root, evidence=evidence)
    return replace(
        found,
        files=found_artifacts(protocol),
        connections=known_connections(connection_ids(protocol, parameters)),
        answers=_answers(protocol) if probe else None,
    )


def _inside(root: Path, directory: Path) -> str:
    return str(directory.relative_to(root)) if directory.is_relative_to(root) else str(directory)


def known_connections(ids: Iterable[str]) -> dict[str, bool]:
    """Whether this Airflow knows each Connection; nothing of what stands in one is kept."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    found = {}
    for connection in ids:
        try:
            Connection.get(connection)
        except AirflowNotFoundException:
            found[connection] = False
        else:
            found[connection] = True
    return found


def _answers(protocol: Protocol) -> dict[str, str | None]:
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.sources import access_error

    return {source.name: access_error(protocol, source, now=now()) for source in protocol.sources}
