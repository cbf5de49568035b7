"""The text of a query as it is sent: what the placeholders of the protocol file stand for."""

from __future__ import annotations

import math
import re

from perfproof.errors import TelemetryError

PLACEHOLDER = re.compile(r"\$([a-z_]+)")


def filled(query: str, *, instance: str, service: str, rate_window: float) -> str:
    """`query` with `$instance`, `$service` and `$window` replaced. Raises TelemetryError for another placeholder."""
    values = {"instance": _inside_quotes(instance), "service": _inside_quotes(service), "window": f"{max(1, math.ceil(rate_window))}s"}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise TelemetryError(
                281, where="query", what="unknown placeholder", got=match[0], expected="$instance $service $window", fix="correct the query"
            )
        return values[match[1]]

    return PLACEHOLDER.sub(value, query)


def decimal(seconds: float) -> str:
    """Seconds to the millisecond, without zeros at the end: 15, 0.25."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _inside_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
