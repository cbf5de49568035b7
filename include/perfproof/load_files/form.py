"""What every reader gives back, whatever the tool: requests as columns, or the tool's own summary, and what these cannot support."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Tool(StrEnum):
    """The load generators whose files are read."""

    K6 = "k6"
    JMETER = "JMeter"
    GATLING = "Gatling"
    LOCUST = "Locust"
    VEGETA = "vegeta"
    HEY = "hey"


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Columns of equal length, one entry per request, in the order of the file.

    `start`: seconds, since 1970 or since the test began, at which the tool sent the request. `name` indexes `names`.
    """

    start: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    ok: NDArray[np.bool_]
    name: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.start)

    def where(self, mask: NDArray[np.bool_]) -> Requests:
        """The requests that `mask` selects."""
        return Requests(self.start[mask], self.latency_ms[mask], self.ok[mask], self.name[mask], self.names)

    def named(self, name: str) -> Requests:
        """The requests of one name. ValueError for a name that no request has."""
        return self.where(self.name == self.names.index(name))


@dataclass(frozen=True, slots=True)
class Part:
    """What a tool says about all requests, or about those of one name. `latency_ms` is by the tool's word: p50, p95, mean, max."""

    name: str
    requests: int | None
    errors: int | None
    latency_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolSummary:
    """A tool's own figures. `rate` is requests per second; None is what the file does not say."""

    total: Part
    parts: tuple[Part, ...] = ()
    seconds: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class LoadFile:
    """One result file. Exactly one of `requests` and `summary` is there.

    `limits`: what the numbers of this tool and form cannot support, a sentence each. `left_out`: what the file holds and the
    figures do not, a sentence each. `without_answer`: whether requests that got no answer have a row. `dropped`: requests
    that the tool says it should have sent and did not.
    """

    tool: Tool
    form: str
    requests: Requests | None
    summary: ToolSummary | None
    limits: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    without_answer: bool = True
    dropped: int = 0
