"""Capacity: whether what waits is looked at, and whether tasks find a slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perfproof.doctor.finding import Area, Finding, ok, problem, unchecked

AREA = Area.CAPACITY
# Above this share, the approvals of a busy day no longer fit.
FULL = 0.8
# A load test holds a slot for minutes; the tasks that ask people and look at the answers need one beside it.
LEAST_SLOTS = 2
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of Airflow; `slots` -1 is without limit."""

    name: str
    slots: int
    include_deferred: bool
    deferred: int


@dataclass(frozen=True, slots=True)
class CapacityFacts:
    """None: not known, for the reason in `untold` under the field's name.

    `triggerers` are the hosts of those that are alive, `capacity` is how many triggers each runs, `deferred` how many tasks wait now.
    `unhealthy` are the components that the api-server does not hear of. `requests` are the open runs of the approvals' DAG,
    `most_requests` its `max_active_runs`.
    """

    triggerers: Sequence[str] | None = None
    capacity: int | None = None
    deferred: int | None = None
    pools: Sequence[Pool] | None = None
    parallelism: int | None = None
    unhealthy: Sequence[str] | None = None
    requests: int | None = None
    most_requests: int | None = None
    untold: Mapping[str, str] = field(default_factory=dict)


def judge_capacity(facts: CapacityFacts) -> Iterator[Finding]:
    """The findings about triggerers, pools, slots and requests."""
    for name, reason in facts.untold.items():
        yield unchecked(AREA, name.replace("_", " "), reason)
    yield from _components(facts)
    yield from _triggers(facts)
    for pool in facts.pools or ():
        yield from _pool(pool)
    if facts.parallelism is not None:
        where = "[core] parallelism"
        if 0 < facts.parallelism < LEAST_SLOTS:
            yield problem(
                AREA, 505, where=where, what="one task at a time: nothing asks or looks while a load test runs", got=facts.parallelism,
                expected=f"at least {LEAST_SLOTS}", fix=f"set it to {4 * LEAST_SLOTS} or more, and restart the scheduler",
            )  # fmt: skip
        else:
            yield ok(AREA, where, f"{facts.parallelism} tasks may run at once for each scheduler")
    yield from _requests(facts)


def _components(facts: CapacityFacts) -> Iterator[Finding]:
    for name in facts.unhealthy or ():
        yield problem(
            AREA, 507, where=name, what="the api-server has not heard of it for longer than its health threshold", got="unhealthy",
            expected="healthy", fix=f"start it, and read its log: airflow {name.replace('_', '-')}",
        )  # fmt: skip
    if facts.unhealthy is not None and not facts.unhealthy:
        yield ok(AREA, "components", "database, scheduler, triggerer and DAG processor are healthy")


def _triggers(facts: CapacityFacts) -> Iterator[Finding]:
    where = "triggerers"
    if facts.triggerers is None:
        return
    if not facts.triggerers:
        yield problem(
            AREA, 501, where=where, what="none is alive, so no answer is ever looked at", got=0, expected="at least 1",
            fix="start one: airflow triggerer",
        )  # fmt: skip
        return
    if facts.capacity is None or facts.deferred is None:
        return
    room = facts.capacity * len(facts.triggerers)
    if facts.deferred >= FULL * room:
        yield problem(
            AREA, 502, where="[triggerer] capacity", what="what waits does not fit, or hardly: marks beyond it seem to be ignored",
            got=f"{facts.deferred} waiting tasks, room for {room}", expected=f"less than {FULL:.0%} of the room",
            fix=f"set [triggerer] capacity to {max(1000, 4 * facts.deferred)} or start one more triggerer",
        )  # fmt: skip
    else:
        hosts = ", ".join(dict.fromkeys(facts.triggerers))
        yield ok(
            AREA,
            where,
            f"{len(facts.triggerers)} alive ({hosts}), room for {room} waits by this machine's configuration, {facts.deferred} now",
        )


def _pool(pool: Pool) -> Iterator[Finding]:
    where = f"pool {pool.name}"
    if pool.include_deferred:
        yield problem(
            AREA, 503, where=where, what="waiting tasks hold its slots, so a few approvals that wait stop everything",
            got=f"include_deferred, {pool.deferred} of {pool.slots} slots wait", expected="without deferred tasks",
            fix=f"clear Include Deferred of the pool under Admin > Pools: airflow pools set {pool.name} {max(pool.slots, 128)} ''",
        )  # fmt: skip
    if pool.slots != UNLIMITED and pool.slots < LEAST_SLOTS:
        yield problem(
            AREA, 504, where=where, what="too few slots for a cycle", got=pool.slots, expected=f"at least {LEAST_SLOTS}",
            fix=f"airflow pools set {pool.name} 128 ''",
        )  # fmt: skip
    elif not pool.include_deferred:
        yield ok(AREA, where, "without limit" if pool.slots == UNLIMITED else f"{pool.slots} slots, waiting tasks hold none")


def _requests(facts: CapacityFacts) -> Iterator[Finding]:
    if facts.requests is None or facts.most_requests is None:
        return
    where = "DAG performance_approvals"
    if facts.requests >= FULL * facts.most_requests:
        yield problem(
            AREA, 506, where=where, what="its open requests reach max_active_runs: further ones are not asked", got=facts.requests,
            expected=f"less than {FULL:.0%} of {facts.most_requests}",
            fix="have the oldest answered, or raise max_active_runs in performance_approvals.py",
        )  # fmt: skip
    else:
        yield ok(AREA, where, f"{facts.requests} open requests, {facts.most_requests} may be open")
