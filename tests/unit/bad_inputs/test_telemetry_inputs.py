"""Telemetry that is no measurement: one line with its code, or a label that can never be a pass; nothing is written.

Every row goes through the real hook, over a real socket, into the baseline of a service.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modules import load

from perfproof.baseline import Reason, Window, cells_of, measure_cell, service_document
from perfproof.config import Protocol, Service, load_protocol
from perfproof.errors import LoadError, PerfproofError, TelemetryError
from perfproof.gates import Outcome
from perfproof.inputs.line_summary import summarise_lines
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, document_bytes
from perfproof_airflow.hooks.baseline import measure_service
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.hooks.http_answers import Limits
from perfproof_airflow.hooks.prometheus import ConnectionValues, PrometheusHook
from perfproof_airflow.hooks.sources import read_source
from perfproof_airflow.hooks.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO = REPOSITORY / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
END = NOW.timestamp()
WINDOW = Window(END - 60, END, 2)
LATENCY = MetricSpec("latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "prometheus", "p95")
LATENCY_P99 = dataclasses.replace(LATENCY, name="latency_p99", query="p99")
ERRORS = MetricSpec("error_rate", MetricKind.ERROR_RATE, Unit.PERCENT, Direction.LOWER, "prometheus", "errors")
CPU = MetricSpec("cpu", MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER, "prometheus", "cpu")
RATE = MetricSpec("throughput", MetricKind.THROUGHPUT, Unit.PER_SECOND, Direction.HIGHER, "prometheus", "rps")
HOSTILE = "\x1b[31m\n=cmd|' /C calc'!A0 <script>alert(1)</script> [x](http://y) | a |"
# What never ends must take its time in the test; everything else may have it.
QUICK, PATIENT = Limits(total_seconds=0.6), Limits(total_seconds=20)


@dataclass
class Answer:
    """What the server sends: `pause` seconds between the pieces, without end if it is `endless`."""

    body: bytes | str = b""
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    drip: str = ""


class Server(BaseHTTPRequestHandler):
    """A Prometheus on loopback that answers what the row wants; `asked` counts the questions."""

    answers: Callable[[dict[str, str]], Answer]
    asked = 0
    stopped: threading.Event

    def do_GET(self) -> None:
        """One answer to each question."""
        owner = type(self)
        owner.asked += 1
        answer = owner.answers({key: found[0] for key, found in parse_qs(urlsplit(self.path).query).items()})
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.connection.close()
            return
        if answer.drip == "headers":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 4000)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if "Content-Length" not in answer.headers and not answer.drip:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if answer.drip == "body":
            self._drip(b" " * 4000)
        else:
            self.wfile.write(body)

    def _drip(self, data: bytes) -> None:
        for place in range(len(data)):
            if self.stopped.wait(0.05):
                break
            try:
                self.wfile.write(data[place : place + 1])
            except OSError:
                break

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[Server], int]]:
    """The answers of a server, and its port."""
    handler: Any = type("TheServer", (Server,), {"stopped": threading.Event()})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield handler, running.server_address[1]
    handler.stopped.set()
    running.shutdown()
    thread.join(10)
    running.server_close()


GATES: Any = load("gates_by_hand", REPOSITORY / "tests" / "unit" / "perfproof" / "gates" / "conftest.py")
PROTOCOL = load_protocol(DEMO.read_bytes(), where="demo.yaml")


def protocol_of(*specs: MetricSpec) -> tuple[Protocol, Service]:
    """The demo's protocol with a service that has just these metrics."""
    service = dataclasses.replace(PROTOCOL.services[0], metrics=specs, slos=(), guards=())
    rules = dataclasses.replace(PROTOCOL.baseline, min_samples=20, min_coverage=0.9, max_staleness_seconds=10)
    return dataclasses.replace(PROTOCOL, services=(service,), baseline=rules), service


def measured(port: int, *specs: MetricSpec, judge: bool = True, limits: Limits | None = None) -> dict[str, Any]:
    """The service's part of the baseline, as its task would publish it."""
    protocol, service = protocol_of(*specs)
    hook = PrometheusHook(connection=ConnectionValues(f"http://127.0.0.1:{port}"), limits=limits or PATIENT, sleep=lambda _: None)
    return measure_service(protocol, service, window=WINDOW, hooks={"prometheus": hook}, build="1", fetched_at=NOW, judge_sources=judge)


def good(value: float = 100.0) -> list[list[Any]]:
    """A sample at every step of the window."""
    return [[WINDOW.start + 2 * step, str(value)] for step in range(1, 31)]


def matrix(values: list[list[Any]] | None, *, labels: dict[str, str] | None = None, **changes: Any) -> str:
    """A good answer with these samples."""
    result = [] if values is None else [{"metric": labels or {}, "values": values}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **changes})


def changed(place: int, *sample: Any) -> list[list[Any]]:
    """Good samples with one replaced."""
    samples = good()
    samples[place] = list(sample)
    return samples


def moment(step: int) -> float:
    return WINDOW.start + 2 * step


TWICE = '{"status":"success","status":"success","data":{"resultType":"matrix","result":[]}}'
BOMB = gzip.compress(b" " * (64 << 20))
SECOND_SERIES = matrix(good()).replace('"result": [', '"result": [{"metric": {"path": "/other"}, "values": []}, ')
Row = tuple[str, Answer, str, str]
# Case, answer, code, words. TEL-27x of a query alone is the label FETCH_ERROR of its metric, which test 2 checks.
REFUSED: list[Row] = [
    ("401", Answer(status=401), "TEL-273", "refuses these credentials (got HTTP 401)"),
    ("403", Answer(status=403), "TEL-273", "refuses these credentials (got HTTP 403)"),
    ("404", Answer("404 page not found", 404, "text/plain"), "TEL-274", "got HTTP 404 text/plain"),
    ("404 in JSON", Answer('{"status":"error","error":"no such path"}', 404), "TEL-277", "HTTP 404 no such path"),
    ("HTML login page with 200", Answer("<h1>Sign in</h1>", kind="text/html"), "TEL-274", "text/html"),
    ("HTML login page that says it is JSON", Answer("<h1>Sign in</h1>"), "TEL-276", "invalid JSON"),
    ("no content type", Answer(matrix(good()), kind=""), "TEL-274", "without a type"),
    ("redirect to another host (F43)", Answer(status=301, headers={"Location": "http://127.0.0.2:1/"}), "TEL-272",
        "redirects (got HTTP 301"),
    ("429 without end (F43)", Answer(status=429, headers={"Retry-After": "86400"}), "TEL-270", "HTTP 429"),
    ("500 without end (F43)", Answer(status=500), "TEL-270", "HTTP 500"),
    ("503 without end (F43)", Answer(status=503), "TEL-270", "HTTP 503"),
    ("connection reset (F41)", Answer(reset=True), "TEL-270", "no answer"),
    ("a byte now and then in the head, without end (F42)", Answer(drip="headers"), "TEL-270", "no answer"),
    ("a byte now and then in the body, without end (F42)", Answer(drip="body"), "TEL-270", "no answer"),
    ("garbage (F44)", Answer(b"\x00\x01\xff\xfe"), "TEL-276", "invalid JSON"),
    ("truncated JSON (F44)", Answer(matrix(good())[:200]), "TEL-276", "invalid JSON"),
    ("half of the bytes it promised (F44)", Answer(matrix(good()), headers={"Content-Length": "999999"}), "TEL-270", "no answer"),
    ("body beyond the limit (F44)", Answer(b"[" + b" " * (9 << 20) + b"]"), "TEL-271", "too large"),
    ("gzip bomb (F44)", Answer(BOMB, headers={"Content-Encoding": "gzip"}), "TEL-271", "too large"),
    ("gzip that is none (F44)", Answer(b"not gzip", headers={"Content-Encoding": "gzip"}), "TEL-270", "DecodingError"),
    ("wrong charset (F44)", Answer(matrix(good()).encode("utf-16")), "TEL-276", "invalid JSON"),
    ("byte order mark", Answer("\ufeff" + matrix(good())), "TEL-276", "invalid JSON"),
    ("duplicate JSON key", Answer(TWICE), "TEL-276", "duplicate key 'status'"),
    ("NaN as a JSON number", Answer(matrix(good()).replace('"100.0"', "NaN", 1)), "TEL-276", "NaN is not a number"),
    ("Infinity as a JSON number", Answer(matrix(good()).replace('"100.0"', "-Infinity", 1)), "TEL-276", "-Infinity is not a number"),
    ("1e999 as a JSON number", Answer(matrix(good()).replace('"100.0"', "1e999", 1)), "TEL-276", "1e999 is out of range"),
    ("a number instead of text", Answer(matrix(changed(3, moment(4), 1.5))), "TEL-276", "not a sample value"),
    ("null for a value (F45)", Answer(matrix(changed(3, moment(4), None))), "TEL-276", "not a sample value"),
    ("null for the samples (F45)", Answer('{"status":"success","data":{"resultType":"matrix","result":null}}'), "TEL-276",
        "unexpected type"),
    ("null for the answer (F45)", Answer("null"), "TEL-277", "refuses the query"),
    ("value with a thousands separator", Answer(matrix(changed(3, moment(4), "1,000"))), "TEL-276", "not a sample value (got 1,000"),
    ("value in hexadecimal", Answer(matrix(changed(3, moment(4), "0x10"))), "TEL-276", "not a sample value (got 0x10"),
    ("value in Arabic digits", Answer(matrix(changed(3, moment(4), "١٢"))), "TEL-276", "not a sample value"),
    ("value with a line break", Answer(matrix(changed(3, moment(4), "1\n"))), "TEL-276", "not a sample value (got 1\\n"),
    ("value NA", Answer(matrix(changed(3, moment(4), "NA"))), "TEL-276", "not a sample value (got NA"),
    ("unknown extra series", Answer(SECOND_SERIES), "TEL-276", "returns several series (got 2 series)"),
    ("out of order", Answer(matrix([*good()[1:], good()[0]])), "TEL-279", "out of order"),
    ("timestamps in ms", Answer(matrix([[t * 1000, v] for t, v in good()])), "TEL-279", "outside the asked range"),
    ("timestamps in ms/s mix", Answer(matrix(changed(29, END * 1000, "1"))), "TEL-279", "outside the asked range"),
    ("timestamps in the future", Answer(matrix([*good(), [END + 3600, "1"]])), "TEL-279", "outside the asked range"),
    ("timestamps before the window", Answer(matrix([[END - 86400, "1"], *good()])), "TEL-279", "outside the asked range"),
    ("naive timestamps", Answer(matrix(changed(3, "2025-02-16T09:59:00", "1"))), "TEL-276", "not a sample"),
    ("timestamps with mixed time zones (F46)", Answer(matrix(changed(3, "2025-02-16T10:59:00+01:00", "1"))), "TEL-276", "not a sample"),
    ("timestamps that are true", Answer(matrix(changed(3, True, "1"))), "TEL-276", "not a sample"),
    ("unit differs from config: a series in s for ms", Answer(matrix(good(), labels={"__name__": "http_request_duration_seconds"})),
        "TEL-282", "has another unit in the protocol file than in its series (got http_request_duration_seconds, expected ms"),
    ("unit differs from config: a ratio for ms", Answer(matrix(good(), labels={"__name__": "cpu_ratio"})), "TEL-282", "cpu_ratio"),
    ("an answer with warnings", Answer(matrix(good(), warnings=["partial response"])), "TEL-278", "partial response"),
    ("hostile text in the server's own words", Answer(json.dumps({"status": "error", "error": HOSTILE}), 400), "TEL-277",
        "\\x1b[31m\\n=cmd"),
    ("brackets 100,000 deep", Answer("[" * 100_000), "TEL-276", "invalid JSON"),
    ("a number of 5,000 digits", Answer(matrix(good()).replace("1739", "9" * 5000, 1)), "TEL-276", "invalid JSON (got 9999"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_answer_that_is_none_is_one_line_and_no_measurement(
    server: tuple[type[Server], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None],
    answer: Answer, code: str, words: str,
) -> None:  # fmt: skip
    """The query by itself says its code; the baseline then has no sample of it, and does not come about. Nothing is written."""
    monkeypatch.chdir(tmp_path)
    handler, port = server
    handler.answers = lambda asked: answer
    limits = QUICK if answer.drip else PATIENT
    hook = PrometheusHook(connection=ConnectionValues(f"http://127.0.0.1:{port}"), limits=limits, sleep=lambda _: None)
    with pytest.raises(TelemetryError) as caught:
        hook.query_range(LATENCY, service="shop", instance="i", start=WINDOW.start + 2, end=END, step=2, rate_window=10, fetched_at=NOW)
    check(caught.value, code=code, words=words)
    with pytest.raises(TelemetryError) as halted:
        measured(port, LATENCY, limits=limits)
    assert halted.value.code in (code, "TEL-251")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_query_among_good_ones_is_a_label(server: tuple[type[Server], int]) -> None:
    """FETCH_ERROR scores nothing, so the required metric is missing and completeness falls."""
    handler, port = server
    handler.answers = lambda asked: Answer(TWICE if asked["query"] == "errors" else matrix(good()))
    found = {cell.metric: cell for cell in cells_of(measured(port, LATENCY, ERRORS))}
    assert Reason.FETCH_ERROR in found["error_rate"].reasons
    assert (found["error_rate"].score, found["error_rate"].value, found["latency_p95"].score) == (0.0, None, 1.0)


NEGATIVE = [[t, "-1"] for t, _ in good()]
# Case, samples, metric, label, valid samples.
LABELLED: list[tuple[str, list[list[Any]] | None, MetricSpec, Reason, int]] = [
    ("NaN", [[t, "NaN"] for t, _ in good()], LATENCY, Reason.NAN, 0),
    ("NaN in a half of the window", [[t, "NaN" if n % 2 else "100"] for n, (t, _) in enumerate(good())], LATENCY, Reason.NAN, 15),
    ("Infinity", [[t, "+Inf"] for t, _ in good()], LATENCY, Reason.NAN, 0),
    ("1e999", [[t, "1e999"] for t, _ in good()], LATENCY, Reason.NAN, 0),
    ("negative latency", changed(3, moment(4), "-0.5"), LATENCY, Reason.UNIT, 0),
    ("counter reset: a negative rate (F45)", NEGATIVE, RATE, Reason.UNIT, 0),
    ("error rate 250 %", changed(3, moment(4), "250"), ERRORS, Reason.UNIT, 0),
    ("CPU 180 without a per-core unit", [[t, "180"] for t, _ in good()], CPU, Reason.UNIT, 0),
    ("unit change in the middle of the window: percent becomes ratio times 10,000 (F45)",
        [[t, "50" if n < 15 else "5000"] for n, (t, _) in enumerate(good())], CPU, Reason.UNIT, 0),
    ("empty series", [], LATENCY, Reason.NODATA, 0),
    ("no series at all", None, LATENCY, Reason.NODATA, 0),
    ("gap > allowed", good()[:10] + good()[20:], LATENCY, Reason.TOO_FEW, 20),
    ("stale (F46)", good()[:24], LATENCY, Reason.STALE, 24),
    ("fewer samples than needed for p99", good()[-19:], LATENCY_P99, Reason.TOO_FEW, 19),
    ("duplicates with two values (F46)", sorted([*good(), *([t, "7"] for t, _ in good())], key=lambda s: float(s[0])),
        LATENCY, Reason.DUPLICATE, 0),
]  # fmt: skip


@pytest.mark.parametrize(("samples", "spec", "label", "valid"), [row[1:] for row in LABELLED], ids=[row[0] for row in LABELLED])
def test_samples_that_are_no_measurement_carry_a_label_and_never_pass(
    server: tuple[type[Server], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None],
    samples: list[list[Any]] | None, spec: MetricSpec, label: Reason, valid: int,
) -> None:  # fmt: skip
    """The cell says why; gate 1 on a baseline with it does not pass; if it is all there is, the baseline halts with TEL-251."""
    monkeypatch.chdir(tmp_path)
    handler, port = server
    handler.answers = lambda asked: Answer(matrix(samples))
    (cell,) = cells_of(measured(port, spec, judge=False))
    assert label in cell.reasons
    assert (cell.samples_valid, cell.value is None) == (valid, valid == 0)
    assert cell.score < 1
    if not valid:
        with pytest.raises(TelemetryError) as halted:
            measured(port, spec)
        check(halted.value, code="TEL-251", words="no valid sample in the whole window (got prometheus)")
    by_hand = GATES.Cycle(services=(GATES.service("api", metrics=("error_rate",)),))
    record = {"samples_valid": cell.samples_valid, "samples_expected": 30, "coverage": round(cell.coverage, 4), "value": cell.value}
    by_hand.baseline["cells"][0] |= {**record, "reasons": [reason.value for reason in cell.reasons]}
    assert by_hand.gate_1().outcome is not Outcome.PASS
    assert list(tmp_path.iterdir()) == []


def test_duplicates_that_are_identical_are_one_sample(server: tuple[type[Server], int]) -> None:
    """F46: de-duplicated only when identical, and said."""
    handler, port = server
    handler.answers = lambda asked: Answer(matrix(sorted([*good(), *good()])))
    (cell,) = cells_of(measured(port, LATENCY))
    assert (cell.samples_valid, cell.score, cell.reasons) == (30, 1.0, (Reason.DUPLICATE,))


def test_percentiles_out_of_order_halt_the_baseline(server: tuple[type[Server], int], check: Callable[..., None]) -> None:
    """percentile order broken (p95 > p99): the queries are swapped or wrong, so neither value is one."""
    handler, port = server
    handler.answers = lambda asked: Answer(matrix(good(300 if asked["query"] == "p95" else 200)))
    with pytest.raises(TelemetryError) as caught:
        measured(port, LATENCY_P99, LATENCY)
    check(caught.value, code="TEL-258", words="percentiles out of order (got latency_p95 300, latency_p99 200 ms")


@pytest.mark.parametrize("low", [good(200), [*good(100)[:-1], [END, "900"]], good(900)[:3] + [[t, "NaN"] for t, _ in good()[3:]], []])
def test_percentiles_in_order_accuse_nobody(server: tuple[type[Server], int], low: list[list[Any]]) -> None:
    """Equal ones, a single scrape that only one question saw, and moments that one of them lacks, are no wrong order."""
    handler, port = server
    high = good(200) if low[:1] != [[moment(1), "900"]] else [[t, "NaN"] for t, _ in good()[:3]] + good(200)[3:]
    handler.answers = lambda asked: Answer(matrix(low if asked["query"] == "p95" else high))
    assert len(cells_of(measured(port, LATENCY, LATENCY_P99))) == 2


def test_a_required_metric_that_was_never_asked_for_is_an_error(check: Callable[..., None]) -> None:
    """missing required metric: the list is fixed by the protocol file."""
    _, service = protocol_of(LATENCY, ERRORS)
    cell = measure_cell(
        LATENCY, service.name, series_of(), window_start=WINDOW.start, window_end=END, step=2, min_coverage=0.9, min_samples=20,
        max_staleness_seconds=10, collection_method="test",
    )  # fmt: skip
    with pytest.raises(TelemetryError) as caught:
        service_document(service, [cell], window=WINDOW, adherence={}, build=None, answers={})
    check(caught.value, code="TEL-253", words="a required metric was never asked for (got error_rate)")


def series_of(**changes: Any) -> Series:
    """A good series."""
    times, values = zip(*((t, float(v)) for t, v in good()), strict=True)
    fields: dict[str, Any] = {
        "metric": LATENCY.name, "service": PROTOCOL.services[0].name, "unit": LATENCY.unit, "source": "prometheus", "query": "p95",
        "start": WINDOW.start, "end": END, "step": 2, "times": times, "values": values, "fetched_at": NOW, "raw_sha256": "ab" * 32,
    }  # fmt: skip
    return Series(**{**fields, **changes})


def test_labels_of_a_series_reach_nothing_but_the_kept_answer(server: tuple[type[Server], int]) -> None:
    """label with newline/ANSI/HTML/Markdown/formula: what is measured is the same, and the answer is kept as the text of a JSON value."""
    handler, port = server
    handler.answers = lambda asked: Answer(matrix(good(), labels={"path": HOSTILE}))
    document = measured(port, LATENCY)
    answers = document.pop("answers")
    assert cells_of({**document, "answers": {}})[0].score == 1.0
    assert "script" not in json.dumps(document)
    assert json.loads(answers["latency_p95"])["data"]["result"][0]["metric"]["path"] == HOSTILE
    assert "\x1b" not in document_bytes(answers).decode()


def test_a_service_called_NA_or_null_is_a_name() -> None:
    """service `NA`/`null`: text stays text, nothing is taken for missing."""
    from perfproof.schemas import read_baseline_csv

    head = b"metric_name,service,value,unit,collection_method,timestamp\n"
    for name in ("NA", "null", "None", "nan"):
        rows, problems = read_baseline_csv(head + f"latency_p95,{name},1.5,ms,test,2025-02-16T10:00:00Z\n".encode())
        assert (problems, rows[0].service) == ((), name)


LINES = [
    ("duplicate JSON key", b'{"time":1739696400,"status":200,"status":500}'),
    ("NaN", b'{"time":1739696400,"ms":NaN}'),
    ("1e999", b'{"time":1e999}'),
    ("an integer of 401 digits for a time", b'{"time":1' + b"0" * 400 + b"}"),
    ("half a character", b'{"service":"\\ud800"}'),
    ("UTF-16", '{"time":1739696400}'.encode("utf-16")),
    ("brackets 5,000 deep", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    ("a list", b"[1]"),
    ("a line beyond 1 MiB", b'{"a":"' + b"x" * (1 << 20) + b'"}'),
]


@pytest.mark.parametrize("line", [row[1] for row in LINES], ids=[row[0] for row in LINES])
def test_a_log_line_that_is_none_is_counted_and_a_log_of_them_is_unknown(line: bytes, tmp_path: Path) -> None:
    """Never an exception, never a fresh log: the source says that it is missing."""
    found = summarise_lines(line + b"\n", cut=False, now=NOW)
    assert (found["lines"], found["malformed"], found["newest"]) == (0, 1, None)
    source = next(s for s in PROTOCOL.sources if s.kind == "json_lines")
    (tmp_path / "log.jsonl").write_bytes(line + b"\n")
    document = read_source(PROTOCOL, dataclasses.replace(source, path="log.jsonl"), now=NOW, workspace=Workspace(tmp_path))
    assert (document["status"] != "ok", "TEL-285" in document["reason"]) == (True, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]


@pytest.mark.parametrize("drip", ["headers", "body"])
def test_an_endpoint_that_drips_is_left_in_time(server: tuple[type[Server], int], drip: str, check: Callable[..., None]) -> None:
    """F42 for the target's own answers: the total time holds, and half an answer is none."""
    handler, port = server
    handler.answers = lambda asked: Answer(drip=drip)
    endpoint = dataclasses.replace(PROTOCOL.services[0].endpoints.baseline, host="127.0.0.1", port=port)
    with pytest.raises(LoadError) as caught:
        EndpointHook(endpoint, environment="demo", timeout_seconds=0.4).build()
    check(caught.value, code="LOD-301", words="no end of the answer within 0.4 s")


# F47: exact decisions, in decimal arithmetic.


@pytest.mark.parametrize(("valid", "met"), [(949, False), (950, True)])
def test_completeness_is_decided_exactly_at_95_percent(valid: int, met: bool) -> None:
    """94.9 % fails, 95.0 % passes."""
    cycle = GATES.Cycle(services=(GATES.service("api", critical=False),))
    cycle.rules = dataclasses.replace(cycle.rules, min_coverage=1.0)
    for cell in cycle.baseline["cells"]:
        cell |= {"samples_expected": 1000, "samples_valid": valid, "coverage": valid / 1000}
    cycle.baseline |= {"requirements": {"min_coverage": 1.0, "min_samples": 20}, "baseline_completeness": valid / 10}
    cycle.hypotheses["hypotheses"][0]["baseline"] = GATES.reference("baseline-metrics.json", cycle.baseline)
    result = cycle.gate_1()
    assert GATES.Kit.met(result)["baseline_completeness"] is met
    assert result.outcome is (Outcome.PASS if met else Outcome.FAIL)


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (1000, 850.01, Outcome.FAIL),
        (1000, 850, Outcome.PASS),
        (1000, 849.99, Outcome.PASS),
        (0.3, 0.255, Outcome.PASS),
        (0, 0, Outcome.INDETERMINATE),
        (0, -5, Outcome.INDETERMINATE),
        (None, 5, Outcome.INDETERMINATE),
    ],
    ids=["14.999", "15", "15.001", "15 in binary fractions", "baseline zero", "baseline zero, negative after", "no baseline"],
)
def test_improvement_is_decided_exactly_at_15_percent(before: Any, after: Any, outcome: Outcome) -> None:
    """14.999 fails, 15 and 15.001 pass; without a baseline above zero there is no percentage, and no pass."""
    cycle = GATES.Cycle()
    gained = None if not before else (before - after) / before * 100
    absolute = None if before is None else before - after
    cycle.validation["baseline"]["value"], cycle.validation["optimized"]["value"] = before, after
    met = gained is not None and outcome is Outcome.PASS
    cycle.validation["improvement"] = {"absolute": absolute, "percentage": gained, "meets_threshold": met}
    cycle.validation["status"] = "pass" if met else "fail"
    result = cycle.gate_3()
    assert GATES.Kit.met(result)["improvement"] is {Outcome.PASS: True, Outcome.FAIL: False}.get(outcome)
    assert (result.outcome is Outcome.PASS) is met


NOT_APPLICABLE = {
    "DST and naive local times in metrics (F46)": "Prometheus answers seconds since the epoch; text in their place is TEL-276 above",
    "TLS error (F41)": "needs a certificate of its own; httpx reports it as the ConnectError of test_prometheus_hook, TEL-270",
    "counter reset in a raw counter (F45)": "queries are rates of the source, which knows resets; a negative rate is UNIT above",
}


def test_what_does_not_apply_says_why() -> None:
    """Each exception has its reason."""
    assert all(len(reason) > 40 for reason in NOT_APPLICABLE.values())


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["NaN", "1e999", "-1", "matrix", "success", END, END * 1000, "\ud800", HOSTILE]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=12
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A good answer with some of its parts replaced by anything; or anything."""
    document: Any = json.loads(matrix(good()[:4], labels={"a": "b"}))
    if draw(st.integers(0, 4)) == 0:
        document = draw(JSON)
    else:
        for _ in range(draw(st.integers(1, 2))):
            place = draw(
                st.sampled_from(["status", "data", "resultType", "result", "series", "values", "sample", "time", "value", "metric"])
            )
            new = draw(JSON)
            try:
                series = document["data"]["result"][0]
                holder: Any = {
                    "status": document, "data": document, "resultType": document["data"], "result": document["data"],
                    "series": document["data"]["result"], "values": series, "metric": series, "sample": series["values"],
                    "time": series["values"][1], "value": series["values"][1],
                }[place]  # fmt: skip
                key: Any = {"series": 0, "sample": 1, "time": 0, "value": 1}.get(place, place)
                holder[key] = new
            except (KeyError, IndexError, TypeError):
                continue
    return json.dumps(document).encode("utf-8", "surrogatepass")


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(answers() | st.binary(max_size=40), st.sampled_from([LATENCY, ERRORS, CPU, RATE]))
def test_any_answer_is_a_cell_or_exactly_one_line(body: bytes, spec: MetricSpec) -> None:
    """Through hook and cell: never another exception, and no value out of nothing."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers={"content-type": "application/json"}))
    hook = PrometheusHook(connection=ConnectionValues("http://127.0.0.1:9"), transport=transport, sleep=lambda _: None)
    protocol, service = protocol_of(spec)
    try:
        document = measure_service(protocol, service, window=WINDOW, hooks={"prometheus": hook}, build=None, fetched_at=NOW)
    except PerfproofError as error:
        assert str(error).isprintable() and len(str(error)) <= 600
        return
    (cell,) = cells_of(document)
    assert cell.value is not None and cell.value >= 0


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(JSON.map(lambda v: json.dumps(v).encode("utf-8", "surrogatepass")) | st.binary(max_size=20), max_size=5), st.booleans())
def test_any_log_is_counted(lines: list[bytes], cut: bool) -> None:
    """Every line is read or counted as malformed, and the counts can be written."""
    found = summarise_lines(b"\n".join([*lines, b""]), cut=cut, now=NOW)
    assert document_bytes(found)
