"""k6 `--out csv`, also gzipped: a line per sample of a metric, of which those of the requests' durations are read."""

from __future__ import annotations

from collections.abc import Iterator

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import Clock, number, word
from perfproof.load_files.columns import Columns
from perfproof.load_files.csv_records import fields_of, places
from perfproof.load_files.form import LoadFile
from perfproof.load_files.k6_points import DROPPED, DURATION, NO_HTTP, k6_file, outside_of_the_test, without_result
from perfproof.load_files.refusals import malformed

HEADER = b"metric_name,timestamp,metric_value,"
NEEDED = ("metric_name", "timestamp", "metric_value", "name")
_WANTED = tuple(f"{metric},".encode() for metric in (DURATION, DROPPED))


def read_k6_csv(stream: ByteStream) -> LoadFile:
    """The requests of the file. Of lines of other metrics only the number of fields is looked at.

    A line of http_req_duration has the moment of the end, the duration in ms and the tags; the start is the difference.
    """
    where, columns, clock = stream.where, Columns(where=stream.where), Clock()
    dropped, staged = 0.0, 0
    lines = _samples(stream)
    _, header = next(lines, (0, []))
    at = places(header, NEEDED, where=where, fix="keep the system tag name in --system-tags")
    metric, time, value_at, name = at
    expected, status, group = (header.index(c) if c in header else None for c in ("expected_response", "status", "group"))
    for line, fields in lines:
        place = f"{where} record {line}"
        value = number(fields[value_at], where=place)
        if fields[metric] == DROPPED:
            dropped += value
            continue
        end = clock.seconds(fields[time], where=place)
        if group is not None and outside_of_the_test(fields[group]):
            staged += 1
            continue
        if expected is not None and fields[expected]:
            ok = word(fields[expected], where=place)
        elif status is not None and fields[status]:
            ok = 200 <= number(fields[status], where=place) < 400
        else:
            raise without_result(place)
        columns.add(end - value / 1000.0, value, ok, fields[name], at=line)
    coarse = clock.unit == 1 and clock.whole
    return k6_file(stream, "--out csv", columns.requests(fix=NO_HTTP), dropped=dropped, staged=staged, coarse=coarse)


def _samples(stream: ByteStream) -> Iterator[tuple[int, list[str]]]:
    """(number, fields) of the header and of each line of a wanted metric. Raises ArtifactError 483 for any line of another length."""
    line, commas = 0, -1
    for records in stream.records(quoted=True):
        for record in records:
            line += 1
            # Nine lines of ten end here, so this is what a large file costs.
            if commas == record.count(b",") and b'"' not in record and not record.startswith(_WANTED):
                continue
            place = f"{stream.where} record {line}"
            fields = fields_of(record, where=place)
            commas = len(fields) - 1 if commas < 0 else commas
            if len(fields) != commas + 1:
                raise malformed(place, "another number of fields than the first record", got=len(fields), expected=commas + 1)
            if line == 1 or fields[0] in (DURATION, DROPPED):
                yield line, fields
