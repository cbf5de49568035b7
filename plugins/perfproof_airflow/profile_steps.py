"""Profiling as the protocol does it: cleared, under authorized load, stacks and statement counters of the same seconds."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from perfproof.config import Endpoint, Service
from perfproof.errors import ProfileError
from perfproof.load.authorization import Authorization
from perfproof.load.plan import Scenario, plan_for
from perfproof.load.rows import read_rows
from perfproof.query_plans import StatementRow, counted_between, service_statements
from perfproof.strict import build
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.hooks.load import Injection
from perfproof_airflow.hooks.pprof import PprofHook
from perfproof_airflow.hooks.profiler import ProfilerHook, Recording
from perfproof_airflow.hooks.query_plans import QueryPlanHook
from perfproof_airflow.load_steps import authorization, seed_of, send, target_lock
from perfproof_airflow.protected import verified_approvals
from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX

PROFILE_SECONDS = 12.0
PROFILE_HZ = 100


def _verify_clearance(cycle: Cycle, service: str) -> None:
    step = "profiling_clearance"
    approved = verified_approvals(cycle, step, map_index=PREREQUISITE_INDEX[step])[0]
    if service not in approved.request.question.shown["services"]:
        raise ProfileError(401, where=service, what="the profiling clearance does not cover this service", fix="ask for clearance again")


def _query_hook(service: Service) -> QueryPlanHook | None:
    connection = service.endpoints.baseline.database_connection
    return QueryPlanHook(connection_id=connection) if connection else None


def _profiler(endpoint: Endpoint, allowed: Authorization, *, service: str) -> ProfilerHook | PprofHook:
    """Asks the endpoint itself where it has a pprof path, only as far as load is authorized; else watches its process."""
    if endpoint.pprof_path is not None:
        return PprofHook(endpoint, allow=allowed.targets)
    if endpoint.pid_file is None:
        raise ProfileError(
            402, where=service, what="the baseline has no pid_file and no pprof_path to profile", fix="add one to the protocol file"
        )
    return ProfilerHook(pid_file=settings.workspace_root() / endpoint.pid_file, port=endpoint.port)


def profile_service(cycle: Cycle, name: str) -> dict[str, Any]:
    """Publishes stacks, flame graph, statement counters and the profile document of a service's baseline under peak load."""
    from perfproof.diagnostics import profile_document
    from perfproof.flame_graph import flame_graph
    from perfproof.profile_formats.collapsed import parse_collapsed
    from perfproof.profiles import normalise

    _verify_clearance(cycle, name)
    service = cycle.protocol.service(name)
    endpoint = service.endpoints.baseline
    allowed = authorization(cycle)
    profiler = _profiler(endpoint, allowed, service=name)

    def produce() -> dict[str, Any]:
        plan = plan_for(
            Scenario.PEAK,
            service=service,
            endpoint=endpoint,
            environment=cycle.protocol.environment,
            profile=cycle.profile,
            load=cycle.protocol.load,
            seed=seed_of(cycle, "profile", name),
        )
        hook = _query_hook(service)
        with ThreadPoolExecutor(max_workers=1) as threads, target_lock(endpoint):
            recordings: list[Future[Recording]] = []
            before = hook.statement_rows() if hook else ()

            def profile() -> None:
                recordings.append(threads.submit(profiler.record, seconds=PROFILE_SECONDS, rate_hz=PROFILE_HZ))

            run = send(cycle, plan, allowed=allowed, endpoint=endpoint, injections=[Injection(at_second=0.5, action=profile)])
            after = hook.statement_rows() if hook else ()
            if not recordings:
                raise ProfileError(
                    403, where=name, what="the load ended before the profiler began", got=run.summary.reason, fix="clear this task"
                )
            recording = recordings[0].result()
        rows = read_rows(run.rows, where=f"profile of {name}")
        requests = Counter(str(transaction) for transaction, sent in zip(rows.transaction, rows.sent, strict=True) if sent)
        request_ms = float(rows.service_time_ms[rows.sent].sum())
        statements = {
            "requests": int(rows.sent.sum()),
            "request_ms": round(request_ms, 3),
            "rows": [asdict(row) for row in counted_between(before, after)],
        }
        cycle.publish(f"evidence/statements-{name}.json", lambda: statements, per_try=True)
        stacks = cycle.publish(f"evidence/profile-{name}-stacks.txt", lambda: recording.collapsed, per_try=True)
        profile_ = normalise(parse_collapsed(recording.collapsed, where=f"profile of {name}"))
        graph = cycle.publish(
            f"evidence/profile-{name}-flame-graph.svg",
            lambda: flame_graph(profile_, title=f"{name}, build {run.summary.build}"),
            inputs=[stacks],
            per_try=True,
        )
        return profile_document(
            service=service,
            build=run.summary.build,
            profiler=recording.profiler,
            collapsed_text=recording.collapsed,
            seconds=recording.seconds,
            rate_hz=recording.rate_hz,
            requests_by_transaction=requests,
            collapsed=cycle.source(stacks),
            flame_graph=cycle.source(graph),
        )

    return cycle.publish(f"evidence/profile-{name}.json", produce)


def require_conclusive(documents: list[dict[str, Any]]) -> None:
    """Raises ProfileError naming each service whose profile is inconclusive: the specification's halt of phase 2."""
    open_ = [f"{document['service']}: {document['reason']}" for document in documents if document["status"] != "ok"]
    if open_:
        raise ProfileError(
            404,
            where="profiling",
            what="profiling data is inconclusive",
            got="; ".join(open_),
            fix="send more load or profile longer, then clear",
        )


def explain_services(cycle: Cycle) -> dict[str, Any]:
    """The query plan document: each service's heaviest statements of the profiled seconds, explained read-only."""
    services: list[dict[str, Any]] = []
    for name in cycle.parameters.services:
        service = cycle.protocol.service(name)
        hook = _query_hook(service)
        if hook is None:
            services.append({"service": name, "requests": None, "statements": [], "findings": []})
            continue
        counted = cycle.document(f"evidence/statements-{name}.json")
        rows = [build(StatementRow, row, where=f"statements of {name}", error=ProfileError) for row in counted["rows"]]
        heaviest = sorted(rows, key=lambda row: -row.total_ms)[:10]
        explained = {row.query_id: hook.explain(row.statement, sample_parameters=service.sample_parameters) for row in heaviest}
        services.append(
            service_statements(service=name, rows=rows, explained=explained, requests=counted["requests"], request_ms=counted["request_ms"])
        )
    return {"services": services}
