"""Whether the approvals in a log hold, for somebody who was not there: the decisions, the waivers, and the steps that needed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from perfproof.approvals.act_keys import read_act_keys
from perfproof.approvals.keys import SigningKey
from perfproof.approvals.proof_of_decisions import Origin, prove_decisions
from perfproof.approvals.proof_of_steps import inspect_steps
from perfproof.errors import PerfproofError
from perfproof.evidence.inspection import tampered
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.verdict import Finding
from perfproof.waivers.proof import inspect_waivers

__all__ = ["inspect_approvals", "read_act_keys"]


def inspect_approvals(store: EvidenceStore, *, keys: Mapping[str, SigningKey] | None = None) -> Iterator[Finding]:
    """What does not hold: requests and decisions, waivers, and protected steps that were taken without their approvals.

    With `keys` each act must be signed by one of them; without, everything about an act is checked but its signature.
    """
    try:
        origin = Origin.of(store)
    except PerfproofError as error:
        yield tampered("genesis", f"approvals cannot be checked: {error.where}: {error.what}")
        return
    proved = prove_decisions(store, origin, keys=keys)
    yield from proved.findings
    yield from inspect_waivers(store, origin, proved.decisions)
    yield from inspect_steps(store, origin, proved.decisions)
