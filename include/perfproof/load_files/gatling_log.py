"""Gatling's simulation.log as text, of 2.2 to 3.11: a record a line, fields between tabs."""

from __future__ import annotations

from perfproof.load_files.byte_stream import ByteStream
from perfproof.load_files.cells import Clock, text_of
from perfproof.load_files.columns import Columns
from perfproof.load_files.form import LoadFile, Tool
from perfproof.load_files.limits import FROM_SENDING, MILLISECONDS
from perfproof.load_files.refusals import malformed, no_measurement

LIMITS = (
    "closed or open model, by the injection profile (constantConcurrentUsers is closed), which the file does not say; within a user each "
    "request waits for the answer before it, so that p95 and p99 are lower bounds where the service stalls",
    FROM_SENDING,
    MILLISECONDS,
)
OTHERS = frozenset(("RUN", "USER", "GROUP", "ASSERTION", "ERROR"))
# By how many fields a REQUEST has: where groups, name, start, end and result stand. Since 3.4 it has no user,
# before 3.0 it has the scenario too.
_LAYOUTS = {7: 1, 8: 2, 9: 3}


def read_gatling_log(stream: ByteStream) -> LoadFile:
    """The requests of the file; a name is that of the request after those of its groups.

    Raises ArtifactError 483 for records that Gatling does not write.
    """
    where, columns, clock, line, errors = stream.where, Columns(where=stream.where), Clock(), 0, 0
    for records in stream.records(quoted=False):
        for record in records:
            line += 1
            place = f"{where} record {line}"
            fields = text_of(record, where=place).split("\t")
            if fields[0] != "REQUEST":
                if fields[0] not in OTHERS:
                    raise malformed(place, "not a record of Gatling 2.2 to 3.11", got=fields[0])
                errors += fields[0] == "ERROR"
                continue
            first = _LAYOUTS.get(len(fields))
            if first is None:
                raise malformed(place, "another number of fields than Gatling writes", got=len(fields), expected="7 to 9")
            groups, name, begin, end, result = fields[first : first + 5]
            if result not in ("OK", "KO"):
                raise malformed(place, "neither OK nor KO", got=result)
            start = clock.seconds(begin, where=place)
            stop = clock.seconds(end, where=place)
            if clock.unit != 1000:
                raise no_measurement(place, "no time in ms", got=begin)
            full = " / ".join((*groups.split(","), name)) if groups else name
            columns.add(start, float(round((stop - start) * 1000.0)), result == "OK", full, at=line)
    left_out = [f"{errors} errors of the scenario that are no request"] if errors else []
    return LoadFile(Tool.GATLING, "simulation.log", columns.requests(), None, LIMITS, tuple(left_out + stream.incomplete()))
