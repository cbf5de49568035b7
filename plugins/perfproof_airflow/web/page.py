"""A page: its template, title and content, as HTML. Everything that is written into it is escaped and made visible."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perfproof import __version__
from perfproof import markdown as md
from perfproof_airflow.web import PREFIX, words
from perfproof_airflow.web.figures import duration, figure, moment
from perfproof_airflow.web.security import Viewer

NAVIGATION = (
    ("cycles", "Cycles", ()),
    ("approvals", "Approvals", ("approvals",)),
    ("baselines", "Baselines", ("baselines",)),
    ("trends", "Trends", ("trends",)),
    ("plan", "Plan a run", ("plan",)),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What to show. `here` is the entry of the navigation that the page belongs to, or empty."""

    template: str
    title: str
    content: Mapping[str, Any] = field(default_factory=dict)
    here: str = ""
    status: int = 200


def show(request: Request, page: Page, *, viewer: Viewer | None = None) -> HTMLResponse:
    """The page as an answer. `viewer` is None only for errors before the login is known."""
    places = Places(request.scope.get("root_path", ""))
    text = _environment().get_template(page.template).render(
        {
            "page": page,
            "viewer": viewer,
            "navigation": NAVIGATION,
            "url": places.page,
            "airflow": places.airflow,
            "version": __version__,
            "rendered_at": datetime.now(UTC),
            **page.content,
        }
    )  # fmt: skip
    return HTMLResponse(text, status_code=page.status)


class Places:
    """Addresses on this Airflow, whatever path it is served below."""

    def __init__(self, root_path: str) -> None:
        self._own = root_path.rstrip("/")
        self._airflow = self._own.removesuffix(PREFIX)

    def page(self, *parts: object, **query: object) -> str:
        """The address of a page of ours: `url("cycles", run)`. Each part is one segment, except that a name keeps its slashes."""
        path = "/".join(quote(str(part), safe="/") for part in parts)
        given = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{self._own}/{path}" + (f"?{urlencode(given)}" if given else "")

    def airflow(self, *parts: object, **query: object) -> str:
        """The address of a page of Airflow: `airflow("dags", dag_id, "runs", run_id)`."""
        path = "/".join(quote(str(part), safe="") for part in parts)
        return f"{self._airflow}/{path}" + (f"?{urlencode(query)}" if query else "")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("perfproof_airflow.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(moment=moment, duration=duration, figure=figure)
    environment.globals.update(words=words, word=words.word, step_name=words.step_name, loop_key=short_key, kind_class=kind_class)
    return environment


def short_key(text: object) -> str:
    """Eight digits that tell one request from another in the ids of a page."""
    return hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def kind_class(kind: object) -> str:
    """The kind of a fact as part of a class of the style sheet: one of our own, or `note`."""
    return str(kind) if str(kind) in words.ITEM_KINDS else "note"


def _visible(value: Any) -> Any:
    """What is written for `value`: a dash for nothing, characters that hide or turn text around as escapes."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return md.visible(value) if isinstance(value, str) else value
