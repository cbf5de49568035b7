"""
### Protocol 18: Performance Optimization & Tuning

One run is one optimization cycle. **Trigger it** with the button above; every field of the form has a working default.

**To approve**, choose *Required Actions* on the start page, or open the waiting run of `performance_approvals`: answer the
form, or mark the task success. A gate that does not pass asks for a decision there: retry, waiver or halt.

1. **prerequisites** checks the supplied artifacts and the system state, and waits for three approvals.
2. **intake_and_baseline** (phase 1) reads telemetry, captures the baseline, formulates hypotheses. *Gate 1.*
3. **diagnostics** (phase 2) profiles, explains queries, sends authorized load, analyzes capacity. *Gate 2.*
4. **optimization** (phase 3) plans, waits for approval and implementation, measures baseline and candidate in
   interleaved blocks. *Gate 3.*
5. **governance** (phase 4) proposes SLO updates, waits for their approval, publishes the report. *Gate 4*, handoff.

A halted task says what is missing; clear it to go on.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import Param, dag

from perfproof_airflow.phases.completion import completion
from perfproof_airflow.phases.diagnostics import diagnostics
from perfproof_airflow.phases.governance import governance
from perfproof_airflow.phases.intake_and_baseline import intake_and_baseline
from perfproof_airflow.phases.optimization import optimization
from perfproof_airflow.phases.prerequisites import prerequisites
from perfproof_airflow.settings import default_protocol

# The last part refuses a line break at the end, which `$` alone lets pass in Python.
IDENTIFIER = "^[a-z][a-z0-9._-]{0,63}$(?!\n)"
ITEMS = {"type": "string", "maxLength": 64}
# The form demands a value of every field whose type has no "null", whatever its default is.

PARAMS = {
    "protocol": Param(
        default_protocol(), type="string", title="Protocol file", pattern=IDENTIFIER,
        description="Name of a protocol file (without .yaml) in the protocols directory.",
    ),
    "environment": Param(
        "", type=["string", "null"], title="Environment", maxLength=64,
        description="Test environment to measure in. Empty: the one that the protocol file names.",
    ),
    "services": Param(
        [], type=["array", "null"], title="Services", items=ITEMS, uniqueItems=True,
        description="Prioritized services, one name a line. Empty: every service of the protocol file.",
    ),
    "objective": Param(
        "", type=["string", "null"], title="Objective", maxLength=500,
        description="What this cycle shall achieve, in a sentence. The product owner is asked to prioritize it.",
    ),
    "target_metric": Param(
        "", type=["string", "null"], title="Target metric", maxLength=64,
        description="Metric that must improve by at least 15 %. Empty: the target metric of the protocol file.",
    ),
    "optimizations": Param(
        [], type=["array", "null"], title="Optimizations to consider", items=ITEMS, uniqueItems=True,
        description="Ids like OPT-001, one a line. Empty: every optimization that the findings support.",
    ),
    "load_profile": Param(
        "", type=["string", "null"], title="Load profile", maxLength=64,
        description="Rates and durations of all load. Empty: the first profile of the protocol file.",
    ),
}  # fmt: skip


@dag(
    schedule=None,
    start_date=datetime(2025, 1, 1),  # noqa: DTZ001  Airflow reads it as UTC
    catchup=False,
    is_paused_upon_creation=False,
    # A cycle that waits for people is an active run too. What loads a target is bounded by the lease on it, and tasks by pools.
    max_active_runs=1000,
    params=PARAMS,
    doc_md=__doc__,
    tags=["perfproof", "protocol-18"],
)
def performance_optimization() -> None:
    before = prerequisites()
    first = intake_and_baseline(before)
    second = diagnostics(before, first)
    third = optimization(first, second)
    done = governance(third)
    [done, third["rolled_back"]] >> completion()


performance_optimization()
