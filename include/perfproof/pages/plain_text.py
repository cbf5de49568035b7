"""Text of others, cut to what a page can bear."""

from __future__ import annotations

from perfproof.pages.blocks import Content, Listing

MAX_BYTES = 256 * 1024
MAX_LINES = 4000
MAX_LINE = 1000
CUT = "Only the beginning is shown; the download has all of it."


def decoded(data: bytes, *, most: int = MAX_BYTES) -> tuple[str, bool]:
    """The first `most` bytes as text, with a sign in place of what is no UTF-8, and whether anything was left out."""
    # A character may be cut in half at the end; it is no error of the file.
    text = data[:most].decode("utf-8", errors="replace")
    cut = len(data) > most
    return (text.rstrip("\ufffd") if cut else text), cut


def lines_of(text: str) -> tuple[str, bool]:
    """`text` with at most MAX_LINES lines of at most MAX_LINE characters each, and whether anything was left out."""
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    shown = [line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…" for line in lines[:MAX_LINES]]
    return "\n".join(shown), len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines[:MAX_LINES])


def text_content(data: bytes, *, notes: tuple[str, ...] = ()) -> Content:
    """The content as preformatted text."""
    text, cut = decoded(data)
    shown, shortened = lines_of(text)
    if not shown.strip():
        return Content(notes=(*notes, "It is empty."))
    return Content((Listing(shown),), (*notes, CUT) if cut or shortened else notes)
