"""How complete a baseline is, and when there is nothing to judge at all.

Completeness is sample coverage, not a count of names: a metric that answered for half of the window is half a metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfproof.baseline.cells import Cell, Reason
from perfproof.config import Service
from perfproof.errors import TelemetryError


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of what is required was measured.

    `percentage` is the mean score of the required cells times 100. `missing` are the cells with score 0 and
    `critical_missing` the critical ones with a score below 1, both by name (`service/metric` if there are several services).
    """

    percentage: float
    collected: int
    required: int
    missing: tuple[str, ...]
    critical_missing: tuple[str, ...]


def completeness(cells: Sequence[Cell], required: Sequence[tuple[str, str]]) -> Completeness:
    """Completeness of `cells` over the `required` (service, metric) pairs.

    A required cell that is absent scores 0; a cell that is not required changes nothing; of two cells for one pair the
    worse counts. Nothing required is 0 percent, not a pass.
    """
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        pair = (cell.service, cell.metric)
        if pair not in found or cell.score < found[pair].score:
            found[pair] = cell
    pairs = list(dict.fromkeys(required))
    several = len({service for service, _ in pairs}) > 1
    names = {pair: "/".join(pair) if several else pair[1] for pair in pairs}
    scores = {pair: found[pair].score if pair in found else 0.0 for pair in pairs}
    missing = tuple(names[pair] for pair in pairs if scores[pair] == 0.0)
    critical = tuple(names[pair] for pair in pairs if scores[pair] < 1.0 and (pair not in found or found[pair].critical))
    # Nine decimals: 95 stays 95 whatever binary fractions make of the sum.
    percentage = round(100.0 * math.fsum(scores.values()) / len(pairs), 9) if pairs else 0.0
    return Completeness(percentage, len(pairs) - len(missing), len(pairs), missing, critical)


def required_cells(services: Sequence[Service]) -> list[tuple[str, str]]:
    """The (service, metric) pairs that a baseline must hold, in the order of the protocol file."""
    return [(service.name, spec.name) for service in services for spec in service.metrics]


def require_sources(cells: Sequence[Cell]) -> None:
    """Raises TelemetryError if there is nothing to judge: a source that gave no valid sample at all, or a cell without origin.

    This is the halt of the specification (baselines lack required sources or verification); single gaps are Gate 1's.
    """
    if not cells:
        raise TelemetryError(
            250,
            where="baseline",
            what="no metric was measured",
            fix="name the metrics of each service in the protocol file",
        )
    answered = {cell.source for cell in cells if cell.samples_valid}
    silent = sorted({cell.source for cell in cells} - answered)
    if silent:
        raise TelemetryError(
            251, where="baseline", what="a required source gave no valid sample in the whole window", got=", ".join(silent),
            fix="check that the source is up and records these services, then clear this task",
        )  # fmt: skip
    unverified = [f"{cell.service}/{cell.metric}" for cell in cells if Reason.UNTRACEABLE in cell.reasons]
    if unverified:
        raise TelemetryError(
            252, where="baseline", what="measured without a traceable source", got=", ".join(unverified),
            expected="source, query and digest of the answer", fix="fetch these metrics through a declared source",
        )  # fmt: skip
