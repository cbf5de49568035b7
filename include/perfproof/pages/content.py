"""An artifact as it is shown, by its kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from perfproof.pages.blocks import Content, Paragraph, Rendered
from perfproof.pages.csv_rows import csv_content
from perfproof.pages.documents import known_document
from perfproof.pages.kinds import Kind, kind_of
from perfproof.pages.packed import MAX_UNPACKED, archive_content, unpacked
from perfproof.pages.plain_text import CUT, decoded, text_content
from perfproof.pages.rendered_markdown import Places, rendered_markdown

MAX_JSON = 8 * 1024 * 1024
MAX_MARKDOWN = 512 * 1024
# What a document that others shaped can break while it is shown: then it is shown as a tree.
SHAPE = (ArithmeticError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


def content_of(name: str, data: bytes, *, places: Places, page: int = 1, raw: bool = False) -> Content:
    """The blocks that show `data`, the content of the artifact `name`. Pictures and HTML have none: they are shown under a sandbox."""
    match kind_of(name):
        case Kind.MARKDOWN:
            return markdown_content(data, places=places)
        case Kind.JSON:
            return json_content(name, data, raw=raw)
        case Kind.CSV:
            return csv_content(data, page=page)
        case Kind.GZIP:
            return _unpacked(name, data, page=page)
        case Kind.ZIP:
            return archive_content(data)
        case Kind.SVG | Kind.HTML:
            return Content()
        case Kind.TEXT:
            return text_content(data)
        case Kind.OTHER:
            if _is_text(data):
                return text_content(data)
            return Content(notes=("It is no text, so nothing of it is shown; the download has it.",))


def markdown_content(data: bytes, *, places: Places) -> Content:
    """A Markdown file, rendered by our own code."""
    text, cut = decoded(data, most=MAX_MARKDOWN)
    return Content((Rendered(rendered_markdown(text, places=places)),), (CUT,) if cut else ())


def json_content(name: str, data: bytes, *, raw: bool = False) -> Content:
    """A JSON document: as tables and charts where it is known, as an indented tree otherwise."""
    if len(data) > MAX_JSON:
        return text_content(data, notes=("It is too large to be shown as a document.",))
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return text_content(data, notes=("It is no JSON, so it is shown as text.",))
    notes: tuple[str, ...] = ()
    if isinstance(document, Mapping) and not raw:
        try:
            blocks = known_document(name, document)
        except SHAPE:
            notes = ("It does not have the shape of a document of this name, so it is shown as it is.",)
        else:
            if blocks:
                return Content(blocks, raw_differs=True)
    try:
        tree = json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8", errors="backslashreplace")
    except SHAPE:
        return text_content(data, notes=notes)
    return text_content(tree, notes=notes)


def _unpacked(name: str, data: bytes, *, page: int) -> Content:
    found = unpacked(data)
    if found is None:
        return Content(notes=("It could not be unpacked; the download has it as it is.",))
    inner, cut = found
    if cut:
        notes: tuple[str, ...] = (f"Packed {len(data):,} bytes. Only the first {MAX_UNPACKED:,} bytes of what is inside were read.",)
    else:
        notes = (f"Packed {len(data):,} bytes, {len(inner):,} unpacked.",)
    match kind_of(name.removesuffix(".gz")):
        case Kind.CSV:
            return csv_content(inner.rpartition(b"\n")[0] if cut else inner, page=page, notes=notes)
        case Kind.MARKDOWN | Kind.JSON | Kind.TEXT:
            return text_content(inner, notes=notes)
        case _:
            return text_content(inner, notes=notes) if _is_text(inner) else Content((Paragraph("It is no text."),), notes)


def _is_text(data: bytes) -> bool:
    beginning = data[:4096]
    try:
        beginning.decode("utf-8")
    except UnicodeDecodeError as problem:
        # A character that the cut at 4096 bytes went through.
        return problem.start >= len(beginning) - 3 and b"\0" not in beginning
    return b"\0" not in beginning
