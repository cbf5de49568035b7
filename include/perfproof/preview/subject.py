"""What a run is about: services, optimizations, sources, and the queries as they would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perfproof.answers.query_text import filled
from perfproof.baseline import rate_window
from perfproof.cloudwatch.expressions import filled_expression, query_text
from perfproof.cloudwatch.queries import parse_query
from perfproof.config import Endpoint, Optimization, Protocol, Service, Source, SourceKind
from perfproof.parameters import Parameters
from perfproof.telemetry import MetricSpec

READING_METHODS = ("GET", "HEAD")


def chosen_services(protocol: Protocol, parameters: Parameters) -> tuple[Service, ...]:
    """The services of the cycle, in its order."""
    return tuple(protocol.service(name) for name in parameters.services)


def target_service(protocol: Protocol, parameters: Parameters) -> Service:
    """The service whose metric is the target of the cycle: the first that has it."""
    return next(s for s in chosen_services(protocol, parameters) if s.metric(parameters.target_metric) is not None)


def candidate_of(service: Service) -> Endpoint:
    """Where the candidate is measured: with one endpoint, on the same."""
    return service.endpoints.candidate or service.endpoints.baseline


def considered(protocol: Protocol, parameters: Parameters) -> tuple[Optimization, ...]:
    """The optimizations that the plan can take."""
    own = (o for o in protocol.optimizations if o.service in parameters.services)
    return tuple(o for o in own if not parameters.optimizations or o.id in parameters.optimizations)


def profiler_of(endpoint: Endpoint) -> str | None:
    """How a deployment is profiled, None if it cannot be."""
    if endpoint.pprof_path is not None:
        return "pprof"
    return None if endpoint.pid_file is None else "py-spy"


def service_documents(protocol: Protocol, parameters: Parameters) -> list[dict[str, Any]]:
    """The services with their deployments, transactions, objectives and guards."""
    return [_service(protocol, service) for service in chosen_services(protocol, parameters)]


def _service(protocol: Protocol, service: Service) -> dict[str, Any]:
    candidate, total = service.endpoints.candidate, sum(t.weight for t in service.transactions)
    return {
        "name": service.name,
        "critical": service.critical,
        "business_impact": service.business_impact,
        "owner": person(protocol, service.owner),
        "baseline": _deployment(service.endpoints.baseline),
        "candidate": None if candidate is None else _deployment(candidate),
        "transactions": [
            {
                "name": t.name,
                "method": t.method,
                "path": t.path,
                "share_percent": round(100 * t.weight / total, 2) if total else None,
                "may_change_data": t.method not in READING_METHODS,
            }
            for t in service.transactions
        ],
        "slos": [{"name": s.name, "metric": s.metric, "target": s.target, "unit": s.unit.value} for s in service.slos],
        "guards": [guard.name for guard in service.guards],
    }


def _deployment(endpoint: Endpoint) -> dict[str, Any]:
    return {"target": endpoint.instance, "profiler": profiler_of(endpoint), "database": endpoint.database_connection}


def person(protocol: Protocol, person_id: str | None) -> dict[str, Any]:
    """{id, name} of somebody whom the protocol file names; the name is null for an id that no role has."""
    known = protocol.person(person_id or "")
    return {"id": person_id, "name": None if known is None else known.name}


def optimization_documents(protocol: Protocol, parameters: Parameters) -> list[dict[str, Any]]:
    """The optimizations that the plan can take, and whether it surely does."""
    return [
        {
            "id": o.id,
            "title": o.title,
            "service": o.service,
            "owner": person(protocol, o.owner),
            "risk": o.risk.value,
            "expected_gain_percent": o.expected_gain_percent,
            "planned": "named" if parameters.optimizations else "if_supported",
            "unresolved": [d.name for d in o.dependencies if not d.resolved],
        }
        for o in considered(protocol, parameters)
    ]


def source_documents(protocol: Protocol, answers: dict[str, str | None] | None) -> list[dict[str, Any]]:
    """The sources, what each is asked, and what it answered if it was."""
    return [_source(protocol, source, answers) for source in protocol.sources]


def _source(protocol: Protocol, source: Source, answers: dict[str, str | None] | None) -> dict[str, Any]:
    answer = None
    if answers is not None and source.name in answers:
        reason = answers[source.name]
        answer = {"status": "ok" if reason is None else "unknown", "reason": reason}
    return {
        "name": source.name,
        "kind": source.kind.value,
        "provides": source.provides.value,
        "critical": source.critical,
        "at": _place(protocol, source),
        "asks": source.probe or source.query,
        "lookback_hours": None if source.probe or source.artifact or source.kind is SourceKind.JSON_LINES else source.lookback_hours,
        "answer": answer,
    }


def _place(protocol: Protocol, source: Source) -> str:
    if source.connection is not None:
        return f"Connection {source.connection}"
    if source.path is not None:
        return f"path {source.path}"
    path = next((a.path for a in protocol.prerequisites if a.name == source.artifact), None)
    return f"artifact {source.artifact}" + ("" if path is None else f" ({path})")


def query_documents(protocol: Protocol, parameters: Parameters) -> list[dict[str, Any]]:
    """Every query of the baseline, with the placeholders filled for the baseline's deployment.

    Raises PerfproofError for a query that its source would refuse for its form.
    """
    kinds = {source.name: source.kind for source in protocol.sources}
    step = protocol.baseline.step_seconds
    return [
        {
            "service": service.name,
            "metric": spec.name,
            "unit": spec.unit.value,
            "critical": spec.critical,
            "source": spec.source,
            "query": _filled(spec, service, kind=kinds[spec.source], step=step),
        }
        for service, spec in _required(protocol, parameters)
    ]


def _required(protocol: Protocol, parameters: Parameters) -> Iterator[tuple[Service, MetricSpec]]:
    for service in chosen_services(protocol, parameters):
        for spec in service.metrics:
            yield service, spec


def _filled(spec: MetricSpec, service: Service, *, kind: SourceKind, step: float) -> str:
    instance, window = service.endpoints.baseline.instance, rate_window(step)
    if kind is SourceKind.CLOUDWATCH:
        return query_text(filled_expression(parse_query(spec.query), service=service.name, instance=instance))
    query = spec.query
    if kind is SourceKind.DATADOG:
        # There both are plain numbers of seconds.
        query = query.replace("$step", f"{step:g}").replace("$window", f"{window:g}")
    return filled(query, instance=instance, service=service.name, rate_window=window)
