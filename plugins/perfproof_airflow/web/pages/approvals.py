"""What waits for whom, now: the viewer's own first."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from perfproof_airflow.web.cards import Card, card, could_answer
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.reading import NowDep, ReaderDep
from perfproof_airflow.web.security import ViewerDep

router = APIRouter()
MOST = 500
SIZE = 25


@router.get("/approvals")
def approvals(
    request: Request, viewer: ViewerDep, reader: ReaderDep, now: NowDep, number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1
) -> Response:
    """Every open request, those that the viewer can answer first and each part from the oldest on, 25 a page."""
    found = reader.waiting(limit=MOST)
    pages = max(1, -(-len(found) // SIZE))
    number = min(number, pages)
    first, end = (number - 1) * SIZE, number * SIZE
    mine: list[Card] = []
    # The rules take a millisecond each: they are asked about whoever could answer, and no further than this page shows.
    left = iter([one for one in found if could_answer(one["approval"], viewer=viewer, now=now)])
    for one in left:
        made = card(one["approval"], viewer=viewer, now=now, cycle=one["cycle"])
        mine += [made] if made.mine else []
        if len(mine) == end:
            break
    more = next(left, None) is not None
    own = {one.approval["request_id"] for one in mine}
    others = [one for one in found if one["approval"]["request_id"] not in own]
    shown = others[max(0, first - len(mine)) : max(0, end - len(mine))]
    content = {
        "mine": mine[first:end],
        "mine_total": f"{len(mine)} or more" if more else len(mine),
        "others": [card(one["approval"], viewer=viewer, now=now, cycle=one["cycle"]) for one in shown],
        "others_total": len(others),
        "number": number,
        "pages": pages,
        "address": partial(Places(request.scope.get("root_path", "")).page, "approvals"),
        "most": MOST if len(found) >= MOST else None,
        "now": now,
    }
    return show(request, Page("approvals.html.jinja", "Waiting approvals", content, here="approvals"), viewer=viewer)
