"""What no tool writes: refused in one line, or left out and counted; never dropped in silence, never another exception."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfproof.errors import ArtifactError, PerfproofError
from perfproof.load_files import LoadFile, read_load_file
from perfproof.load_files.byte_stream import ByteStream

FILES = Path(__file__).parents[3] / "fixtures" / "load_files"
K6 = (
    "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,scenario,service,status,subproto,"
    "tls_version,url,extra_tags,metadata\n"
)
JMETER = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,success\n"
HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"


def read(data: bytes | str) -> LoadFile:
    return read_load_file(io.BytesIO(data.encode() if isinstance(data, str) else data), where="x")


def k6(
    *, time: str = "1795520011", value: str = "1.5", expected: str = "true", name: str = "a", status: str = "200", group: str = ""
) -> str:
    return f"http_req_duration,{time},{value},,,,{expected},{group},GET,{name},HTTP/1.1,s,,{status},,,u,,\n"


def jmeter(*, time: str = "1795520302529", elapsed: str = "31", success: str = "true", label: str = "a") -> str:
    return f"{time},{elapsed},{label},200,OK,users 1-1,{success}\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "ART-481"),
        ("\n\n", "ART-481"),
        ("hello\n", "ART-481"),
        ('{"a": 1}', "ART-481"),
        ("[1, 2]", "ART-481"),
        ("<html><body>502</body></html>", "ART-481"),
        ("intended_start,start,end,status,transaction,ok\n", "ART-482"),
        ("var stats = {\n", "ART-482"),
        (K6, "ART-486"),
        (K6[:-1], "ART-488"),
        (JMETER[:-1], "ART-488"),
        (HEY[:-1], "ART-488"),
        ("RUN\t", "ART-486"),
        ("Type,Name,Request Count,Failure Count,", "ART-488"),
        (K6 + "vus,1795520011,1.0,,,,,,,,,,,,,,,,\n", "ART-486"),
        (K6 + k6() + "http_req_duration,1795520011\n", "ART-483"),
        (K6 + k6() + "http_req_waiting,1795520011\n", "ART-483"),
        (K6 + k6(name='"a') + k6(), "ART-485"),
        (K6 + k6(value="NaN"), "ART-484"),
        (K6 + k6(value="inf"), "ART-484"),
        (K6 + k6(value="-1"), "ART-484"),
        (K6 + k6(value="1_5"), "ART-484"),
        (K6 + k6(value=" 1"), "ART-484"),
        (K6 + k6(value=""), "ART-484"),
        (K6 + k6(value="1.5ms"), "ART-484"),
        (K6 + k6(value="١"), "ART-484"),
        (K6 + k6(value="1e9"), "ART-484"),
        (K6 + k6(value="1e999"), "ART-484"),
        (K6 + k6(time="12"), "ART-484"),
        (K6 + k6(time="yesterday"), "ART-484"),
        (K6 + k6() + k6(time="1795520011000"), "ART-484"),
        (K6 + k6() + k6(time="1495520011"), "ART-484"),
        (K6 + k6(expected="maybe"), "ART-484"),
        (K6 + k6(expected="", status=""), "ART-482"),
        (K6 + k6(name="a\0b"), "ART-483"),
        (K6.replace("name,proto", "x,proto") + k6(), "ART-488"),
        (K6.replace("check", "name") + k6(), "ART-488"),
        (JMETER + jmeter(elapsed="1.5"), "ART-484"),
        (JMETER + jmeter(elapsed="-5"), "ART-484"),
        (JMETER + jmeter(success="yes"), "ART-484"),
        (JMETER + jmeter(time="1795520302"), None),
        (JMETER + jmeter() + jmeter(time="1795520302"), "ART-484"),
        (JMETER + jmeter() + "1795520302529,31,a,200\n", "ART-483"),
        (JMETER.replace("success", "ok") + jmeter(), "ART-488"),
        (HEY + "0.0148,0,0,0,0,0,200,-0.1\n", "ART-484"),
        (HEY + "0.0148,0,0,0,0,0,0,0.1\n", "ART-484"),
        (HEY + "1e5,0,0,0,0,0,200,0.1\n", "ART-484"),
        ("RUN\ta\tb\t1795520000000\t \t3.9.5\nREQUEST\t\ta\t1795520000131\t1795520000110\tOK\t \n", "ART-484"),
        ("RUN\ta\tb\t1795520000000\t \t3.9.5\nREQUEST\t\ta\t1795520000\t1795520001\tOK\t \n", "ART-484"),
        ("RUN\ta\tb\t1795520000000\t \t3.9.5\nREQUEST\t\ta\t1795520000110\n", "ART-483"),
        ("RUN\ta\tb\t1795520000000\t \t3.9.5\nNOISE\n", "ART-483"),
        ("1795520000123456789,200,21345678,0,3,,b2sK,peak\n", "ART-483"),
        ("1795520000123456789,200,-1,0,3,,b2sK,peak,0\n", "ART-481"),
        ('<?xml version="1.0"?><!DOCTYPE testResults [<!ENTITY a "b">]><testResults></testResults>', "ART-483"),
        ("<testResults><sample t='1' ts='1795520302529' s='true'/></testResults>", "ART-483"),
        ("<testResults>" + "<a>" * 70, "ART-483"),
        ("<testResults></other>", "ART-485"),
        ("<testResults></testResults>", "ART-486"),
        ('{"metrics": {"http_req_duration": {"avg": -1}, "http_reqs": {"count": 3, "rate": 1}}}', "ART-484"),
        ('{"metrics": {"http_req_duration": {"avg": NaN}, "http_reqs": {"count": 3, "rate": 1}}}', "ART-483"),
        ('{"metrics": {"iterations": {}}}', "ART-486"),
        ('{"metrics": []}', "ART-483"),
        ('{"latencies": {}, "requests": 0, "success": 0, "duration": 1, "rate": 1}', "ART-486"),
        ('{"latencies": {}, "requests": 5, "success": 1.5, "duration": 1, "rate": 1}', "ART-484"),
        ('{"numberOfRequests": {"total": 1, "ok": 0, "ko": 2}}', "ART-484"),
        ('{"numberOfRequests": {"total": "many"}}', "ART-484"),
        ("Type,Name,Request Count,Failure Count,Average Response Time,Requests/s\n,Aggregated,1,2,5,1\n", "ART-484"),
        ("Type,Name,Request Count,Failure Count,Average Response Time,Requests/s\n,Aggregated,5,2,5", "ART-485"),
        ("Type,Name,Request Count,Failure Count,Average Response Time,Requests/s\nGET,/,5,2,5,1\n", "ART-486"),
        (b"\x1f\x8b\x08 no archive", "ART-485"),
        (gzip.compress((K6 + k6()).encode(), mtime=0) + b"more", "ART-485"),
        ((K6 + k6()).encode().replace(b"true", b"tr\xffe"), "ART-483"),
    ],
)
def test_what_no_tool_writes_is_refused(data: bytes | str, code: str | None) -> None:
    """One line with the code of its kind, wherever it stands."""
    if code is None:
        assert read(data).requests is not None
        return
    with pytest.raises(ArtifactError) as raised:
        read(data)
    assert (raised.value.code, "\n" in str(raised.value)) == (code, False)


@pytest.mark.parametrize("data", [K6 + k6() + k6(), JMETER + jmeter() + jmeter(), HEY + "0.0148,0,0,0,0,0,200,0.1\n" * 2])
@pytest.mark.parametrize("cut", [1, 2, 5, 9])
def test_the_cut_last_line_of_a_killed_tool_is_left_out_and_counted(data: str, cut: int) -> None:
    """Even where it could be read: `12` may be the beginning of `123`."""
    file = read(data[:-cut])
    assert file.requests is not None and len(file.requests) == 1
    assert len(file.left_out) == 1 and "the tool was ended while it wrote" in file.left_out[0]


def test_a_gzip_file_that_stops_early_gives_what_is_in_it() -> None:
    """Whole lines of it, and says so."""
    packed = gzip.compress((K6 + "".join(k6(value=f"{i}.123456", time=str(1795520011 + i * 7919 % 1000)) for i in range(5000))).encode())
    file = read(packed[: len(packed) // 2])
    assert file.requests is not None and 0 < len(file.requests) < 5000
    assert any("stops early" in sentence for sentence in file.left_out)


def test_a_jtl_as_xml_that_stops_early_gives_what_is_in_it() -> None:
    """The samples before, and says so."""
    whole = (FILES / "real/jmeter-flat.xml").read_bytes()
    file = read(whole[: len(whole) // 2])
    assert file.requests is not None and 0 < len(file.requests) < 96
    assert any("ends without </testResults>" in sentence for sentence in file.left_out)


@pytest.mark.parametrize("name", ["=1+1", "<script>", "a\nb", 'a "b", c', "\u202eabc", "ü" * 100, ""])
def test_names_are_read_as_they_are(name: str) -> None:
    """Escaping is for those who write them."""
    quoted = '"' + name.replace('"', '""') + '"'
    requests = read(K6 + k6(name=quoted)).requests
    assert requests is not None and requests.names == (name,)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    """As an editor may leave them."""
    plain, other = read(K6 + k6() + k6()), read(b"\xef\xbb\xbf" + (K6 + k6() + k6()).replace("\n", "\r\n").encode())
    assert plain.requests is not None and other.requests is not None
    assert plain.requests.latency_ms.tolist() == other.requests.latency_ms.tolist()


def test_setup_and_teardown_of_k6_are_left_out_and_counted() -> None:
    """They are no load."""
    file = read(K6 + k6() + k6(group="::setup") + k6(group="::teardown"))
    assert file.requests is not None and len(file.requests) == 1
    assert file.left_out == ("2 requests of setup() and teardown()",)


def test_dropped_iterations_of_k6_are_counted() -> None:
    """Load that was not sent."""
    assert read(K6 + k6() + "dropped_iterations,1795520011,7.000000,,,,,,,,,s,,,,,,,\n").dropped == 7


@pytest.mark.parametrize(("status", "ok"), [("200", True), ("302", True), ("404", False), ("0", False)])
def test_without_expected_response_the_status_decides(status: str, ok: bool) -> None:
    """As with setResponseCallback(null)."""
    requests = read(K6 + k6(expected="", status=status)).requests
    assert requests is not None and requests.ok.tolist() == [ok]


def test_too_many_names_are_refused() -> None:
    """Each would be a line of the report, and a URL with an id in it is no route."""
    with pytest.raises(ArtifactError, match="ART-487"):
        read(K6 + "".join(k6(name=f"/item/{i}") for i in range(10_001)))


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    """A gzip file of a few KB may hold gigabytes of one line."""
    with pytest.raises(ArtifactError, match="ART-485"):
        read(gzip.compress((K6 + k6()).encode() + b"a" * (18 << 20)))


@pytest.mark.parametrize("inside", ["\n", '""\n'])
def test_quotes_over_very_many_lines_are_one_record(inside: str) -> None:
    """Millions of line breaks between two quotes: a refusal, and not the time of all pairs of them."""
    with pytest.raises(ArtifactError, match=r"ART-48[35]"):
        read(K6 + '"' + inside * 2_000_000 + '"\n')


def test_an_endless_tag_does_not_fill_the_memory() -> None:
    """An XML parser keeps a tag until it closes."""
    with pytest.raises(ArtifactError, match="ART-485"):
        read(gzip.compress(b"<testResults><sample lb='" + b"a" * (20 << 20)))


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_records_do_not_depend_on_how_the_bytes_come(step: int) -> None:
    """A file system may give one byte at a time."""
    data = b'a,"b\nc",d\n\ne,"f ""g""\n",h\r\nrest'

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(step, size) if size and size > 0 else step)

    stream = ByteStream(Slow(data), where="x")
    assert [r for records in stream.records(quoted=True) for r in records] == [b'a,"b\nc",d', b"", b'e,"f ""g""\n",h']
    assert stream.cut_off == 4


SEEDS = sorted(path.read_bytes()[:6000] for path in FILES.glob("*/*"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_bytes_of_any_kind_give_a_value_or_an_error_of_ours(data: st.DataObject) -> None:
    """Random bytes, and files of the tools with a piece replaced: PerfproofError in one line, or a file that holds requests."""
    base = data.draw(st.one_of(st.binary(max_size=300), st.sampled_from(SEEDS)))
    at, length = data.draw(st.integers(0, len(base))), data.draw(st.integers(0, 40))
    piece = data.draw(
        st.one_of(st.binary(max_size=20), st.sampled_from([b'"', b"\n", b"NaN", b"-1", b",", b"\0", b"{", b"9" * 30, b"1e308"]))
    )
    try:
        file = read(base[:at] + piece + base[at + length :])
    except PerfproofError as error:
        assert "\n" not in str(error)
        return
    if file.requests is not None:
        assert len(file.requests) > 0
        assert ((file.requests.latency_ms >= 0) & (file.requests.latency_ms <= 86_400_000)).all()


KEYS = [
    *("metrics", "http_req_duration", "http_reqs", "count", "rate", "values", "http_req_failed", "passes"),
    *("latencies", "requests", "success", "duration", "stats", "contents", "name", "type", "percentiles1"),
    *("numberOfRequests", "total", "ko", "meanNumberOfRequestsPerSecond"),
]
DOCUMENTS: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_json_of_any_shape_gives_a_value_or_an_error_of_ours(document: object) -> None:
    """The keys of the summaries with whatever under them."""
    for text in (json.dumps(document), json.dumps({"metrics": document}), json.dumps({"stats": document, "contents": document})):
        try:
            read(text)
        except PerfproofError as error:
            assert "\n" not in str(error)
