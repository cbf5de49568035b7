"""Compressed files and archives: what is inside, as far as a page can look without unpacking everything."""

from __future__ import annotations

import io
import zipfile
import zlib

from perfproof.pages.blocks import Content, Table

MAX_UNPACKED = 4 * 1024 * 1024
MAX_ENTRIES = 200
GZIP_WINDOW = 31


def unpacked(data: bytes) -> tuple[bytes, bool] | None:
    """The first bytes of a gzip file, at most MAX_UNPACKED, and whether there are more; None if it is none."""
    reader = zlib.decompressobj(GZIP_WINDOW)
    try:
        inner = reader.decompress(data, MAX_UNPACKED)
    except zlib.error:
        return None
    return inner, not reader.eof or bool(reader.unused_data)


def archive_content(data: bytes) -> Content:
    """The names and sizes in a ZIP archive. Nothing is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return Content(notes=("It could not be read as an archive.",))
    shown = entries[:MAX_ENTRIES]
    rows = tuple((one.filename, f"{one.file_size:,}", f"{one.compress_size:,}") for one in shown)
    notes = (f"{len(entries)} entries, the first {len(shown)} are shown.",) if len(entries) > len(shown) else ()
    return Content((Table(("Name", "Bytes", "Bytes in the archive"), rows, "What is in the archive"),), notes)
