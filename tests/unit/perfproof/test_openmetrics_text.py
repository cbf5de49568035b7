"""The reader of expositions agrees with prometheus_client's on what that writes, and refuses what is none in short time."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import TelemetryError
from perfproof.scrapes.openmetrics_text import MAX_KEPT, MAX_LINE, MAX_LINES, Exposition, excerpt, read_exposition


def read(data: bytes | str, *names: str) -> Exposition:
    text = data.encode() if isinstance(data, str) else data
    return read_exposition(text, names=names or ("a",), where="endpoint", error=TelemetryError, number=759)


def test_values_labels_moments_and_exemplars() -> None:
    """As the format describes them; the moment is milliseconds before OpenMetrics and seconds in it."""
    (sample,) = read('a{x="}\\"\\n\\\\",y="2",} +Inf 1500\nother 1\n').samples
    assert (sample.labels, sample.value, sample.at) == ((("x", '}"\n\\'), ("y", "2")), math.inf, 1.5)
    (sample,) = read('a{x="1"} 2 1.5 # {trace_id="t"} 0.3 1.4\n# EOF\n').samples
    assert (sample.value, sample.at) == (2.0, 1.5)
    assert [s.value for s in read("a 1e-3\n").samples + read("a\t.5\r\n").samples + read("  a{} -7 \n").samples] == [0.001, 0.5, -7.0]
    assert math.isnan(read("a NaN\n").samples[0].value)


def test_a_declared_unit_is_found() -> None:
    """OpenMetrics has a line for it."""
    assert read("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n").units == {"a_seconds": "seconds"}


LABEL = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=12)


@given(
    rows=st.lists(st.tuples(LABEL, LABEL, st.floats()), min_size=1, max_size=8, unique_by=lambda row: row[:2]), openmetrics=st.booleans()
)
def test_what_prometheus_client_writes_is_read_as_its_own_parser_reads_it(rows: list[tuple[str, str, float]], openmetrics: bool) -> None:
    """Labels of any text, in both formats."""
    client = pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
    from prometheus_client import exposition, parser
    from prometheus_client.openmetrics import exposition as om_exposition
    from prometheus_client.openmetrics import parser as om_parser

    registry = client.CollectorRegistry()
    gauge = client.Gauge("a", 'help with " and \\', ["x", "y"], registry=registry)
    for x, y, value in rows:
        gauge.labels(x, y).set(value)
    data = (om_exposition if openmetrics else exposition).generate_latest(registry)
    families = (om_parser if openmetrics else parser).text_string_to_metric_families(data.decode())
    oracle = {(tuple(sorted(s.labels.items())), repr(float(s.value))) for family in families for s in family.samples if s.name == "a"}
    assert {(sample.labels, repr(sample.value)) for sample in read(data).samples} == oracle


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# EOF\n",
        "# HELP a text\n# TYPE a gauge\n",
        "<!doctype html><title>Sign in</title>",
        '{"status":"success"}',
        "a",
        "a1",
        "a x",
        "a 1 2 3",
        "a 1_000",
        "a 0x10",
        "a 1,5",
        'a{x="1" 1',
        'a{x="1',
        "a{x=1} 1",
        'a{x="1"y="2"} 1',
        'a{x="1",x="2"} 1',
        'a{1x="1"} 1',
        "a 1\na 2",
        'a{x="1",y="2"} 1\na{y="2",x="1"} 1',
        "a 1\n# EOF\na 2\n# EOF\n",
        "a 1\n\0",
        "a 1 # {} ",
        "9a 1",
        "a 1\n\ufeffb 2",
        "a٣ 1",
        "a ٣",
        'a{x="' + "x" * MAX_LINE + '"} 1',
        "a{" + ",".join(f'l{n}=""' for n in range(65)) + "} 1",
    ],
)
def test_what_is_no_exposition_is_refused_in_one_line(text: str) -> None:
    """Also where only one line of it is wrong: a half that can be read says nothing about the other."""
    with pytest.raises(TelemetryError, match="TEL-759 endpoint") as caught:
        read(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= 600


def test_other_bytes_too_many_lines_and_too_many_series_are_refused() -> None:
    """By their number, before they cost anything."""
    for data in (b"a \xff 1\n", b"b 1\n" * (MAX_LINES + 1), "".join(f'a{{x="{n}"}} 1\n' for n in range(MAX_KEPT + 1)).encode()):
        with pytest.raises(TelemetryError, match="TEL-759"):
            read(data)


@pytest.mark.parametrize("piece", ["\\", '"', '\\"', "{", "}", 'x="1",', " ", "a", "# {", "1 ", "e1", "_"])
@pytest.mark.parametrize("begin", ["", "a", "a{", 'a{x="', "a 1 # {", 'a{x="1"} 1', "# UNIT a ", "a 1"])
def test_no_line_takes_longer_than_its_length(begin: str, piece: str) -> None:
    """A pattern that tries again and again would stand still at such lines; this reads hundreds of them in a moment."""
    line = (begin + piece * (MAX_LINE // len(piece)))[: MAX_LINE - 1] + "\n"
    started = time.process_time()
    for _ in range(20):
        try:
            read(line + "a 1\n")
        except TelemetryError:
            continue
    assert time.process_time() - started < 2


@given(st.binary(max_size=200))
def test_any_bytes_give_an_exposition_or_the_one_error(data: bytes) -> None:
    """Nothing else comes out."""
    try:
        assert isinstance(read(data), Exposition)
    except TelemetryError as error:
        assert error.code == "TEL-759"


def test_the_excerpt_holds_the_lines_of_the_named_series_and_reads_the_same() -> None:
    """Names that only begin alike are others; comments without units go."""
    data = b'# TYPE a gauge\na{x="1"} 1 \nab 2\na 3\n b 5\n# UNIT a seconds\nA 1\n# EOF\n'
    kept = excerpt(data, names=("a", "b"))
    assert kept == b'a{x="1"} 1\na 3\nb 5\n# UNIT a seconds\n# EOF\n'
    assert read(kept, "a", "b") == read(data.replace(b'\na{x="1"} 1 \n', b'\na{x="1"} 1\n'), "a", "b")
    assert excerpt(data, names=()) == b"# UNIT a seconds\n# EOF\n"
