"""How a service came through an injected fault."""

from __future__ import annotations

from typing import Any

from perfproof.load.plan import LoadPlan
from perfproof.load.rows import Rows

# Fewer good answers than this after the last failure could be luck.
MIN_PROOF_OF_RECOVERY = 10


def failure_outcome(rows: Rows, *, plan: LoadPlan, fault: str, injected_at: float, recover_within_seconds: float) -> dict[str, Any]:
    """How the service came through `fault`, injected `injected_at` seconds after the test began (warm-up included).

    It has recovered once no request fails any more: `recovered_after_seconds` is from the injection to the end of the
    last failed request, None when too few requests succeeded after it to tell.
    """
    after = rows.where(rows.sent & (rows.end >= injected_at))
    failed = after.where(~after.ok)
    last = float(failed.end.max()) if len(failed) else injected_at
    proof = int(after.where(after.ok & (after.intended_start >= last)).sent.sum())
    took = round(last - injected_at, 3) if proof >= MIN_PROOF_OF_RECOVERY else None
    return {
        "fault": fault,
        "at_second": round(injected_at - plan.warmup_seconds, 3),
        "errors_during": len(failed),
        "recovered_after_seconds": took,
        "recover_within_seconds": recover_within_seconds,
        "recovered": took is not None and took <= recover_within_seconds,
        "requests_after_recovery": proof,
    }
