"""Over the cycles: what each gained, and what was promised against what was found."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from perfproof_airflow.web.page import Page, show
from perfproof_airflow.web.reading import ReaderDep
from perfproof_airflow.web.security import ViewerDep

router = APIRouter()
KEPT = {"kept": ("Kept", "good"), "short": ("Fell short", "bad"), "undecided": ("Undecided", "warning"), "unknown": ("Unknown", "neutral")}


@router.get("/trends")
def trends(request: Request, viewer: ViewerDep, reader: ReaderDep) -> Response:
    """Improvement by cycle, the newest first, and every validated promise."""
    found = reader.trends()
    # `perfproof.cycles.series_svg` drew them from numbers and escaped text.
    pictures = {key: Markup(found[key]) if found[key] else None for key in ("improvement_svg", "gains_svg")}  # noqa: S704  # nosec B704
    content = {
        "improvements": list(reversed(found["improvements"])),
        "records": list(reversed(found["gains"]["records"])),
        "by_cause": found["gains"]["by_cause"],
        "kept": KEPT,
        **pictures,
    }
    return show(request, Page("trends.html.jinja", "Trends over cycles", content, here="trends"), viewer=viewer)
