"""Profiling as the protocol does it: cleared, under authorized load, stacks and statement counters of the same seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
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
HEAVIEST = 10


@dataclass(frozen=True, slots=True)
class Profiled:
    """What came of profiling one endpoint under load. `statements` holds the requests, their time, and the statements counted meanwhile."""

    recording: Recording
    build: str
    requests: Mapping[str, int]
    statements: Mapping[str, Any]


def verify_clearance(cycle: Cycle, service: str) -> Mapping[str, Any]:
    """What security cleared, from a record that was verified just now. Raises ProfileError 401 if not for this service."""
    step = "profiling_clearance"
    approved = verified_approvals(cycle, step, map_index=PREREQUISITE_INDEX[step])[0]
    shown = approved.request.question.shown
    if service not in shown["services"]:
        raise ProfileError(401, where=service, what="the profiling clearance does not cover this service", fix="ask for clearance again")
    return shown


def query_hook(endpoint: Endpoint) -> QueryPlanHook | None:
    """The database of an endpoint, None where the protocol file names none."""
    return QueryPlanHook(connection_id=endpoint.database_connection) if endpoint.database_connection else None


def profiler_of(endpoint: Endpoint, allowed: Authorization, *, service: str) -> ProfilerHook | PprofHook:
    """Asks the endpoint itself where it has a pprof path, only as far as load is authorized; else watches its process."""
    if endpoint.pprof_path is not None:
        return PprofHook(endpoint, allow=allowed.targets)
    if endpoint.pid_file is None:
        raise ProfileError(
            402, where=service, what="the endpoint has no pid_file and no pprof_path to profile", fix="add one to the protocol file"
        )
    return ProfilerHook(pid_file=settings.workspace_root() / endpoint.pid_file, port=endpoint.port)


def record_under_load(cycle: Cycle, service: Service, endpoint: Endpoint, *, allowed: Authorization, subject: str) -> Profiled:
    """Profiles `endpoint` under the authorized peak rate, which counts as a load test. `subject` tells its seed from those of others."""
    profiler = profiler_of(endpoint, allowed, service=service.name)
    plan = plan_for(
        Scenario.PEAK,
        service=service,
        endpoint=endpoint,
        environment=cycle.protocol.environment,
        profile=cycle.profile,
        load=cycle.protocol.load,
        seed=seed_of(cycle, subject, service.name),
    )
    hook = query_hook(endpoint)
    with ThreadPoolExecutor(max_workers=1) as threads, target_lock(endpoint):
        recordings: list[Future[Recording]] = []
        before = hook.statement_rows() if hook else ()

        def profile() -> None:
            recordings.append(threads.submit(profiler.record, seconds=PROFILE_SECONDS, rate_hz=PROFILE_HZ))

        run = send(cycle, plan, allowed=allowed, endpoint=endpoint, injections=[Injection(at_second=0.5, action=profile)])
        after = hook.statement_rows() if hook else ()
        if not recordings:
            raise ProfileError(
                403, where=service.name, what="the load ended before the profiler began", got=run.summary.reason, fix="clear this task"
            )
        recording = recordings[0].result()
    rows = read_rows(run.rows, where=f"profile of {service.name}")
    statements = {
        "requests": int(rows.sent.sum()),
        "request_ms": round(float(rows.service_time_ms[rows.sent].sum()), 3),
        "rows": [asdict(row) for row in counted_between(before, after)],
    }
    requests = Counter(str(transaction) for transaction, sent in zip(rows.transaction, rows.sent, strict=True) if sent)
    return Profiled(recording, run.summary.build, requests, statements)


def publish_profile(cycle: Cycle, service: Service, profiled: Profiled, *, subject: str) -> dict[str, Any]:
    """Publishes stacks, flame graph and statement counters of `subject`, and returns its profile document."""
    from perfproof.diagnostics import profile_document
    from perfproof.flame_graph import flame_graph
    from perfproof.profile_formats.collapsed import parse_collapsed
    from perfproof.profiles import normalise

    recording = profiled.recording
    cycle.publish(f"evidence/statements-{subject}.json", lambda: dict(profiled.statements), per_try=True)
    stacks = cycle.publish(f"evidence/profile-{subject}-stacks.txt", lambda: recording.collapsed, per_try=True)
    profile = normalise(parse_collapsed(recording.collapsed, where=f"profile of {subject}"))
    graph = cycle.publish(
        f"evidence/profile-{subject}-flame-graph.svg",
        lambda: flame_graph(profile, title=f"{service.name}, build {profiled.build}"),
        inputs=[stacks],
        per_try=True,
    )
    return profile_document(
        service=service,
        build=profiled.build,
        profiler=recording.profiler,
        collapsed_text=recording.collapsed,
        seconds=recording.seconds,
        rate_hz=recording.rate_hz,
        requests_by_transaction=profiled.requests,
        collapsed=cycle.source(stacks),
        flame_graph=cycle.source(graph),
    )


def profile_service(cycle: Cycle, name: str) -> dict[str, Any]:
    """Publishes stacks, flame graph, statement counters and the profile document of a service's baseline under peak load."""
    verify_clearance(cycle, name)
    service = cycle.protocol.service(name)
    endpoint = service.endpoints.baseline
    allowed = authorization(cycle)
    profiler_of(endpoint, allowed, service=name)

    def produce() -> dict[str, Any]:
        profiled = record_under_load(cycle, service, endpoint, allowed=allowed, subject="profile")
        return publish_profile(cycle, service, profiled, subject=name)

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
        hook = query_hook(service.endpoints.baseline)
        if hook is None:
            services.append({"service": name, "requests": None, "statements": [], "findings": []})
            continue
        counted = cycle.document(f"evidence/statements-{name}.json")
        rows = statement_rows(counted, where=name)
        heaviest = sorted(rows, key=lambda row: -row.total_ms)[:HEAVIEST]
        services.append(explained_statements(hook, service, counted, rows=rows, chosen=heaviest))
    return {"services": services}


def statement_rows(counted: Mapping[str, Any], *, where: str) -> list[StatementRow]:
    """The rows of `evidence/statements-<subject>.json`."""
    return [build(StatementRow, row, where=f"statements of {where}", error=ProfileError) for row in counted["rows"]]


def explained_statements(
    hook: QueryPlanHook, service: Service, counted: Mapping[str, Any], *, rows: Sequence[StatementRow], chosen: Sequence[StatementRow]
) -> dict[str, Any]:
    """A service's part of a query plan document; the `chosen` of `rows` are explained, read-only, and stand in it."""
    explained = {row.query_id: hook.explain(row.statement, sample_parameters=service.sample_parameters) for row in chosen}
    return service_statements(
        service=service.name, rows=rows, explained=explained, requests=counted["requests"], request_ms=counted["request_ms"], limit=HEAVIEST
    )
