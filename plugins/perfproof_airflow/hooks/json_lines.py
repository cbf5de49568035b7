"""Logs and traces in a file of JSON lines: a bounded look at its end, as counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.inputs.line_summary import summarise_lines
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks.workspace import Workspace

TAIL_BYTES = 4 << 20


class JsonLinesHook:
    """Reads the end of one file below the workspace."""

    def __init__(self, workspace: Workspace, path: str, *, tail_bytes: int = TAIL_BYTES) -> None:
        self.workspace = workspace
        self.path = path
        self.tail_bytes = tail_bytes

    def summary(self, *, now: datetime) -> tuple[dict[str, Any], str]:
        """Counts of the file's last lines, and the digest of the bytes that were read.

        Raises ArtifactError if there is no such file, TelemetryError if its end holds no readable line.
        """
        data, cut = self.workspace.tail(self.path, limit=self.tail_bytes)
        found = summarise_lines(data, cut=cut, now=now)
        if not found["lines"]:
            raise TelemetryError(
                285, where=self.path, what="no readable JSON line", got=f"{len(data)} bytes, {found['malformed']} malformed lines",
                fix="check that the service writes its log here, one JSON object a line",
            )  # fmt: skip
        return {"path": self.path, **found}, sha256_hex(data)
