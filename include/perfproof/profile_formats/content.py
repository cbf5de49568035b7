"""Reads a profile of any format, told apart by its content: file names and media types are no evidence."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import ProfileError
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profile_formats.pprof import read_pprof
from perfproof.profile_formats.pyroscope import is_flamebearer, read_pyroscope
from perfproof.profile_formats.speedscope import is_speedscope, read_speedscope
from perfproof.profiles import Profile
from perfproof.strict import read_json

MAX_BYTES = 64 << 20
# Parsed JSON takes up to twenty times its bytes.
MAX_JSON_BYTES = 16 << 20
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
SHOWN = 40


class Format(StrEnum):
    """The formats that are read."""

    COLLAPSED = "collapsed stacks"
    SPEEDSCOPE = "speedscope"
    PPROF = "pprof"
    PYROSCOPE = "Pyroscope"


@dataclass(frozen=True, slots=True)
class Imported:
    """A profile from a file. `value` is which of the values of a pprof profile it is, of `values`."""

    profile: Profile
    form: Format
    value: str | None = None
    values: tuple[str, ...] = ()


def read_profile(data: bytes, *, where: str, value: str | None = None) -> Imported:
    """The profile in `data`, compressed with gzip or not; `value` chooses one of the values of a pprof profile.

    At most 64 MiB, compressed or not, 16 MiB of JSON. Raises ProfileError for anything that is not wholly one of the formats.
    """
    content = uncompressed(data, where=where)
    if b"\0" in content:
        read = read_pprof(content, where=where, value=value)
        return Imported(read.profile, Format.PPROF, read.value, read.values)
    if value is not None:
        raise ProfileError(206, where=where, what="only pprof profiles hold several values", got=value, fix="leave the value out")
    if content.lstrip()[:1] in (b"{", b"["):
        return _of_json(read_json(content, where=where, limit=MAX_JSON_BYTES, error=ProfileError, number=207), where)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _unknown(content, where) from None
    if not text.strip():
        raise ProfileError(202, where=where, what="empty", fix="record the profile again")
    return Imported(parse_collapsed(text, where=where), Format.COLLAPSED)


def uncompressed(data: bytes, *, where: str) -> bytes:
    """`data` itself, or what it is the gzip of: whole, checked, and 64 MiB at most."""
    if len(data) > MAX_BYTES:
        raise _too_large(where)
    if data[:4] == ZIP:
        raise ProfileError(203, where=where, what="a zip archive", expected="a profile", fix="unpack it and name one file")
    if data[:2] != GZIP:
        return data
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = reader.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise ProfileError(204, where=where, what="damaged gzip", got=str(error), fix="record or download it again") from None
    if len(content) > MAX_BYTES:
        raise _too_large(where)
    if not reader.eof or reader.unused_data:
        what = "bytes behind the end of the gzip" if reader.eof else "a gzip that is cut off"
        raise ProfileError(204, where=where, what=what, fix="record or download it again")
    if content[:2] == GZIP:
        raise ProfileError(205, where=where, what="gzip within gzip", fix="unpack it once")
    return content


def _of_json(document: Any, where: str) -> Imported:
    if isinstance(document, Mapping) and is_speedscope(document):
        return Imported(read_speedscope(document, where=where), Format.SPEEDSCOPE)
    if isinstance(document, Mapping) and is_flamebearer(document):
        return Imported(read_pyroscope(document, where=where), Format.PYROSCOPE)
    raise ProfileError(
        201, where=where, what="JSON of no known profile", expected="speedscope, or Pyroscope's render", fix="export it again"
    )


def _too_large(where: str) -> ProfileError:
    return ProfileError(
        101, where=where, what="the profile is too large", expected=f"at most {MAX_BYTES} bytes, unpacked", fix="profile for a shorter time"
    )


def _unknown(content: bytes, where: str) -> ProfileError:
    return ProfileError(
        201, where=where, what="no known format of a profile", got=content[:SHOWN].decode("utf-8", "replace"),
        expected=", ".join(Format), fix="export it as one of these",
    )  # fmt: skip
