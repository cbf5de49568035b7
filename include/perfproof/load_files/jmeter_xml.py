"""JMeter's JTL as XML, read as a stream: nested samples, transactions, and a file that ends early."""

from __future__ import annotations

# Every declaration of a document type, and so every entity, is refused.
from xml.parsers import expat  # nosec B407

from perfproof.load_files.byte_stream import LONGEST_RECORD, ByteStream
from perfproof.load_files.cells import Clock, whole, word
from perfproof.load_files.columns import Columns
from perfproof.load_files.form import LoadFile, Tool
from perfproof.load_files.jmeter import LIMITS, samples_in_transaction, transactions_left_out
from perfproof.load_files.refusals import damaged, malformed

ROOT = "testResults"
SAMPLES = ("sample", "httpSample")
DEEPEST = 64
_ATTRIBUTES = ("ts", "t", "lb", "s")


class _Samples:
    """Takes the elements. A sample inside a sample is part of it, except in a transaction, which is the sum of its samples."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.columns, self.clock = Columns(where=where), Clock()
        self.transactions, self.number, self.closed = 0, 0, False
        self._path: list[bool] = []
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise malformed(self.where, f"elements nested more than {DEEPEST} deep")
        if self._depth == 1 and name != ROOT:
            raise malformed(self.where, "another root element", got=name, expected=ROOT)
        if name not in SAMPLES:
            return
        self.number += 1
        place = f"{self.where} sample {self.number}"
        missing = [key for key in _ATTRIBUTES if key not in attributes]
        if missing:
            raise malformed(place, "attributes are missing", got=", ".join(attributes), expected=", ".join(_ATTRIBUTES))
        transaction = samples_in_transaction(attributes.get("rm", "")) is not None
        if transaction:
            self.transactions += 1
        elif all(self._path):
            start = self.clock.seconds(attributes["ts"], where=place)
            elapsed = float(whole(attributes["t"], where=place))
            self.columns.add(start, elapsed, word(attributes["s"], where=place), attributes["lb"], at=self.number)
        self._path.append(transaction)

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in SAMPLES:
            self._path.pop()
        self.closed = self._depth == 0

    def refuse(self, *_: object) -> None:
        raise malformed(self.where, "a document type or an entity, which JMeter does not write")


def read_jmeter_xml(stream: ByteStream) -> LoadFile:
    """The samples of the file. One that ends early gives the samples up to there.

    Raises ArtifactError 483 for another document, 485 for what is no XML.
    """
    samples = _Samples(stream.where)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = samples.start, samples.end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = samples.refuse
    size = 0
    try:
        while data := stream.read():
            size += len(data)
            parser.Parse(data, False)
            # A tag that never closes would be kept whole.
            if size - max(parser.CurrentByteIndex, 0) > LONGEST_RECORD:
                raise damaged(stream.where, "a tag of more than 16 MiB")
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise damaged(stream.where, "not XML", got=str(error)) from None
    requests = samples.columns.requests()
    left_out = transactions_left_out(samples.transactions)
    if not samples.closed:
        left_out.append(f"the file ends without </{ROOT}>: the tool was ended while it wrote, and requests then open are missing")
    return LoadFile(Tool.JMETER, "JTL as XML", requests, None, LIMITS, tuple(left_out + stream.incomplete()))
