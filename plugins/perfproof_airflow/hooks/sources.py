"""Reads one declared telemetry source, whatever its kind, into its source document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from perfproof.config import Protocol, Source, SourceKind
from perfproof.errors import PerfproofError, TelemetryError
from perfproof.intake import source_document
from perfproof.prerequisites import Status, examine_artifacts, supplied
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks.context_sources import context_hook
from perfproof_airflow.hooks.json_lines import JsonLinesHook
from perfproof_airflow.hooks.metric_sources import METRIC_KINDS, metric_hook
from perfproof_airflow.hooks.workspace import Workspace, found_artifact

Items = Mapping[str, Sequence[Mapping[str, Any]]]


def read_source(protocol: Protocol, source: Source, *, now: datetime, workspace: Workspace | None = None) -> dict[str, Any]:
    """`evidence/source-<source>.json`. A source that does not answer is in the document as missing or unknown, with why."""
    try:
        items, sha256 = _read(protocol, source, now=now, workspace=workspace or _workspace())
    except PerfproofError as error:
        return source_document(source, fetched_at=now, error=str(error))
    return source_document(source, fetched_at=now, items=items, sha256=sha256)


def access_error(protocol: Protocol, source: Source, *, now: datetime, workspace: Workspace | None = None) -> str | None:
    """Why the source cannot be read now, None if it can."""
    document = read_source(protocol, source, now=now, workspace=workspace)
    return None if document["status"] == "ok" else str(document["reason"])


def _read(protocol: Protocol, source: Source, *, now: datetime, workspace: Workspace) -> tuple[Items, str | None]:
    if source.kind in METRIC_KINDS:
        count = metric_hook(source, workspace=workspace).probe(source.probe or "", at=now.timestamp())
        return {source.provides.value: [{"probe": source.probe, "samples": count}]}, None
    if source.kind is SourceKind.JSON_LINES:
        summary, sha256 = JsonLinesHook(workspace, source.path or "").summary(now=now)
        return {source.provides.value: [summary]}, sha256
    if source.kind is SourceKind.ARTIFACT:
        return _artifact(protocol, source, now=now, workspace=workspace)
    begin = now - timedelta(hours=source.lookback_hours)
    items, raw = context_hook(source, workspace=workspace).items(
        query=source.query, start=begin.timestamp(), end=now.timestamp(), fetched_at=now
    )
    return items, sha256_hex(raw)


def _artifact(protocol: Protocol, source: Source, *, now: datetime, workspace: Workspace) -> tuple[Items, str | None]:
    artifact = next(a for a in protocol.prerequisites if a.name == source.artifact)
    found = found_artifact(artifact, workspace)
    finding = next(item for item in examine_artifacts(protocol, {artifact.name: found}, now=now) if item["name"] == artifact.name)
    if finding["status"] != Status.OK or found.data is None:
        raise TelemetryError(
            286, where=artifact.name, what=f"cannot serve as a source: {finding['status']}", got=finding["reason"],
            fix="supply it, valid and current, at the path of the protocol file",
        )  # fmt: skip
    return supplied(artifact, found.data).items, sha256_hex(found.data)


def _workspace() -> Workspace:
    from perfproof_airflow import settings

    return Workspace(settings.workspace_root())
