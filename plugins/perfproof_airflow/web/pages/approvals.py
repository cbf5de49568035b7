"""What waits for whom, now: the viewer's own first."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from perfproof_airflow.web.cards import card
from perfproof_airflow.web.page import Page, show
from perfproof_airflow.web.reading import NowDep, ReaderDep
from perfproof_airflow.web.security import ViewerDep

router = APIRouter()
MOST = 200


@router.get("/approvals")
def approvals(request: Request, viewer: ViewerDep, reader: ReaderDep, now: NowDep) -> Response:
    """Every open request, oldest first."""
    cards = [card(one["approval"], viewer=viewer, now=now, cycle=one["cycle"]) for one in reader.waiting(limit=MOST)]
    content = {
        "mine": [one for one in cards if one.mine],
        "others": [one for one in cards if not one.mine],
        "most": MOST if len(cards) >= MOST else None,
        "now": now,
    }
    return show(request, Page("approvals.html.jinja", "Waiting approvals", content, here="approvals"), viewer=viewer)
