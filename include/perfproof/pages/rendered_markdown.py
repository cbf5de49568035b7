"""Markdown as HTML: headings, paragraphs, lists, quotes, tables, code, and links that lead nowhere harmful.

markdown-it reads; what is written is ours: an element only from the table below, never an attribute of the text's own, and whatever
else the text holds (raw HTML first of all) as text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

ELEMENTS = {
    "paragraph": "p",
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "blockquote": "blockquote",
    "em": "em",
    "strong": "strong",
    "thead": "thead",
    "tbody": "tbody",
    "tr": "tr",
    "th": "th",
    "td": "td",
}
# The page has its own h1, and h2 of its own around this.
HEADINGS = {"h1": "h3", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}
SCHEMES = frozenset(("http", "https"))
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,60}\](:[0-9]{1,5})?")
LOCAL = re.compile(r"(?:\./)?([A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)")
MAX_ADDRESS = 2000
# A cell with more characters than this keeps room for words on a narrow screen.
WORDS = 60


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses of evidence: `page` and `picture` of an artifact's name, None where there is none."""

    page: Callable[[str], str | None]
    picture: Callable[[str], str | None]


def rendered_markdown(text: str, *, places: Places) -> str:
    """`text` as HTML that is safe in a page. Links lead to http(s), with the host beside them, or to evidence; pictures are evidence."""
    return _Writer(places).blocks(_reader().parse(text.replace("\0", "\ufffd")))


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False}).enable("table")
    # What an address may be is decided where it is written.
    reader.validateLink = _any_address  # type: ignore[method-assign]
    reader.normalizeLink = str  # type: ignore[method-assign,assignment]
    return reader


def _any_address(url: str) -> bool:
    return isinstance(url, str)


class _Writer:
    def __init__(self, places: Places) -> None:
        self._places = places
        self._tables = 0
        self._heading = ""

    def blocks(self, tokens: Sequence[Token]) -> str:
        written: list[str] = []
        for place, token in enumerate(tokens):
            if token.type == "inline":
                written.append(self._inline(token.children or []))
            elif token.type in ("fence", "code_block"):
                written.append(f'<pre tabindex="0">{html.escape(shown(token.content.rstrip(chr(10)), lines=True))}</pre>')
            elif token.type == "hr":
                written.append("<hr>")
            elif token.type == "heading_open":
                self._heading = _text_of(tokens[place + 1])
                written.append(f"<{HEADINGS[token.tag]}>")
            elif token.type == "heading_close":
                written.append(f"</{HEADINGS[token.tag]}>")
            elif token.type == "table_open":
                self._tables += 1
                named = html.escape(shown(self._heading)[:120]) or f"Table {self._tables}"
                written.append(f'<div class="scroll" role="group" tabindex="0" aria-label="{named}, table {self._tables}"><table>')
            elif token.type == "table_close":
                written.append("</table></div>")
            elif _is_empty_head(tokens, place):
                # A heading that says nothing is a cell.
                written.append("<td>" if token.nesting > 0 else "</td>")
            elif token.type == "td_open" and len(tokens[place + 1].content) > WORDS:
                written.append('<td class="words">')
            else:
                written.append(self._element(token))
        return "".join(written)

    @staticmethod
    def _element(token: Token) -> str:
        kind, _, side = token.type.rpartition("_")
        name = ELEMENTS.get(kind)
        if name is None or side not in ("open", "close"):
            return html.escape(shown(token.content))
        if token.hidden:
            # The paragraph of a tight list.
            return ""
        if side == "close":
            return f"</{name}>"
        return '<th scope="col">' if name == "th" else f"<{name}>"

    def _inline(self, tokens: Sequence[Token]) -> str:
        written: list[str] = []
        ends: list[str] = []
        for token in tokens:
            match token.type:
                case "text" | "html_inline" | "html_block":
                    written.append(html.escape(shown(token.content)))
                case "code_inline":
                    written.append(f"<code>{html.escape(shown(token.content))}</code>")
                case "softbreak":
                    written.append("\n")
                case "hardbreak":
                    written.append("<br>")
                case "image":
                    written.append(self._image(token))
                case "link_open":
                    opening, closing = self._link(str(token.attrGet("href") or ""))
                    written.append(opening)
                    ends.append(closing)
                case "link_close":
                    written.append(ends.pop() if ends else "")
                case _:
                    written.append(self._element(token))
        return "".join([*written, *reversed(ends)])

    def _link(self, address: str) -> tuple[str, str]:
        """What stands before and behind the text of a link; the address as text where it is none that may be followed."""
        local = LOCAL.fullmatch(address)
        page = self._places.page(local[1]) if local else None
        if page is not None:
            return f'<a href="{html.escape(page)}">', "</a>"
        host = outside_host(address)
        if host is not None:
            opening = f'<a href="{html.escape(address)}" rel="noopener noreferrer nofollow external" referrerpolicy="no-referrer">'
            return opening, f'</a> <span class="hint">({html.escape(host)})</span>'
        return "", f' <span class="hint">({html.escape(shown(address)[:200])})</span>' if address else ""

    def _image(self, token: Token) -> str:
        address = str(token.attrGet("src") or "")
        words = html.escape(shown(token.content))
        local = LOCAL.fullmatch(address)
        picture = self._places.picture(local[1]) if local else None
        if picture is None:
            return f'[picture: {words}] <span class="hint">({html.escape(shown(address)[:200])})</span>'
        return f'<img class="picture" src="{html.escape(picture)}" alt="{words}">'


def outside_host(address: str) -> str | None:
    """The host of an address that a link may lead to: http or https, without a user in it; None for any other."""
    if len(address) > MAX_ADDRESS or not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.netloc if parts.scheme in SCHEMES and HOST.fullmatch(parts.netloc) else None


def shown(text: str, *, lines: bool = False) -> str:
    """`text` with control characters, and those that hide or turn text around, as escapes; line breaks stay where `lines` may be."""
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else "    " if c == "\t" else c.encode("unicode_escape").decode() for c in text
    )  # fmt: skip


def _is_empty_head(tokens: Sequence[Token], place: int) -> bool:
    """Whether the token at `place` opens or closes a heading of a table without text."""
    inside = {"th_open": place + 1, "th_close": place - 1}.get(tokens[place].type)
    return inside is not None and not tokens[inside].content.strip()


def _text_of(token: Token) -> str:
    return " ".join(child.content for child in token.children or [] if child.content) or token.content
