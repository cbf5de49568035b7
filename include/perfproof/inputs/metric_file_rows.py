"""Rows of a file of metrics, one at a time: CSV with a header, a JSON array of objects, or Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from perfproof.errors import PerfproofError

FORMS = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
# A character takes up to four bytes in memory where one of the file is beyond the usual ones.
MAX_BYTES = {"csv": 64 << 20, "json": 32 << 20, "parquet": 64 << 20}
MAX_LINE = 64 << 10
MAX_OBJECT = 8 << 10
MAX_COLUMNS = 1_000
MAX_UNPACKED = 512 << 20
BATCH_ROWS = 1_024
BLANK = " \t\r\n"

Row = tuple[str, Mapping[str, Any]]


def form_of(path: str) -> str | None:
    """csv, json or parquet by the end of a file's name, None for others."""
    return next((form for ending, form in FORMS.items() if path.lower().endswith(ending)), None)


def rows_of(data: bytes, *, form: str, columns: Collection[str], where: str, error: type[PerfproofError]) -> Iterator[Row]:
    """Each row with its place (`line 3`) and its cells by column; of Parquet only `columns` are read.

    Raises `error` 765 for a file that is none of its form, 766 for a row that is none.
    """
    if len(data) > MAX_BYTES[form]:
        raise error(765, where=where, what="the file is too large", got=len(data), expected=MAX_BYTES[form], fix="give one file a window")
    if form == "parquet":
        return _parquet_rows(data, columns, where, error)
    if b"\0" in data:
        raise error(765, where=where, what="holds a NUL character", fix="save the file as plain text")
    return _csv_rows(data, where, error) if form == "csv" else _json_rows(data, where, error)


def _csv_rows(data: bytes, where: str, error: type[PerfproofError]) -> Iterator[Row]:
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")

    def lines() -> Iterator[str]:
        number = 0
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise error(766, where=f"{where} line {number}", what="a line of more than 64 KiB", fix="write one row a line")
            yield line

    reader = csv.reader(lines(), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = _header([cell.strip() for cell in cells], where, error)
            elif len(cells) != len(header):
                raise error(
                    766, where=f"{where} line {reader.line_num}", what="another number of fields than the header", got=len(cells),
                    expected=len(header), fix="correct the row",
                )  # fmt: skip
            else:
                yield f"line {reader.line_num}", dict(zip(header, cells, strict=True))
    except csv.Error as problem:
        raise error(766, where=f"{where} line {reader.line_num}", what="not CSV", got=str(problem), fix="correct the row") from None
    except UnicodeDecodeError as problem:
        raise error(765, where=where, what="not UTF-8 text", got=problem.reason, fix="save the file as UTF-8") from None
    if header is None:
        raise error(765, where=where, what="the file is empty", fix="write a header and rows")


def _json_rows(data: bytes, where: str, error: type[PerfproofError]) -> Iterator[Row]:
    """Objects are decoded one by one, so that a large file never stands in memory as a whole."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(765, where=where, what="not UTF-8 text", got=problem.reason, fix="save the file as UTF-8") from None
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    place = _past_blank(text, 0)
    if text[place : place + 1] != "[":
        raise error(765, where=where, what="not a JSON array of objects", got=text[place : place + 50], fix="write [{…}, {…}]")
    place = _past_blank(text, place + 1)
    number = 0
    while text[place : place + 1] != "]":
        number += 1
        piece = text[place : place + MAX_OBJECT]
        try:
            row, length = decoder.raw_decode(piece)
        except (ValueError, RecursionError) as problem:
            what = "not JSON" if len(piece) < MAX_OBJECT else "not JSON, or an object of more than 8 KiB"
            raise error(766, where=f"{where} item {number}", what=what, got=str(problem), fix="correct the item") from None
        if not isinstance(row, dict):
            raise error(766, where=f"{where} item {number}", what="not an object", got=row, fix="write objects with a timestamp")
        yield f"item {number}", row
        place = _past_blank(text, place + length)
        comma = text[place : place + 1] == ","
        place = _past_blank(text, place + comma)
        ends = text[place : place + 1] == "]"
        if comma == ends:
            raise error(766, where=f"{where} item {number}", what="no single comma or end after it", fix="write [{…}, {…}]")
    if text[place + 1 :].strip():
        raise error(765, where=where, what="something after the array", fix="write one array")


def _parquet_rows(data: bytes, columns: Collection[str], where: str, error: type[PerfproofError]) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        fix = "install perfproof[parquet], or give CSV"
        raise error(765, where=where, what="Parquet needs the package pyarrow, which is not installed", fix=fix) from None
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        meta = file.metadata
        unpacked = sum(meta.row_group(number).total_byte_size for number in range(meta.num_row_groups))
        names = file.schema_arrow.names
    except Exception as problem:  # pyarrow has error classes of its own for each thing that can be wrong
        raise error(765, where=where, what="not a Parquet file", got=str(problem), fix="name the file that the tool wrote") from None
    if unpacked > MAX_UNPACKED:
        raise error(765, where=where, what="too large unpacked", got=unpacked, expected=MAX_UNPACKED, fix="give one file a window")
    read = [name for name in _header(names, where, error) if name in columns]
    if not read:
        raise error(765, where=where, what="no column of metrics", got=", ".join(names), expected="timestamp", fix="correct the columns")
    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=read):
            for row in batch.to_pylist():
                number += 1
                # Columns that are not read are still columns: which there are tells the form.
                yield f"row {number}", {name: row.get(name) for name in names}
    except Exception as problem:  # likewise
        raise error(765, where=where, what="not a whole Parquet file", got=str(problem), fix="name the file that the tool wrote") from None


def _header(names: list[str], where: str, error: type[PerfproofError]) -> list[str]:
    if len(set(names)) != len(names) or len(names) > MAX_COLUMNS:
        raise error(765, where=where, what="two columns of one name, or more than 1,000", got=", ".join(names), fix="correct the header")
    return names


def _past_blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in BLANK:
        place += 1
    return place


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("two entries of one name")
    return result
