"""Metrics as an endpoint shows them (Prometheus or OpenMetrics text), summed over labels."""

from __future__ import annotations

import math
import re

from perfproof.errors import LoadError

_SAMPLE = re.compile(r'^(([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?)[ \t]+(\S+)(?:[ \t]+[^#\s]+)?(?:[ \t]+#.*)?\s*$')


def series_sums(data: bytes, *, where: str) -> dict[str, float]:
    """Each series name with the sum of its samples; a series with a sample that is no finite number is left out.

    Raises LoadError 321 for text that holds no sample, a line that is none, or a sample twice: their sum would be twice as much.
    """
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise _no_metrics(where, error.reason) from None
    samples: dict[str, list[float]] = {}
    seen: set[str] = set()
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        if match is None or match[1] in seen:
            raise _no_metrics(where, line)
        seen.add(match[1])
        try:
            samples.setdefault(match[2], []).append(float(match[3]))
        except ValueError:
            raise _no_metrics(where, line) from None
    if not samples:
        raise _no_metrics(where, "nothing")
    return {name: math.fsum(values) for name, values in samples.items() if all(map(math.isfinite, values))}


def _no_metrics(where: str, got: str) -> LoadError:
    return LoadError(321, where=where, what="not metrics in the Prometheus text format", got=got, fix="correct metrics_path")
