"""One cycle: where it stands, what it waits for, its gates, its time line, its evidence, and whether that is what was committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from threading import Lock
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from perfproof.errors import ConfigError
from perfproof.evidence.names import is_run
from perfproof_airflow import settings
from perfproof_airflow.load_engine import stop_lever
from perfproof_airflow.web.cards import card
from perfproof_airflow.web.page import Page, show
from perfproof_airflow.web.reading import NowDep, ReaderDep, verification_of
from perfproof_airflow.web.security import ViewerDep

router = APIRouter()
GROUPS = {
    "artifact": "Artifacts of the protocol",
    "gate": "Results of the gates",
    "supporting": "Documents beside them",
    "evidence": "Evidence",
    "approval": "Records of approvals",
}
# A verification reads and hashes everything: one at a time, and nobody waits in a thread that the api-server shares.
_verifying = Lock()


@router.get("/cycles/{run}")
def cycle(request: Request, viewer: ViewerDep, reader: ReaderDep, now: NowDep, run: str) -> Response:
    """The page of a cycle. It refreshes itself while the cycle can still move."""
    found = reader.cycle(run)
    summary = found["summary"]
    cards = [card(approval, viewer=viewer, now=now) for approval in found["approvals"]]
    content = {
        "cycle": summary,
        "live": summary["ended_at"] is None,
        "stopped": why_stopped(run) if summary["ended_at"] is None else None,
        "open_cards": [one for one in cards if one.approval["state"] == "open"],
        "other_cards": [one for one in reversed(cards) if one.approval["state"] != "open"],
        "gates": gates(found["timeline"], summary),
        "phases": found["timeline"]["phases"],
        "groups": [(GROUPS.get(key, key), list(some)) for key, some in groupby(found["artifacts"], key=lambda one: str(one["group"]))],
        "now": now,
    }
    title = summary["objective"] or summary["run_id"] or run
    return show(request, Page("cycle.html.jinja", title, content, here="cycles"), viewer=viewer)


@router.get("/cycles/{run}/verify")
def verify(request: Request, viewer: ViewerDep, reader: ReaderDep, run: str) -> Response:
    """Reads all evidence of the cycle and says whether it is what was committed."""
    summary = reader.summary(run)
    if not _verifying.acquire(blocking=False):
        raise HTTPException(503, "A verification is running. Reload the page in a moment.")
    try:
        result = verification_of(run)
    finally:
        _verifying.release()
    content = {"cycle": summary, "result": result}
    return show(request, Page("verify.html.jinja", "Verification of the evidence", content, here="cycles"), viewer=viewer)


def why_stopped(run: str) -> str | None:
    """Why the load of the run was stopped and may not go on; None if it was not, or if the workspace cannot be seen from here."""
    if not is_run(run):
        return None
    try:
        return stop_lever.reason_of(stop_lever.run_directory(settings.workspace_root(), run))
    except ConfigError:
        return None


def gates(timeline: Mapping[str, Any], summary: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Each gate: the outcome that counts, its last evaluation (None without one), what was decided since, how often it was evaluated."""
    evaluations: dict[Any, list[Mapping[str, Any]]] = {}
    decisions: dict[Any, Mapping[str, Any] | None] = {}
    for phase in timeline["phases"]:
        for item in phase["items"]:
            if item["kind"] == "gate":
                evaluations.setdefault(item["gate"], []).append(item)
                decisions[item["gate"]] = None
            elif item["kind"] == "decision":
                decisions[item["gate"]] = item
    return [
        {
            "gate": row["gate"],
            "name": row["name"],
            "outcome": row["outcome"],
            "last": next(reversed(evaluations.get(row["gate"], [])), None),
            "decision": decisions.get(row["gate"]),
            "times": len(evaluations.get(row["gate"], [])),
        }
        for row in summary["gates"]
    ]
