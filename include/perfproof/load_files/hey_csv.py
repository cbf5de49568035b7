"""hey `-o csv`: a row per answered request, with seconds."""

from __future__ import annotations

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import number, whole
from perfproof.load_files.columns import Columns
from perfproof.load_files.csv_records import csv_records, places
from perfproof.load_files.form import LoadFile, Tool
from perfproof.load_files.limits import CLOSED, FROM_SENDING
from perfproof.load_files.refusals import no_measurement

HEADER = b"response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
MOST_ROWS = 1_000_000
LIMITS = (
    "a request without an answer (time-out, refused or broken connection) has no row: the error rate is a lower bound, and a pass "
    "cannot be given",
    CLOSED,
    FROM_SENDING,
    "times have four decimals of a second: a latency below 1 ms is known to 10 % at best",
    f"hey keeps the first {MOST_ROWS:,} requests and writes no more than these",
    "all requests are of one URL",
)


def read_hey_csv(stream: ByteStream) -> LoadFile:
    """The answered requests of the file; starts count from the beginning of the test."""
    where, columns = stream.where, Columns(where=stream.where)
    rows = csv_records(stream)
    _, header = next(rows, (0, []))
    took, status, offset = places(header, ("response-time", "status-code", "offset"), where=where, fix="write it with hey -o csv")
    for line, row in rows:
        place = f"{where} record {line}"
        code, begin = whole(row[status], where=place), number(row[offset], where=place)
        if not 100 <= code <= 599:
            raise no_measurement(place, "no HTTP status", got=code)
        if begin < 0:
            raise no_measurement(place, "a start before the test", got=begin)
        columns.add(begin, 1000.0 * number(row[took], where=place), 200 <= code < 400, "all", at=line)
    requests = columns.requests(fix="look at the output of hey for the errors")
    left_out = [f"whatever came after the first {MOST_ROWS:,} requests"] if len(requests) >= MOST_ROWS else []
    return LoadFile(Tool.HEY, "-o csv", requests, None, LIMITS, tuple(left_out + stream.incomplete()), without_answer=False)
