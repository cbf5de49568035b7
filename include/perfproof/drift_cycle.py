"""The cycle that a drift asks for: its run id, which the capture alone decides, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.parameters import MAX_OBJECTIVE

# Run ids to ask about: as many as can be open at once, and then some.
MOST_ASKED = 50


def drift_run_id(protocol: str, reported_by: str) -> str:
    """The run id of the cycle for what the capture `reported_by` was the first to report: one for one interval, however often it runs."""
    return f"drift__{protocol}__{reported_by}"


def drift_cycle(drifts: Sequence[Mapping[str, Any]], *, protocol: str, reported_by: str) -> dict[str, Any]:
    """{run_id, conf} of the cycle for `drifts` (items of `perfproof.intake_inbox`), at least one."""
    titles = [f"{drift['service']}: {drift['title']}" for drift in drifts]
    more = f" (and {len(titles) - 1} more)" if len(titles) > 1 else ""
    objective = f"Explain and mitigate the drift of {titles[0]}"[: MAX_OBJECTIVE - len(more)] + more
    return {"run_id": drift_run_id(protocol, reported_by), "conf": {"protocol": protocol, "objective": objective}}


def other_run_ids(offered: Sequence[Mapping[str, Any]], *, protocol: str, reported_by: str) -> list[str]:
    """The run ids of cycles that earlier drifts which are still offered asked for, newest last."""
    ids = dict.fromkeys(drift_run_id(protocol, item["reported_by"]) for item in offered if item["reported_by"] != reported_by)
    return list(ids)[-MOST_ASKED:]
