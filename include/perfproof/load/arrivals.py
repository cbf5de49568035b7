"""When each request of a plan is due, and which request it is.

Arrivals are a Poisson process conditioned on its count: within a stage the planned number of requests falls on uniform
random moments. So gaps vary as independent users make them vary, while the offered rate is exact and a short test does
not miss its target by the luck of its draw. A stage with a curve is the same with a rate that changes. The mix is exact
too: each stage holds every transaction in its share (largest remainder), in random order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfproof.config import Transaction
from perfproof.load.curve import moments
from perfproof.load.plan import LoadPlan, Stage


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """`due` in seconds since the test began, rising; `transaction` is an index into the plan's; `paths` and `bodies` are ready to send.

    A body is None where the transaction has none.
    """

    due: NDArray[np.float64]
    transaction: NDArray[np.int64]
    paths: tuple[str, ...]
    bodies: tuple[bytes | None, ...]


def schedule_of(plan: LoadPlan) -> Schedule:
    """Every request of `plan` in order, warm-up first. The same plan gives the same schedule."""
    source = np.random.Generator(np.random.PCG64(plan.seed))
    spans, begin = [], 0.0
    for stage in plan.warmup_stages:
        spans.append((begin, stage))
        begin += stage.seconds
    begin = plan.warmup_seconds
    for stage in plan.stages:
        spans.append((begin, stage))
        begin += stage.seconds
    due, transactions = [], []
    for start, stage in spans:
        due.append(start + _arrivals(stage, np.sort(source.random(stage.requests))))
        mix = np.repeat(np.arange(len(plan.transactions)), _shares(plan.transactions, stage.requests))
        transactions.append(mix[np.argsort(source.random(stage.requests), kind="stable")])
    chosen = np.concatenate(transactions)
    requests = [_filled_in(plan.transactions[index], source) for index in chosen]
    return Schedule(np.concatenate(due), chosen, tuple(path for path, _ in requests), tuple(body for _, body in requests))


def _arrivals(stage: Stage, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return moments(stage.curve, shares) if stage.curve else shares * stage.seconds


def _shares(transactions: tuple[Transaction, ...], count: int) -> NDArray[np.int64]:
    weights = np.array([t.weight for t in transactions])
    exact = weights / weights.sum() * count
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - shares), kind="stable")[: count - int(shares.sum())]
    shares[rest] += 1
    return shares


def _filled_in(transaction: Transaction, source: np.random.Generator) -> tuple[str, bytes | None]:
    """Path and body with each `{name}` of a parameter replaced; a parameter has one value in a request."""
    path, body = transaction.path, transaction.body
    for name, span in transaction.parameters.items():
        width = span.last - span.first + 1
        value = str(span.first + int(source.random() * width))
        path = path.replace(f"{{{name}}}", value)
        body = None if body is None else body.replace(f"{{{name}}}", value)
    return path, None if body is None else body.encode()
