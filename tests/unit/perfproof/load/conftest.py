"""A plan, its rows when everything goes well, and what the generator then says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfproof.config import Abort, Protocol, Span, Target, Transaction, load_protocol
from perfproof.load.arrivals import schedule_of
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.rows import Rows, make_rows
from perfproof.load.summary import GeneratorSummary, Outcome


@pytest.fixture
def demo() -> Protocol:
    """The protocol file that ships with the package."""
    path = Path(__file__).resolve().parents[4] / "include" / "protocols" / "demo.yaml"
    return load_protocol(path.read_bytes(), where="demo.yaml")


@pytest.fixture
def plan() -> LoadPlan:
    """40 requests/s for 10 s after 1 s of warm-up."""
    return LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host="127.0.0.1",
        port=8001,
        build_path="/build",
        environment="test",
        stages=(Stage(40, 10),),
        warmup_seconds=1,
        transactions=(
            Transaction("orders", "GET", "/customers/{customer}/orders", 0.7, parameters={"customer": Span(5, 9)}),
            Transaction("quote", "GET", "/quote", 0.3),
        ),
        seed=11,
        max_in_flight=100,
        timeout_seconds=5,
        abort=Abort(50, 1000, 5),
        allow=(Target("127.0.0.1", 8001),),
    )


@pytest.fixture
def rows_of() -> Callable[..., Rows]:
    """Makes the rows of a plan: each request starts `late_ms` after it was due and takes what `latency_ms(due)` says."""

    def make(
        plan: LoadPlan,
        *,
        latency_ms: Callable[[float], float] = lambda _: 20.0,
        status: Callable[[float], int] = lambda _: 200,
        late_ms: float = 1.0,
        until: float = np.inf,
    ) -> Rows:
        schedule = schedule_of(plan)
        due = [d for d in schedule.due.tolist() if d < until]
        codes = [status(d) for d in due]
        return make_rows(
            intended_start=due,
            start=[d + late_ms / 1000 if c != -1 else np.nan for d, c in zip(due, codes, strict=True)],
            end=[d + late_ms / 1000 + latency_ms(d) / 1000 if c != -1 else np.nan for d, c in zip(due, codes, strict=True)],
            status=codes,
            transaction=[plan.transactions[i].name for i in schedule.transaction[: len(due)]],
        )

    return make


@pytest.fixture
def summary_of() -> Callable[..., GeneratorSummary]:
    """Makes a summary of a plan that went well; named arguments replace its fields."""

    def make(plan: LoadPlan, **changes: Any) -> GeneratorSummary:
        fields: dict[str, Any] = {
            "outcome": Outcome.COMPLETED,
            "reason": None,
            "started_at": "2025-02-16T14:00:00Z",
            "seconds": plan.duration,
            "cpu_percent": 20.0,
            "planned": plan.total_requests,
            "sent": plan.total_requests,
            "dropped": 0,
            "build": "b1",
            "build_after": "b1",
            "plan_sha256": plan.digest,
            "generator": "test",
        }
        return GeneratorSummary(**{**fields, **changes})

    return make
