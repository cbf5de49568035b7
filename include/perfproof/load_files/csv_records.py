"""CSV with a fixed number of fields, record by record: fast where nothing is quoted, exact where something is."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from perfproof.errors import ArtifactError
from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import text_of
from perfproof.load_files.refusals import malformed


def fields_of(record: bytes, *, where: str, delimiter: str = ",") -> list[str]:
    """The fields of one record. Raises ArtifactError 483 for wrong quotes."""
    text = text_of(record, where=where)
    if '"' not in text and "\r" not in text:
        return text.split(delimiter)
    try:
        (fields,) = csv.reader([text], strict=True, delimiter=delimiter)
    except (csv.Error, ValueError) as error:
        raise malformed(where, "not CSV", got=str(error)) from None
    return fields


def csv_records(stream: ByteStream, *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(number from 1, fields) of each record, the header included. Raises ArtifactError 483 for one of another length than the first."""
    number, width = 0, None
    for records in stream.records(quoted=True):
        for record in records:
            number += 1
            where = f"{stream.where} record {number}"
            fields = fields_of(record, where=where, delimiter=delimiter)
            if width is None:
                width = len(fields)
            elif len(fields) != width:
                raise malformed(where, "another number of fields than the first record", got=len(fields), expected=width)
            yield number, fields


def places(header: Sequence[str], needed: Sequence[str], *, where: str, fix: str) -> list[int]:
    """Where the columns `needed` stand. Raises ArtifactError 488 for one that is missing or there twice."""
    for name in needed:
        if header.count(name) != 1:
            how = "there twice" if name in header else "missing"
            raise ArtifactError(488, where=where, what=f"column {name} is {how}", got=", ".join(header), fix=fix)
    return [header.index(name) for name in needed]
