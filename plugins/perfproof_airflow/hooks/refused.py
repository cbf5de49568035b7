"""The error for one query that cannot be measured while others of the same source may."""

from __future__ import annotations

from perfproof.errors import TelemetryError


class QueryRefused(TelemetryError):
    """The source is there, but this query gave no series that can be measured. Other queries may work."""
