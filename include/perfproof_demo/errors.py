"""The one error class of the demo, in the one-line form of perfproof."""

from __future__ import annotations

from perfproof.errors import PerfproofError


class DemoError(PerfproofError):
    """A part of the demo cannot start, stop or be deployed."""

    prefix = "DEM"
