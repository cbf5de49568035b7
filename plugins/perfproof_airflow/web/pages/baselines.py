"""The history of the recurring captures: every metric over time, what changed in it, and what was deployed or went wrong then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from markupsafe import Markup

from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED, Acknowledged
from perfproof.errors import PerfproofError
from perfproof.pages.acknowledgements import acknowledged_in
from perfproof_airflow.captures import acknowledged_changes
from perfproof_airflow.web.page import Page, show
from perfproof_airflow.web.reading import ReaderDep
from perfproof_airflow.web.security import ViewerDep

router = APIRouter()
SHOWN_POINTS = 50


@router.get("/baselines")
def baselines(request: Request, viewer: ViewerDep, reader: ReaderDep, protocol: str = "", service: str = "", metric: str = "") -> Response:
    """The history of one protocol (the first, if none is named); `service` and `metric` narrow it."""
    protocols = reader.protocols_with_history()
    if protocol and protocol not in protocols:
        raise HTTPException(404, "There is no history of captures of such a protocol.")
    chosen = protocol or next(iter(protocols), "")
    history = reader.baselines(chosen) if chosen else None
    content: dict[str, Any] = {
        "protocols": protocols, "chosen": chosen, "history": history, "series": [], "service": service, "metric": metric,
        "services": [], "problem": None, "changes": [],
    }  # fmt: skip
    if history is not None:
        accepted, content["problem"] = _acknowledged(chosen)
        words = acknowledged_in(history, accepted)
        found = [_series(one, words) for one in history["series"]]
        content["services"] = sorted({one["service"] for one in found})
        wanted = [one for one in found if not service or one["service"] == service]
        content["series"] = [one for one in wanted if metric.casefold() in one["metric"].casefold()]
        content["changes"] = [_change(one, words) for one in history["changes"]]
    return show(request, Page("baselines.html.jinja", "History of baselines", content, here="baselines"), viewer=viewer)


def _series(one: Mapping[str, Any], words: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    return {
        **one,
        # `perfproof.cycles.series_svg` drew it from numbers and escaped text.
        "svg": Markup(one["svg"]),  # noqa: S704  # nosec B704
        "changes": [_change(change, words) for change in one["changes"]],
        "newest": list(reversed(one["points"][-SHOWN_POINTS:])),
    }


def _change(change: Mapping[str, Any], words: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    return {**change, "acknowledged": words.get((change["series"], change["at"]))}


def _acknowledged(protocol: str) -> tuple[Acknowledged, str | None]:
    """What is accepted, or why that could not be read: then nothing counts as accepted."""
    try:
        return acknowledged_changes(protocol), None
    except PerfproofError as problem:
        return NOTHING_ACKNOWLEDGED, str(problem)
