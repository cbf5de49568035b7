"""How a service came through an injected fault."""

from __future__ import annotations

from typing import Any

from perfproof.load.figures import percentiles
from perfproof.load.plan import LoadPlan
from perfproof.load.rows import Rows

# Fewer good answers than this after the last failure could be luck.
MIN_PROOF_OF_RECOVERY = 10


def failure_outcome(
    rows: Rows, *, plan: LoadPlan, fault: str, injected_at: float, recover_within_seconds: float, lasts_seconds: float = 0.0
) -> dict[str, Any]:
    """How the service came through `fault`, injected `injected_at` seconds after the test began (warm-up included).

    It has recovered once no request fails any more: `recovered_after_seconds` is from the end of the fault (it lasts
    `lasts_seconds`) to the end of the last failed request, None when too few requests succeeded after it to tell.
    Latencies are in ms, of the requests that were due while the fault lasted and after it.
    """
    over = injected_at + lasts_seconds
    after = rows.where(rows.sent & (rows.end >= injected_at))
    failed = after.where(~after.ok)
    last = max(over, float(failed.end.max())) if len(failed) else over
    proof = int(after.where(after.ok & (after.intended_start >= last)).sent.sum())
    took = round(last - over, 3) if proof >= MIN_PROOF_OF_RECOVERY else None
    return {
        "fault": fault,
        "at_second": round(injected_at - plan.warmup_seconds, 3),
        "errors_during": len(failed),
        "recovered_after_seconds": took,
        "recover_within_seconds": recover_within_seconds,
        "recovered": took is not None and took <= recover_within_seconds,
        "requests_after_recovery": proof,
        **_of_a_lasting_fault(rows, plan, injected_at, over),
    }


def _of_a_lasting_fault(rows: Rows, plan: LoadPlan, begin: float, end: float) -> dict[str, Any]:
    if end <= begin:
        return {}
    during, later = rows.between(begin, end), rows.between(end, plan.duration)
    return {
        "lasted_seconds": round(end - begin, 3),
        "latency_during": percentiles(during.latency_ms[during.sent]),
        "latency_after": percentiles(later.latency_ms[later.sent]),
    }
