"""Which way of showing an artifact belongs to its name. The content is not asked: others made it."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """How an artifact is shown."""

    MARKDOWN = "Markdown"
    JSON = "JSON"
    CSV = "CSV table"
    SVG = "picture"
    HTML = "HTML page"
    TEXT = "text"
    GZIP = "compressed file"
    ZIP = "archive"
    OTHER = "file"


_ENDINGS = (
    (".md", Kind.MARKDOWN),
    (".json", Kind.JSON),
    (".csv", Kind.CSV),
    (".svg", Kind.SVG),
    (".html", Kind.HTML),
    (".gz", Kind.GZIP),
    (".zip", Kind.ZIP),
    (".yaml", Kind.TEXT),
    (".yml", Kind.TEXT),
    (".txt", Kind.TEXT),
    (".jsonl", Kind.TEXT),
    (".sql", Kind.TEXT),
    (".diff", Kind.TEXT),
    (".patch", Kind.TEXT),
    (".log", Kind.TEXT),
)
# What a browser is told of a download. Nothing here is ever run: each is served under a sandbox and as an attachment.
_MEDIA_TYPES = {
    Kind.MARKDOWN: "text/markdown; charset=utf-8",
    Kind.JSON: "application/json",
    Kind.CSV: "text/csv; charset=utf-8",
    Kind.SVG: "image/svg+xml",
    Kind.HTML: "text/html; charset=utf-8",
    Kind.TEXT: "text/plain; charset=utf-8",
    Kind.GZIP: "application/gzip",
    Kind.ZIP: "application/zip",
    Kind.OTHER: "application/octet-stream",
}
# These may be shown as they are, below a sandbox.
INLINE = frozenset((Kind.SVG, Kind.HTML))


def kind_of(name: str) -> Kind:
    """The kind of the artifact `name`."""
    return next((kind for ending, kind in _ENDINGS if name.endswith(ending)), Kind.OTHER)


def media_type(kind: Kind) -> str:
    """The media type that a download of that kind is served with."""
    return _MEDIA_TYPES[kind]
