"""k6 `--out json`, also gzipped: a JSON object a line, of which the points of the requests' durations are read."""

from __future__ import annotations

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import Clock, number, word
from perfproof.load_files.columns import Columns
from perfproof.load_files.form import LoadFile
from perfproof.load_files.json_values import amount, inside, json_record, text
from perfproof.load_files.k6_points import DROPPED, DURATION, NO_HTTP, k6_file, outside_of_the_test, without_result
from perfproof.load_files.refusals import malformed

_WANTED = tuple(f'"{metric}"'.encode() for metric in (DURATION, DROPPED))


def read_k6_json(stream: ByteStream) -> LoadFile:
    """The requests of the file. A line that names neither metric is only looked at for being an object."""
    where, columns, clock = stream.where, Columns(where=stream.where), Clock()
    line, dropped, staged = 0, 0.0, 0
    for records in stream.records(quoted=False):
        for record in records:
            line += 1
            place = f"{where} record {line}"
            if not (record.startswith(b"{") and record.endswith(b"}")):
                raise malformed(place, "not an object", got=record[:40].decode("utf-8", "replace"))
            if not any(metric in record for metric in _WANTED):
                continue
            point = json_record(record, where=place)
            if point.get("type") != "Point" or point.get("metric") not in (DURATION, DROPPED):
                continue
            data = inside(point, "data", where=place)
            value = amount(data, "value", where=place)
            if point["metric"] == DROPPED:
                dropped += value
                continue
            end = clock.seconds(text(data, "time", where=place), where=place)
            tags = inside(data, "tags", where=place)
            if outside_of_the_test(text(tags, "group", where=place, default="")):
                staged += 1
                continue
            said, status = (text(tags, key, where=place, default="") for key in ("expected_response", "status"))
            if not (said or status):
                raise without_result(place)
            ok = word(said, where=place) if said else 200 <= number(status, where=place) < 400
            columns.add(end - value / 1000.0, value, ok, text(tags, "name", where=place), at=line)
    return k6_file(stream, "--out json", columns.requests(fix=NO_HTTP), dropped=dropped, staged=staged, coarse=False)
