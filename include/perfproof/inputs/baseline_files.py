"""The previous cycle's `baseline-metrics.json` as a supplied file."""

from __future__ import annotations

from perfproof.baseline.reading import read_baseline
from perfproof.inputs.shapes import Supplied
from perfproof.moments import parse_stamp


def validate_baseline(data: bytes, *, where: str) -> Supplied:
    """The `metrics` (cells) of an earlier baseline, dated by its own `collected_at`. Raises ArtifactError as `read_baseline` does."""
    document = read_baseline(data, where=where)
    return Supplied({"metrics": tuple(document["cells"])}, parse_stamp(document["collected_at"]))
