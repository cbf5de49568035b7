"""Recorded answers in place of everything that a cycle waits for: load, profiler, fault, people.

`install` is called in the scheduler, before it forks; so the tasks find these. Everything else in a task is what it always is: evidence,
protocol file, telemetry over HTTP, the judge, the checks, signed acts. The load's rows are as many as the plan says, at the moments that it
says; each answer took what a seeded draw says, the candidate's a quarter of the baseline's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

STACKS = """\
MainThread;serve;do_GET;orders_by_scanning 820
MainThread;serve;do_GET;read_order 90
MainThread;serve;do_GET;dumps 60
MainThread;serve;accept 30
"""
SECONDS = {"baseline": 0.060, "candidate": 0.015}
REQUESTS: dict[str, Any] = {}


def install(*, candidate_port: int) -> None:
    """Replaces what waits, in this process and in all that are forked of it."""
    from perfproof_airflow.hooks import fault, load, profiler
    from perfproof_airflow.sensors import approval

    def run_load(_: Any, plan: Any, *, injections: Sequence[Any] = (), **more: Any) -> Any:  # noqa: ARG001
        return recorded_load(plan, candidate=plan.port == candidate_port, injections=injections)

    load.LoadHook.run = run_load  # type: ignore[method-assign,assignment]
    profiler.ProfilerHook.record = recorded_profile  # type: ignore[method-assign]
    fault.harm_of = no_harm
    for name, answer in (("open_run", open_run), ("read_states", read_states), ("read_act_of", read_act_of)):
        setattr(approval, name, answer)
    approval.ApprovalSensor._proceed = answered_at_once(approval.ApprovalSensor._proceed)  # type: ignore[method-assign,assignment]


def no_harm(failure: Any, *, dsn: Any) -> Any:  # noqa: ARG001
    """A fault that does nothing."""
    from perfproof_airflow.hooks.fault import Harm

    return Harm(ready=lambda: None, begin=lambda: None, end=lambda: None)


def recorded_load(plan: Any, *, candidate: bool, injections: Sequence[Any]) -> Any:
    """What a load test would have left, at once."""
    from perfproof.load.rows import make_rows, write_rows
    from perfproof.load.summary import GENERATOR, GeneratorSummary, Outcome
    from perfproof.moments import stamp
    from perfproof_airflow.hooks.load import LoadRun

    for injection in injections:
        injection.action()
    draw = random.Random(plan.seed)
    seconds = SECONDS["candidate" if candidate else "baseline"]
    names = [transaction.name for transaction in plan.transactions]
    due: list[float] = []
    begin = 0.0
    for stage in (*plan.warmup_stages, *plan.stages):
        due += [begin + stage.seconds * place / stage.requests for place in range(stage.requests)]
        begin += stage.seconds
    end = [moment + draw.gammavariate(20, seconds / 20) for moment in due]
    rows = make_rows(intended_start=due, start=due, end=end, status=[200] * len(due), transaction=[draw.choice(names) for _ in due])
    build = "2" if candidate else "1"
    summary = GeneratorSummary(
        outcome=Outcome.COMPLETED, reason=None, started_at=stamp(datetime.now(UTC)), seconds=plan.duration, cpu_percent=10.0,
        planned=plan.total_requests, sent=len(due), dropped=0, build=build, build_after=build, plan_sha256=plan.digest,
        generator=f"{GENERATOR}, recorded",
    )  # fmt: skip
    return LoadRun(write_rows(rows), summary, tuple(plan.warmup_seconds + injection.at_second for injection in injections))


def recorded_profile(self: Any, *, seconds: float, rate_hz: int, nonblocking: bool = False) -> Any:  # noqa: ARG001
    """What py-spy would have written."""
    from perfproof_airflow.hooks.py_spy import Recording

    return Recording(collapsed=STACKS, pid=1, seconds=seconds, rate_hz=rate_hz, profiler="recorded", errors=0)


def answered_at_once(proceed: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A sensor that looks again instead of parking: everybody has answered meanwhile."""

    def twice(self: Any, context: Any) -> Any:
        from airflow.sdk.exceptions import TaskDeferred

        try:
            return proceed(self, context)
        except TaskDeferred:
            return proceed(self, context)

    return twice


def open_run(request: Any) -> bool:
    """Keeps the request in place of a run of `performance_approvals`."""
    REQUESTS[request.request_id] = request
    return True


def read_states(run_ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
    """Every task of a request is marked success."""
    return {name: {f"approve_{i}": "success" for i in range(len(REQUESTS[name].roles))} for name in run_ids if name in REQUESTS}


def read_act_of(request: Any, *, role: str) -> Any:
    """The act of the first person who holds the role, signed with this Airflow's key."""
    from perfproof.approvals import Act, Channel, sign
    from perfproof.moments import stamp
    from perfproof_airflow.api.signing_key import worker_key

    key, person = worker_key(), request.question.role(role).people[0]
    act = Act(
        actor_id=person.id, actor_name=person.name, state="success", dag_id="performance_approvals", run_id=request.request_id,
        task_id="approve", map_index=request.map_index_of(role), ti_id="recorded", try_number=1, time=stamp(datetime.now(UTC)),
        note="change 2", decision=None, channel=Channel.MARK, conf_sha256=request.sha256, key_id=key.id,
    )  # fmt: skip
    return sign(act, key=key)
