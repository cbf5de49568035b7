"""Secrets in what is about to become evidence: found before it is written, since evidence is never taken back.

Two searches: for what a secret looks like (`secret_shapes`), and for the very secrets that a caller knows, as they are and in the
forms that URLs, JSON, HTML, Markdown and Base64 give them.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from urllib.parse import quote, quote_plus

from perfproof.errors import EvidenceError
from perfproof.evidence.secret_shapes import SHAPES, SecretKind, Shape
from perfproof.markdown import SPECIAL

MASK = "***"
# After so many the rest adds nothing: the artifact is refused by the first.
MOST_FOUND = 20
GZIP = b"\x1f\x8b"
UNPACKED_AT_ONCE = 4 << 20
UNPACKED_LIMIT = 1 << 30
# Longer than any shape: what lies across two pieces of unpacked content is whole in one of them.
OVERLAP = 8 << 10
LARGE = 64 << 10
SHORTEST_KNOWN = 8
# A single word is a user, a host or a schema as often as a password, and evidence is full of words.
_WORD = re.compile(r"[A-Za-z]{1,11}")


def _clue_of(anchor: bytes) -> bytes:
    return next((clue for clue in _CLUES if clue in anchor), b"")


_ANCHORS = tuple((shape, anchor) for shape in SHAPES for anchor in shape.anchors)
_ANCHOR_BYTES = frozenset(byte for _, anchor in _ANCHORS for byte in anchor)
# What several anchors hold: content without it has none of them. Every entry of a log is searched, so this counts.
_CLUES = (b"key", b"pass", b"xox", b"_live_", b"_test_", b"gh", b"gl")
_BY_CLUE = tuple((clue, tuple(found for found in _ANCHORS if _clue_of(found[1]) == clue)) for clue in (*_CLUES, b""))


@dataclass(frozen=True, slots=True)
class SecretFound:
    """What was found and in which line; `excerpt` is what may be shown of it."""

    kind: SecretKind
    line: int
    excerpt: str


def find_secrets(data: bytes, *, known: Sequence[str] = ()) -> list[SecretFound]:
    """The secrets in `data`, the first 20, by line. Gzipped content is unpacked piece by piece and searched as well.

    Of `known` count those that `is_searched` names.
    """
    found: dict[tuple[SecretKind, int], SecretFound] = {}
    for kind, line, excerpt in islice(_found(data, known), MOST_FOUND):
        found.setdefault((kind, line), SecretFound(kind, line, excerpt))
    return sorted(found.values(), key=lambda secret: secret.line)


def masked(text: str, *, known: Sequence[str] = ()) -> str:
    """`text` with every secret in it replaced by `***`: for words of other programs that must be kept, such as errors."""
    data = text.encode("utf-8", "surrogatepass")
    parts, end = [], 0
    for _, begin, stop, _ in sorted(_spans(data, known), key=lambda span: span[1:3]):
        if stop > end:
            parts += [data[end : max(begin, end)], MASK.encode() if begin >= end else b""]
            end = stop
    return b"".join([*parts, data[end:]]).decode("utf-8", "surrogatepass")


def refuse_secrets(data: bytes, *, where: str, known: Sequence[str] = ()) -> None:
    """Raises EvidenceError 423, which names line and kind and not the secret, when there is one in `data`."""
    found = find_secrets(data, known=known)
    if found:
        raise EvidenceError(
            423, where=f"{where} line {found[0].line}", what=f"holds {found[0].kind.value}; nothing was written", got=found[0].excerpt,
            fix="take it out of what this is made from, change it where it is used, and clear the task",
        )  # fmt: skip


def is_searched(secret: str) -> bool:
    """Whether a known secret is looked for: it has 8 characters or more and is not one word of fewer than 12 letters."""
    return len(secret) >= SHORTEST_KNOWN and _WORD.fullmatch(secret) is None


def _found(data: bytes, known: Sequence[str]) -> Iterator[tuple[SecretKind, int, str]]:
    if not data.startswith(GZIP):
        yield from _in_piece(data, known, 0)
        return
    # A file name or a comment may stand before what is packed.
    yield from _in_piece(data[:OVERLAP], known, 0)
    line = 0
    for piece in _unpacked(data):
        if piece is None:
            yield SecretKind.OPAQUE, 1, f"more than {UNPACKED_LIMIT} bytes"
            return
        yield from _in_piece(piece, known, line)
        line += piece.count(b"\n", 0, max(0, len(piece) - OVERLAP))


# What stands before these secrets says which kind of token it is, and nothing else.
_PREFIXED = frozenset(
    (SecretKind.AWS, SecretKind.GITHUB, SecretKind.GITLAB, SecretKind.GOOGLE, SecretKind.PACKAGE_INDEX, SecretKind.SLACK, SecretKind.STRIPE)
)


def _in_piece(data: bytes, known: Sequence[str], lines_before: int) -> Iterator[tuple[SecretKind, int, str]]:
    for match, begin, _, kind in _spans(data, known):
        shown = data[match:begin].decode("ascii", "replace") if kind in _PREFIXED else ""
        yield kind, lines_before + data.count(b"\n", 0, begin) + 1, shown + MASK


def _spans(data: bytes, known: Sequence[str]) -> Iterator[tuple[int, int, int, SecretKind]]:
    """Begin of the match, begin and end of the secret, and its kind, shape by shape."""
    lowered = data.lower()
    absent = _absent(lowered, _ANCHOR_BYTES)
    for shape, anchor in _possible(lowered, absent):
        for place in _places(lowered, anchor):
            found = shape.find(data, place)
            if found is not None:
                yield (*found, shape.kind)
    forms = tuple(_forms(known))
    if not forms:
        return
    absent = _absent(data, frozenset().union(*forms))
    for form in forms:
        if absent.isdisjoint(form) and form in data:
            yield from ((place, place, place + len(form), SecretKind.KNOWN) for place in _places(data, form))


def _possible(lowered: bytes, absent: frozenset[int]) -> list[tuple[Shape, bytes]]:
    """The anchors that `lowered` holds, each with its shape, in any order."""
    found = []
    for clue, anchors in _BY_CLUE:
        if absent.isdisjoint(clue) and clue in lowered:
            found += [(shape, anchor) for shape, anchor in anchors if absent.isdisjoint(anchor) and anchor in lowered]
    return found


def _absent(data: bytes, wanted: frozenset[int]) -> frozenset[int]:
    """Bytes that `data` lacks. Large files of measurements lack most letters, and a search for one byte is far faster than for a word."""
    return frozenset(byte for byte in wanted if byte not in data) if len(data) > LARGE else frozenset()


def _places(data: bytes, part: bytes) -> Iterator[int]:
    place = data.find(part)
    while place >= 0:
        yield place
        place = data.find(part, place + len(part))


def _forms(known: Iterable[str]) -> Iterator[bytes]:
    for secret in known:
        if is_searched(secret):
            yield from _forms_of(secret)


@lru_cache(maxsize=512)
def _forms_of(secret: str) -> tuple[bytes, ...]:
    """The ways in which a secret is written in text: itself, percent-encoded, and as JSON, HTML, Markdown and Base64 hold it."""
    marked = "".join(f"\\{c}" if c in SPECIAL else c for c in secret)
    quoted = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    texts = (
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), marked, marked.replace("_", "\\_"),
        # Documents hold answers of others, which may be JSON.
        *quoted, *(json.dumps(text)[1:-1] for text in quoted),
    )  # fmt: skip
    forms = [text.encode("utf-8", "surrogatepass") for text in texts]
    raw = secret.encode("utf-8", "surrogatepass")
    for shift, mixed in ((0, 0), (1, 2), (2, 3)):
        # Three bytes make four characters: what stands before the secret decides about its first ones, what follows about its last.
        whole = (shift + len(raw)) // 3 * 4
        forms += [encode(b"\0" * shift + raw)[mixed:whole] for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    return tuple(dict.fromkeys(forms))


def _unpacked(data: bytes) -> Iterator[bytes | None]:
    """The content in pieces, each beginning with the end of the one before; None where there is too much of it.

    What cannot be unpacked comes last, as it is.
    """
    tail, total, rest = b"", 0, data
    while rest.startswith(GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            try:
                piece = unpacker.decompress(rest, UNPACKED_AT_ONCE)
            except zlib.error:
                yield rest
                return
            if not piece and not unpacker.eof:
                yield rest
                return
            rest = unpacker.unconsumed_tail
            total += len(piece)
            if total > UNPACKED_LIMIT:
                yield None
                return
            yield tail + piece
            tail = (tail + piece)[-OVERLAP:]
        rest = unpacker.unused_data
    yield rest
