"""The requests that users make, and the metrics of the baseline, as they are said in a few words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from perfproof.config.services import Span
from perfproof.config.sources import SourceKind
from perfproof.starting.words import read_identifier, read_text, refused
from perfproof.telemetry import Direction, MetricKind, Unit

_PATH = re.compile(r"(?:([^=\s]+)=)?(\S+)\s+(\S+)")
_PARAMETER = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([a-z][a-z0-9_]{0,63}):(-?[0-9]{1,12})-(-?[0-9]{1,12})")
_LATENCY = re.compile(r"(.+)_latency_p(?:50|95|99)")


@dataclass(frozen=True, slots=True)
class Path:
    """A request that users make: the name of the transaction, and `{name}` in `path` for each of `parameters`."""

    name: str
    method: str
    path: str
    parameters: tuple[tuple[str, Span], ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the baseline; kind, unit and direction follow from its name."""

    name: str
    kind: MetricKind
    unit: Unit
    direction: Direction
    query: str


def read_path(text: str) -> Path:
    """The request that `[name=]GET /path/{id:1-900}` describes. Raises ParameterError 952."""
    found = _PATH.fullmatch(read_text(text, "--path"))
    if found is None or found[2] not in ("GET", "HEAD"):
        raise refused(
            952, "--path", "not a request", "write GET or HEAD and a path", got=text, expected="'GET /orders' or 'orders=GET /orders'"
        )
    parameters: dict[str, Span] = {}
    for inner in _PARAMETER.findall(found[3]):
        part = _RANGE.fullmatch(inner)
        if part is None or part[1] in parameters:
            raise refused(
                952, "--path", "a parameter without its range, or twice", "write its smallest and largest whole number", got=text,
                expected="{id:1-1000}",
            )  # fmt: skip
        parameters[part[1]] = Span(int(part[2]), int(part[3]))
    plain = _PARAMETER.sub(lambda match: "{" + match[1].partition(":")[0] + "}", found[3])
    words = re.findall(r"(?<![^/])[a-z][a-z0-9_-]*(?![^/])", _PARAMETER.sub("", found[3]).partition("?")[0].lower())
    name = found[1] or (words[-1] if words else "root")
    return Path(read_identifier(name, "--path", number=952), found[2], plain, tuple(parameters.items()))


def read_metric(text: str, *, known: Sequence[str]) -> Metric:
    """The metric that `name=query` describes; `known` are the transactions. Raises ParameterError 953."""
    name, equals, query = read_text(text, "--metric-query").partition("=")
    latency = _LATENCY.fullmatch(name)
    if equals and query.strip() and latency is not None and latency[1] in known:
        return Metric(name, MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, query.strip())
    if equals and query.strip() and name == "throughput":
        return Metric(name, MetricKind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER, query.strip())
    if equals and query.strip() and name == "error_rate":
        return Metric(name, MetricKind.ERROR_RATE, Unit.PERCENT, Direction.LOWER, query.strip())
    if equals and query.strip() and re.fullmatch(r"[a-z][a-z0-9]{0,30}_utilization", name):
        return Metric(name, MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER, query.strip())
    latencies = ", ".join(f"{path}_latency_p95=" for path in known)
    raise refused(
        953, "--metric-query", "not the name of a metric, = and its query", "correct the name",
        got=text, expected=f"{latencies}, throughput=, error_rate= or cpu_utilization=",
    )  # fmt: skip


def with_resources(told: tuple[Metric, ...], kind: SourceKind) -> tuple[Metric, ...]:
    """`told`, and the CPU by the name that client libraries of Prometheus give it, where it can be asked for."""
    cpu = {
        SourceKind.PROMETHEUS: '100 * sum(rate(process_cpu_seconds_total{instance="$instance"}[$window]))',
        SourceKind.OPENMETRICS: "100 * rate(process_cpu_seconds_total)",
    }
    if kind not in cpu or any(metric.name == "cpu_utilization" for metric in told):
        return told
    return (*told, Metric("cpu_utilization", MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER, cpu[kind]))
