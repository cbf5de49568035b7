"""vegeta `encode`, to CSV and to JSON: every request, with nanoseconds."""

from __future__ import annotations

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import Clock, whole
from perfproof.load_files.columns import Columns
from perfproof.load_files.csv_records import csv_records
from perfproof.load_files.form import LoadFile, Tool
from perfproof.load_files.json_values import count, json_record, text
from perfproof.load_files.limits import FROM_SENDING
from perfproof.load_files.refusals import malformed

# timestamp, code, latency, bytes out, bytes in, error, body, attack, sequence; since 12.9 method, URL and headers too.
FIELDS = range(9, 13)
LIMITS = (
    "open model, as long as -max-workers sufficed: once all workers wait, vegeta sends later than it should and does not say so",
    FROM_SENDING,
)


def read_vegeta_csv(stream: ByteStream) -> LoadFile:
    """The requests of the file, which has no header."""
    where, columns, clock = stream.where, Columns(where=stream.where), Clock()
    for line, row in csv_records(stream):
        place = f"{where} record {line}"
        if len(row) not in FIELDS:
            raise malformed(place, "another number of fields than vegeta writes", got=len(row), expected="9 to 12")
        start, code, took = clock.seconds(row[0], where=place), whole(row[1], where=place), whole(row[2], where=place)
        name = f"{row[9]} {row[10]}" if len(row) > 10 else row[7]
        columns.add(start, took / 1e6, _good(code, row[5]), name, at=line)
    return _file(stream, columns, "encoded as CSV")


def read_vegeta_json(stream: ByteStream) -> LoadFile:
    """The requests of the file, an object a line."""
    where, columns, clock, line = stream.where, Columns(where=stream.where), Clock(), 0
    for records in stream.records(quoted=False):
        for record in records:
            line += 1
            place = f"{where} record {line}"
            hit = json_record(record, where=place)
            start = clock.seconds(text(hit, "timestamp", where=place), where=place)
            code, took = count(hit, "code", where=place), count(hit, "latency", where=place)
            url = text(hit, "url", where=place, default="")
            name = f"{text(hit, 'method', where=place, default='')} {url}" if url else text(hit, "attack", where=place, default="")
            columns.add(start, took / 1e6, _good(code, text(hit, "error", where=place, default="")), name, at=line)
    return _file(stream, columns, "encoded as JSON")


def _good(code: int, error: str) -> bool:
    """What vegeta counts as success."""
    return 200 <= code < 400 and not error


def _file(stream: ByteStream, columns: Columns, form: str) -> LoadFile:
    return LoadFile(Tool.VEGETA, form, columns.requests(), None, LIMITS, tuple(stream.incomplete()))
