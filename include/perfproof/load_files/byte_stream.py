"""The bytes of a load file in one pass: unpacked where it is gzip, in lists of whole records, with an incomplete last one kept apart."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from perfproof.load_files.refusals import damaged

GZIP = b"\x1f\x8b"
STEP = 1 << 20
HEAD = 1 << 16
# Response bodies stand in vegeta's records; nothing else is near.
LONGEST_RECORD = 16 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


class ByteStream:
    """Reads `file` forward once. `head` shows the beginning without taking it; a byte order mark is left out.

    `cut_off` is the length of an incomplete last record, and `unfinished` says that a gzip file stops early; both are known at the end.
    """

    def __init__(self, file: Readable, *, where: str) -> None:
        self.where = where
        self.cut_off = 0
        self.unfinished = False
        self._file = file
        self._ended = False
        self._packed = False
        self._unpack: zlib._Decompress | None = None
        self._input = b""
        first = self._file.read(HEAD)
        self._packed = first.startswith(GZIP)
        self._input, self._first = (first, b"") if self._packed else (b"", first)
        self.head = self._peek()

    def read(self) -> bytes:
        """The next bytes, about one MiB; none at the end. Raises ArtifactError 485 for a damaged gzip file."""
        if self._first:
            taken, self._first = self._first, b""
            return taken
        return self._next()

    def records(self, *, quoted: bool) -> Iterator[list[bytes]]:
        """Lists of records without their line ends. With `quoted` a line break between double quotes ends none.

        Raises ArtifactError 485 for a record of more than 16 MiB, or a quote that stays open over lines.
        """
        rest, odd = b"", False
        while data := self.read():
            end = _whole(data, odd=odd) if quoted else data.rfind(b"\n") + 1
            if end:
                yield _split(rest + data[:end], quoted=quoted)
                rest, odd = b"", False
            odd ^= quoted and data.count(b'"', end) % 2 == 1
            rest += data[end:]
            if len(rest) > LONGEST_RECORD:
                raise damaged(self.where, "a record of more than 16 MiB")
        if quoted and b"\n" in rest:
            raise damaged(self.where, "a double quote that nothing closes")
        self.cut_off = len(rest)

    def whole(self, limit: int) -> bytes:
        """All bytes. Raises ArtifactError 485 for more than `limit`."""
        parts, size = [], 0
        while data := self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise damaged(self.where, "too large for a summary", got=f"more than {limit} bytes")
        return b"".join(parts)

    def incomplete(self) -> list[str]:
        """What a tool that was ended left behind, in words: nothing, or one sentence. Known when all has been read."""
        if not (self.cut_off or self.unfinished):
            return []
        what = "the gzip file stops early" if self.unfinished else f"the last {self.cut_off} bytes are no whole record"
        return [f"{what}: the tool was ended while it wrote, and the requests that were open then are missing"]

    def _peek(self) -> bytes:
        while len(self._first) < HEAD and (more := self._next()):
            self._first += more
        self._first = self._first.removeprefix(BYTE_ORDER_MARK)
        return self._first[:HEAD]

    def _next(self) -> bytes:
        if not self._packed:
            return self._file.read(STEP)
        while not self._ended:
            if self._unpack is None:
                self._unpack = zlib.decompressobj(wbits=31)
            data = self._input or self._file.read(STEP)
            if not data:
                # The archive stops before its end: what came out of it so far is real, and the last record is cut off.
                self._ended = self.unfinished = True
                break
            try:
                out = self._unpack.decompress(data, STEP)
            except zlib.error as error:
                raise damaged(self.where, "a damaged gzip file", got=str(error)) from None
            self._input = self._unpack.unconsumed_tail
            if self._unpack.eof:
                self._input = self._unpack.unused_data or self._file.read(STEP)
                self._unpack = None
                self._ended = not self._input.startswith(GZIP)
                if self._ended and self._input.strip(b"\0"):
                    raise damaged(self.where, "bytes behind the end of the gzip file")
            if out:
                return out
        return b""


def _whole(data: bytes, *, odd: bool) -> int:
    """Where the last record ends: after the last line break that is not between double quotes; 0 if there is none.

    `odd`: whether a quote is open where `data` begins.
    """
    end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end) + odd
    while end and quotes % 2:
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end


def _split(data: bytes, *, quoted: bool) -> list[bytes]:
    lines = data.split(b"\n")
    lines.pop()
    if b"\r" in data:
        lines = [line.removesuffix(b"\r") for line in lines]
    if not quoted or b'"' not in data:
        return lines
    records: list[bytes] = []
    parts: list[bytes] = []
    odd = False
    for line in lines:
        parts.append(line)
        odd ^= line.count(b'"') % 2 == 1
        # An even number of quotes closes every one of them.
        if not odd:
            records.append(b"\n".join(parts) if len(parts) > 1 else line)
            parts = []
    return records
