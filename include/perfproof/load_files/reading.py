"""Which tool wrote a file, by its content, and the reader for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from perfproof.load_files import hey_csv, jmeter_csv, k6_csv, locust_csv
from perfproof.load_files.byte_stream import ByteStream, Readable
from perfproof.load_files.form import LoadFile
from perfproof.load_files.gatling_log import read_gatling_log
from perfproof.load_files.gatling_stats import COUNTS, read_gatling_stats
from perfproof.load_files.jmeter_xml import ROOT, read_jmeter_xml
from perfproof.load_files.json_values import LARGEST_SUMMARY
from perfproof.load_files.k6_json import read_k6_json
from perfproof.load_files.k6_summary import read_k6_summary
from perfproof.load_files.refusals import unknown, unusable
from perfproof.load_files.vegeta_report import read_vegeta_report
from perfproof.load_files.vegeta_results import read_vegeta_csv, read_vegeta_json
from perfproof.strict import read_json

Reader = Callable[[ByteStream], LoadFile]

_BY_FIRST_LINE: tuple[tuple[bytes, Reader], ...] = (
    (k6_csv.HEADER, k6_csv.read_k6_csv),
    (hey_csv.HEADER, hey_csv.read_hey_csv),
    (locust_csv.STATS, locust_csv.read_locust_stats),
    (locust_csv.HISTORY, locust_csv.read_locust_history),
    (locust_csv.FAILURES, locust_csv.read_locust_failures),
    (b"RUN\t", read_gatling_log),
    (b"ASSERTION\t", read_gatling_log),
)
_JMETER = re.compile(rb"(?:^|[,;\t])\"?(?:timeStamp|elapsed)\"?(?:[,;\t]|$)")
_JMETER_ROW = re.compile(rb"[0-9]{13}([,;\t])[0-9]{1,9}\1(?:[^\n]*\1)(?:true|false)\1", re.IGNORECASE)
_VEGETA_ROW = re.compile(rb"[0-9]{19},[0-9]{1,3},[0-9]{1,20},[0-9]{1,20},[0-9]{1,20},")
_K6_POINT = re.compile(rb'"type":\s*"(?:Metric|Point)"')
_VERSION = re.compile(rb"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")
_OWN_ROWS = b"intended_start,start,end,status,"


def read_load_file(file: Readable, *, where: str) -> LoadFile:
    """What the tool kept of a load test, in the form of all tools. `file` is read forward once; gzip is unpacked.

    Raises ArtifactError: 481 for a file of no known tool, 482 for a form that cannot be read, 483 to 488 for what the tool
    does not write.
    """
    stream = ByteStream(file, where=where)
    head = stream.head
    if not head.strip():
        raise unknown(where, "an empty file")
    line = head.split(b"\n", 1)[0].rstrip(b"\r")
    for beginning, reader in _BY_FIRST_LINE:
        if line.startswith(beginning):
            return reader(stream)
    if _JMETER.search(line):
        return jmeter_csv.read_jmeter_csv(stream)
    if head.lstrip().startswith(b"{"):
        return _json(stream, line)
    if head.lstrip().startswith((b"<?xml", f"<{ROOT}".encode())) and f"<{ROOT}".encode() in head:
        return read_jmeter_xml(stream)
    if _VEGETA_ROW.match(line):
        return read_vegeta_csv(stream)
    _refuse_known(head, line, where)
    raise unknown(where, line[:80].decode("utf-8", "replace"))


def _json(stream: ByteStream, line: bytes) -> LoadFile:
    if line.startswith(b"{") and line.endswith(b"}"):
        if _K6_POINT.search(line):
            return read_k6_json(stream)
        if b'"latency":' in line and b'"timestamp":' in line:
            return read_vegeta_json(stream)
    document: Any = read_json(stream.whole(LARGEST_SUMMARY), where=stream.where, number=483, limit=LARGEST_SUMMARY)
    if "metrics" in document:
        return read_k6_summary(stream, document)
    if "latencies" in document:
        return read_vegeta_report(stream, document)
    if COUNTS in document or "stats" in document:
        return read_gatling_stats(stream, document)
    raise unknown(stream.where, f"JSON with {', '.join(map(str, document))}")


def _refuse_known(head: bytes, line: bytes, where: str) -> None:
    """Raises ArtifactError 482 for what a known tool wrote in a form that cannot be read, with what to do."""
    if _JMETER_ROW.match(line):
        raise unusable(where, "a JTL without its header, so its columns are not known", jmeter_csv.HEADER_FIX)
    if head.startswith(b"\0") and _VERSION.search(head[:64]):
        raise unusable(
            where, "a binary simulation.log, as Gatling writes it since 3.12",
            "give js/stats.json of the report for a summary, or run with Gatling 3.11 or older",
        )  # fmt: skip
    if b"Attack" in head[:512] and b"Latency" in head[:512]:
        raise unusable(where, "vegeta's results in Go's own encoding", "run vegeta encode --to csv on it")
    if line.startswith(b"var stats"):
        raise unusable(where, "a script of Gatling's report", "give stats.json, which lies beside stats.js")
    if line.startswith(locust_csv.EXCEPTIONS):
        raise unusable(where, "exceptions of the test script, and no requests", "give the file that ends with _stats.csv")
    if head.lstrip().startswith(b"[") and b'"num_requests"' in head:
        raise unusable(where, "the JSON of Locust", "run locust with --csv and give the file that ends with _stats.csv")
    if line.startswith(_OWN_ROWS):
        raise unusable(where, "rows of this project's own load tests", "compare them with perfproof judge")
