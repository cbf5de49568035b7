"""A dashboard of Grafana as it is exported: its title, and the expressions that its panels show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perfproof.inputs.shapes import refusal, require

MAX_PANELS = 1000
MAX_EXPRESSIONS = 500
MAX_EXPRESSION = 8192
# Rows hold panels; panels of panels do not go deeper in any version.
DEPTH = 3


def dashboard(document: Any, *, file: str, where: str) -> dict[str, Any]:
    """{name, file, panels: their number, expressions} of a dashboard; each expression once, in the order of the panels.

    Reads exports of the interface, answers of the API (`{"dashboard": …}`) and the rows of old versions. Targets without an `expr`
    ask other systems than Prometheus and have no expression here. Raises ArtifactError 330 without a title, 778 for panels that are
    none or too many.
    """
    inner = document.get("dashboard") if isinstance(document, dict) and "title" not in document else None
    board = require(inner if isinstance(inner, dict) else document, {"title": str}, where=where, number=330)
    panels = 0
    expressions: dict[str, None] = {}
    for panel in _panels(board, where, DEPTH):
        panels += 1
        if panels > MAX_PANELS:
            raise refusal(778, where, "too many panels", "split the dashboard", expected=f"at most {MAX_PANELS}")
        for target in _listed(panel, "targets", where):
            expression = target.get("expr")
            if isinstance(expression, str) and expression.strip() and len(expression) <= MAX_EXPRESSION:
                expressions[expression] = None
    return {"name": board["title"], "file": file, "panels": panels, "expressions": list(expressions)[:MAX_EXPRESSIONS]}


def _panels(holder: Mapping[str, Any], where: str, depth: int) -> Iterator[Mapping[str, Any]]:
    """The panels of a board or a row; a row itself shows nothing."""
    if depth == 0:
        raise refusal(778, where, "panels within panels within panels", "export the dashboard from Grafana")
    for row in _listed(holder, "rows", where):
        yield from _panels(row, where, depth - 1)
    for panel in _listed(holder, "panels", where):
        if panel.get("type") != "row":
            yield panel
        yield from _panels(panel, where, depth - 1)


def _listed(holder: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = holder.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise refusal(
            778, where, f"{key} of a dashboard that are none", "export the dashboard from Grafana", got=found, expected="a list of objects"
        )
    return found
