"""The target metric of each valid block of one side, in the order of measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from perfproof.config import Service
from perfproof.judging.measured_blocks import Side, locate, part, read_blocks, value_in

WHERE = "evidence/measurement.json"


def target_values(measurement: Mapping[str, Any], metric: str, *, service: Service, side: str) -> list[float]:
    """The finite values of `metric` in the valid blocks of `side`, in its unit. Raises ArtifactError for a malformed document."""
    located = locate(metric, service)
    seconds = float(part(measurement, "block_seconds", (int, float), where=WHERE))
    blocks = [block for block in read_blocks(measurement, where=WHERE) if block.valid and block.side is Side(side)]
    values = [value_in(block, located, block_seconds=seconds) for block in blocks]
    return [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
