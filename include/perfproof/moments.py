"""Moments as the artifacts write them: UTC, to the second, with a Z."""

from __future__ import annotations

from datetime import UTC, datetime

from perfproof.errors import ArtifactError


def stamp(moment: datetime) -> str:
    """`moment` as `2025-02-16T10:00:00Z`. A moment without a time zone is an error."""
    if moment.tzinfo is None:
        raise ArtifactError(131, where="timestamp", what="no time zone", got=moment.isoformat(), fix="pass an aware datetime")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_stamp(text: object, *, where: str = "timestamp") -> datetime:
    """The moment that `text` names (ISO 8601 with a time zone), in UTC. Raises ArtifactError for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ArtifactError(132, where=where, what="not a moment", got=text, expected="2025-02-16T10:00:00Z", fix="write UTC with a Z")
    return moment.astimezone(UTC)
