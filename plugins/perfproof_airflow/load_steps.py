"""Load as the protocol sends it: authorized, on one target at a time, logged before and after, with every row kept."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from perfproof.config import Endpoint, Failure, Service
from perfproof.errors import LoadError
from perfproof.evidence import EntryType
from perfproof.load.authorization import Authorization, check_authorized, read_authorization
from perfproof.load.journeys import JourneyPlan, journey_plan_for
from perfproof.load.plan import LoadPlan, Scenario, plan_for
from perfproof.load.summary import Outcome
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.hooks.load import Injection, LoadHook, LoadRun
from perfproof_airflow.load_engine.stop_lever import require_not_pulled, run_directory
from perfproof_airflow.protected import verified_approvals

LOCK_PATIENCE_SECONDS = 120.0


def endpoint_of(service: Service, side: str) -> Endpoint:
    """Baseline or candidate of a service. With one endpoint both are there, one after the other."""
    return service.endpoints.candidate or service.endpoints.baseline if side == "candidate" else service.endpoints.baseline


def target_service(cycle: Cycle) -> Service:
    """The service whose metric is the target of the cycle."""
    services = [cycle.protocol.service(name) for name in cycle.parameters.services]
    return next(s for s in services if s.metric(cycle.parameters.target_metric) is not None)


def authorization(cycle: Cycle) -> Authorization:
    """What the SRE lead authorized, from a record that was verified just now."""
    from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX

    step = "load_test_authorization"
    approved = verified_approvals(cycle, step, map_index=PREREQUISITE_INDEX[step])
    return read_authorization(approved[0].request.question.shown)


@contextmanager
def target_lock(endpoint: Endpoint) -> Iterator[None]:
    """Holds the target alone: on this machine, or with evidence in S3 for all of its workers. Raises LoadError after two minutes."""
    with _bucket_lock(endpoint) if settings.evidence_in_s3() else _machine_lock(endpoint):
        yield


@contextmanager
def _bucket_lock(endpoint: Endpoint) -> Iterator[None]:
    from perfproof_airflow.hooks.s3_lease import Busy, lease
    from perfproof_airflow.hooks.s3_store import S3Backend

    backend = settings.evidence_backend()
    if not isinstance(backend, S3Backend):
        raise TypeError(type(backend).__name__)
    with ExitStack() as held:
        try:
            held.enter_context(lease(backend, f"{endpoint.host}-{endpoint.port}", patience=LOCK_PATIENCE_SECONDS))
        except Busy:
            raise _target_busy(endpoint) from None
        yield


def _target_busy(endpoint: Endpoint) -> LoadError:
    return LoadError(402, where=endpoint.instance, what="another load test holds this target", fix="clear this task when it has ended")


@contextmanager
def _machine_lock(endpoint: Endpoint) -> Iterator[None]:
    # The lock goes with the process.
    directory = settings.evidence_root() / "locks"
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    with (directory / f"{endpoint.host}-{endpoint.port}.lock").open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _target_busy(endpoint) from None
                time.sleep(0.5)
        yield


def seed_of(cycle: Cycle, *parts: object) -> int:
    """A seed that is the same for every try of the same work, and written into the plan; small enough for any JSON reader."""
    text = "/".join(map(str, (cycle.run, cycle.round, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def send(
    cycle: Cycle,
    plan: LoadPlan | JourneyPlan,
    *,
    allowed: Authorization,
    endpoint: Endpoint,
    injections: Sequence[Injection] = (),
    locustfile: bytes | None = None,
) -> LoadRun:
    """Runs one authorized plan. The log says that it started before anything is sent, and how it ended.

    Raises LoadError 304 if somebody has stopped the load of the run.
    """
    directory = run_directory(settings.workspace_root(), cycle.run)
    require_not_pulled(directory)
    started = len(cycle.store.of_type(EntryType.LOADTEST_STARTED))
    check_authorized(plan, authorization=allowed, tests_so_far=started, now=now())
    facts = {"scenario": plan.scenario.value, "target": endpoint.instance, "plan_sha256": plan.digest, "test": started + 1}
    cycle.record(EntryType.LOADTEST_STARTED, {**facts, "plan": plan.document()})
    run = LoadHook(directory).run(plan, locustfile=locustfile, injections=injections)
    completed = run.summary.outcome is Outcome.COMPLETED
    kind = EntryType.LOADTEST_FINISHED if completed else EntryType.LOADTEST_ABORTED
    cycle.record(kind, {**facts, "outcome": run.summary.outcome.value, "reason": run.summary.reason, "build": run.summary.build})
    return run


@contextmanager
def _harm(failure: Failure, endpoint: Endpoint, *, where: str) -> Iterator[Sequence[Injection]]:
    """The injections of the failure scenario; its fault is over when the block is left."""
    from perfproof_airflow.hooks.database import dsn_of
    from perfproof_airflow.hooks.fault import harm_of

    harm = harm_of(failure, dsn=lambda: dsn_of(endpoint.database_connection, where=where))
    harm.ready()
    try:
        yield [Injection(at_second=failure.fault_at_second, action=harm.begin)]
    finally:
        # A fault of a proxy ends by itself too.
        with suppress(LoadError):
            harm.end()


def run_scenario(cycle: Cycle, scenario: str, *, side: str, name: str) -> dict[str, Any]:
    """Publishes the document of one scenario on one side, with its rows."""
    from perfproof.load.recovery import failure_outcome
    from perfproof.load.rows import read_rows
    from perfproof.load.verdict import summarise

    service = target_service(cycle)
    endpoint = endpoint_of(service, side)
    allowed = authorization(cycle)

    def produce() -> dict[str, Any]:
        plan = plan_for(
            Scenario(scenario),
            service=service,
            endpoint=endpoint,
            environment=cycle.protocol.environment,
            profile=cycle.profile,
            load=cycle.protocol.load,
            seed=seed_of(cycle, side, scenario),
        )
        failure = cycle.profile.failure
        harm = _harm(failure, endpoint, where=f"{service.name}.endpoints.{side}") if scenario == Scenario.FAILURE else nullcontext(())
        with target_lock(endpoint), harm as injections:
            run = send(cycle, plan, allowed=allowed, endpoint=endpoint, injections=injections)
        rows = cycle.publish(name.removesuffix(".json") + "-rows.csv.gz", lambda: run.rows, per_try=True)
        kept = read_rows(run.rows, where=name)
        fault = None
        if run.injected_at:
            fault = failure_outcome(
                kept,
                plan=plan,
                fault=failure.fault.value,
                injected_at=run.injected_at[0],
                recover_within_seconds=failure.recover_within_seconds,
                lasts_seconds=failure.fault_seconds,
            )
        return summarise(
            kept,
            plan=plan,
            summary=run.summary,
            service=service.name,
            endpoint=side,
            rows_reference=cycle.source(rows),
            fault=fault,
        )

    return cycle.publish(name, produce)


def run_journeys(cycle: Cycle, *, side: str, name: str) -> dict[str, Any]:
    """Publishes the document of the profile's journeys on one side, with their rows and the file that was run."""
    from perfproof.load.journey_results import summarise_journeys
    from perfproof.load.rows import read_rows
    from perfproof_airflow.hooks.workspace import Workspace
    from perfproof_airflow.load_engine_locust.journeys_file import MAX_FILE, require_digest

    service = target_service(cycle)
    endpoint = endpoint_of(service, side)
    allowed = authorization(cycle)

    def produce() -> dict[str, Any]:
        plan = journey_plan_for(
            service=service, endpoint=endpoint, environment=cycle.protocol.environment, profile=cycle.profile, load=cycle.protocol.load
        )
        content = Workspace(settings.workspace_root()).read(plan.file, limit=MAX_FILE)
        require_digest(plan, content)
        file = cycle.publish(name.removesuffix(".json") + "-file.py", lambda: content, per_try=True)
        with target_lock(endpoint):
            run = send(cycle, plan, allowed=allowed, endpoint=endpoint, locustfile=content)
        rows = cycle.publish(name.removesuffix(".json") + "-rows.csv.gz", lambda: run.rows, per_try=True)
        document = summarise_journeys(
            read_rows(run.rows, where=name),
            plan=plan,
            summary=run.summary,
            service=service.name,
            endpoint=side,
            rows_reference=cycle.source(rows),
        )
        return {**document, "file": {"path": plan.file, **cycle.source(file)}}

    return cycle.publish(name, produce)


def observed_peaks(cycle: Cycle, services: Collection[str]) -> list[dict[str, Any]]:
    """The tested peak of each service against the highest rate that its baseline window saw."""
    from perfproof.load.observed_peak import comparison, peak_of_baseline

    found = []
    for name in sorted(services):
        service, evidence = cycle.protocol.service(name), f"evidence/baseline-{name}.json"
        document = cycle.document(evidence) if cycle.store.live(evidence) is not None else None
        found.append(comparison(name, cycle.profile.peak.rate, peak_of_baseline(service, document)))
    return found


def require_stable(documents: Sequence[Mapping[str, Any]]) -> None:
    """Raises LoadError for tests that were cut short or a service that did not come back: the environment is unstable."""
    unstable = [f"{d['scenario']}: {d['aborted']}" for d in documents if d["aborted"] and not d["valid"]]
    for document in documents:
        fault = document.get("fault")
        if fault and not fault["recovered"]:
            unstable.append(f"{document['scenario']}: not recovered {fault['recover_within_seconds']:g} s after {fault['fault']}")
    if unstable:
        raise LoadError(
            404,
            where="load tests",
            what="the environment is unstable",
            got="; ".join(unstable),
            fix="mitigate it, then clear run_load_tests",
        )
