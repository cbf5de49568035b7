"""A CSV file as one page of a table."""

from __future__ import annotations

import csv
import io

from perfproof.pages.blocks import Content, Table
from perfproof.pages.plain_text import CUT, decoded, text_content

# A page is this long at most, and shorter where a table is so wide that it would hold more cells than this.
ROWS, CELLS = 200, 2000
FEWEST_ROWS = 25
MAX_BYTES = 4 * 1024 * 1024
MAX_COLUMNS = 40
MAX_CELL = 200


def csv_content(data: bytes, *, page: int, notes: tuple[str, ...] = ()) -> Content:
    """Page `page` (from 1) of the rows below the header; as text where it is no table or a cell is larger than 128 KB."""
    text, cut = decoded(data, most=MAX_BYTES)
    try:
        # A file that was cut ends in half a row.
        rows = list(csv.reader(io.StringIO(text.rpartition("\n")[0] if cut else text, newline="")))
    except csv.Error as problem:
        return text_content(data, notes=(*notes, f"Shown as text: it could not be read as a table ({problem})."))
    if not rows or not rows[0]:
        return text_content(data, notes=notes)
    header, body = rows[0], rows[1:]
    width = max(map(len, rows))
    columns = min(width, MAX_COLUMNS)
    length = max(FEWEST_ROWS, min(ROWS, CELLS // columns))
    pages = max(1, -(-len(body) // length))
    page = min(max(page, 1), pages)
    first = (page - 1) * length
    said = [*notes]
    if cut:
        said.append(CUT)
    if width > columns:
        said.append(f"{width} columns, {columns} are shown; the download has all of them.")
    told = f"Rows {first + 1:,} to {min(first + length, len(body)):,} of {len(body):,}" if body else "No row below the header"
    table = Table(
        tuple(_cell(header, place) or f"column {place + 1}" for place in range(columns)),
        tuple(tuple(_cell(row, place) for place in range(columns)) for row in body[first : first + length]),
        told + (" that were read" if cut else ""),
    )
    return Content((table,), tuple(said), page, pages)


def _cell(row: list[str], place: int) -> str:
    text = row[place] if place < len(row) else ""
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
