"""Reading answers of the Prometheus API: the fast way reads what the slow way reads, and refuses nothing less."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfproof.answers.prometheus import instant_values, range_series
from perfproof.answers.range_frame import MAX_CELLS, SeriesTable, series_name
from perfproof.answers.refusal import AnswerRefusal
from perfproof.answers.sample_texts import SAMPLE, samples_in
from perfproof.errors import TelemetryError

REFUSE = AnswerRefusal("prometheus")
PATH = "/api/v1/query_range"


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def matrix(*series: Any, **others: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}, **others}


def read(body: bytes) -> list[Any]:
    return range_series(body, status=200, path=PATH, refuse=REFUSE)


def slowly(text: bytes) -> list[tuple[float, float]] | None:
    """The samples as JSON and one regular expression say it; None if they say there are none."""
    try:
        pairs = json.loads(b"[" + text + b"]", parse_constant=lambda word: pytest.fail(word))
    except ValueError:
        return None
    found = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        moment, value = pair
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
            return None
        if not isinstance(value, str) or not SAMPLE.fullmatch(value):
            return None
        found.append((float(moment), float(value)))
    return found


values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "0", "-0", "1e5", "1E-7", "+1.5", "007", "1e999", "4.9e-324", "9007199254740993"]),
)
times = st.one_of(st.integers(1, 2**53 - 1), st.floats(1, 1e10).map(lambda t: round(t, 3)))
samples = st.lists(st.tuples(times, values), min_size=1, max_size=6)
damages = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([*'[]",.+-eE0179NaIinf ', ""])), min_size=1, max_size=3)
label_sets = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)


def written(pairs: list[tuple[Any, str]]) -> bytes:
    return ",".join(f'[{moment},"{value}"]' for moment, value in pairs).encode()


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@given(samples)
def test_numbers_are_those_of_the_slow_way_to_the_last_bit(pairs: list[tuple[Any, str]]) -> None:
    """Correctly rounded doubles, NaN among them; what is left to the slow way is read there."""
    text = written(pairs)
    fast, expected = samples_in(text), slowly(text)
    if fast is not None:
        assert expected is not None
        assert fast[0].tolist() == [moment for moment, _ in expected]
        assert all(map(same, fast[1].tolist(), [value for _, value in expected]))
    if expected is not None:
        (series,) = read(b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[' + text + b"]}]}}")
        assert all(map(same, series.samples[1].tolist(), [value for _, value in expected]))


@given(samples, damages)
@example([(1739, "1.5"), (1740, "2")], [(2, "[")])
@example([(1739, "1.5")], [(10, "3")])
@example([(1739, "NaN")], [(7, "")])
def test_a_damaged_text_is_never_read_the_fast_way(pairs: list[tuple[Any, str]], damage: list[tuple[int, str]]) -> None:
    """Characters replaced, put in or taken out: the fast way gives the numbers of the slow way, or leaves it to it."""
    text = written(pairs).decode()
    for place, character in damage:
        at = place % len(text)
        text = text[:at] + character + text[at + (place % 2) :]
        if not text:
            return
    fast, expected = samples_in(text.encode()), slowly(text.encode())
    if fast is not None:
        assert expected is not None, text
        assert fast[0].tolist() == [moment for moment, _ in expected]
        assert all(map(same, fast[1].tolist(), [value for _, value in expected]))


@pytest.mark.parametrize(
    "text",
    [
        '1[739,"1"]', '[17,39"1"]', '[1739,"1"2]', '["1739",1]', '[1739,"1"],', '[1739,""]', '[,"1"]', '[1739,"1."]', '[1739,".5"]',
        '[1739,"nan"]', '[1739,"NAN"]', '[1739,"Infinity"]', '[1739,"1_0"]', '[1739, "1"]', '[1739,"0x1"]', '[01739,"1"]', '[+1739,"1"]',
        '[1739,null]', '[null,"1"]', '[true,"1"]', '[1739,"1"][1740,"2"]', '[1739,"1","2"]', "", '[1739,"1e999"]', '[NaN,"1"]',
        '[1739,"1NaN"]', '[1739,"NaN"NaN"]', '[1739,"-NaN"]', '[1,"2,"3"],[4"],[5,"6"]',
    ],
)  # fmt: skip
def test_text_that_only_looks_like_samples_is_left_to_the_slow_way(text: str) -> None:
    """Each of these would be a number to a careless reader."""
    assert samples_in(text.encode()) is None


def test_what_is_around_the_samples_is_read_as_strictly_as_ever() -> None:
    """Duplicate keys, NaN and half characters outside of the samples are errors though the samples were fine."""
    good = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]}}'
    assert read(good)[0].labels == {"a": "b"}
    for old, new in [
        (b'"status":"success"', b'"status":"success","status":"success"'),
        (b'{"a":"b"}', b'{"a":"b","a":"c"}'),
        (b'{"a":"b"}', b'{"a":"\\ud800"}'),
        (b'{"a":"b"}', b'{"a":"\xff"}'),
        (b'{"a":"b"}', b'{"a":1}'),
        (b'{"a":"b"}', b'{"values":[[1,"2"]]}'),
        (b'"values":[[1,"2"]]', b'"values":[[1,"2"]],"values":[[1,"2"]]'),
        (b'"values":[[1,"2"]]', b'"values":[[1,"2"]],"more":{"values":[[1,"2"]]}'),
        (b'"values":[[1,"2"]]', b'"values":0'),
        (b'"values":[[1,"2"]]', b'"values":"values":[[1,"2"]]'),
        (b'"values":[[1,"2"]]', b'"values":[[1,"2"]'),
        (b'"values":[[1,"2"]]', b'"values":[[1,"2]]"]]'),
        (b"]}}", b"]}} "[:2]),
    ]:
        assert old in good
        with pytest.raises(TelemetryError, match="TEL-276"):
            read(good.replace(old, new))


def test_a_label_may_look_like_samples() -> None:
    """Text of a label is text, whatever it says."""
    labels = {"x": 'a"values":[[1,"2"]]', 'y"values': "[[", "z": "]]}"}
    (series,) = read(compact(matrix({"metric": labels, "values": [[1, "2"], [3, "4"]]})))
    assert series.labels == labels
    assert series.samples[1].tolist() == [2.0, 4.0]


def test_white_space_changes_nothing() -> None:
    """Pretty JSON is read the slow way, with the same result."""
    document = matrix({"metric": {"a": "1"}, "values": [[1, "2"], [3, "NaN"]]}, {"metric": {"a": "2"}, "values": []})
    for body in (compact(document), json.dumps(document, indent=1).encode()):
        first, second = read(body)
        assert (first.samples[0].tolist(), repr(first.samples[1].tolist()), len(second.samples[0])) == ([1.0, 3.0], "[2.0, nan]", 0)


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ({"warnings": ["No StoreAPIs matched for this query"]}, 278),
        ({"warnings": "partial response"}, 278),
        ({"warnings": ["PromQL info: metric might not be a counter: \"x\"", "PromQL warning: mix of histograms and floats"]}, 278),
        ({"isPartial": True}, 702),
        ({"isPartial": "false"}, 702),
        ({"infos": ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity"]}, 708),
        ({"infos": ["PromQL info: ignored histograms in a range containing both floats and histograms"]}, 708),
    ],
)  # fmt: skip
def test_an_answer_that_its_server_doubts_is_refused(others: dict[str, Any], code: int) -> None:
    """Thanos, VictoriaMetrics and Prometheus 3 each say it in their own way."""
    body = compact(matrix({"metric": {}, "values": [[1, "2"]]}, **others))
    with pytest.raises(TelemetryError, match=f"TEL-{code}"):
        read(body)
    vector = compact({"status": "success", "data": {"resultType": "vector", "result": []}, **others})
    with pytest.raises(TelemetryError, match=f"TEL-{code}"):
        instant_values(vector, status=200, path="/api/v1/query", refuse=REFUSE)


@pytest.mark.parametrize(
    "others",
    [{"isPartial": False}, {"warnings": []}, {"infos": ['PromQL info: metric might not be a counter, name "x" (1:6)']}, {"stats": {}}],
)
def test_what_says_nothing_about_the_numbers_is_no_doubt(others: dict[str, Any]) -> None:
    """VictoriaMetrics says that nothing is missing, and Prometheus remarks on a name."""
    assert len(read(compact(matrix({"metric": {}, "values": [[1, "2"]]}, **others)))) == 1


def test_a_native_histogram_is_refused_with_the_way_out() -> None:
    """It has buckets in place of a value, beside samples or without them, in range and instant answers."""
    histogram = [1, {"count": "3", "sum": "1.5", "buckets": []}]
    for series in ({"metric": {}, "histograms": [histogram]}, {"metric": {}, "values": [[1, "2"]], "histograms": [histogram]}):
        with pytest.raises(TelemetryError, match=r"TEL-703 .*histogram_quantile"):
            read(compact(matrix(series)))
    vector = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": histogram}]}}
    with pytest.raises(TelemetryError, match=r"TEL-703 .*histogram_quantile"):
        instant_values(compact(vector), status=200, path="/api/v1/query", refuse=REFUSE)


def table(points: int = 4, *parts: tuple[int, int, bytes]) -> SeriesTable:
    made = SeriesTable(1_000_000, 15_000, points, REFUSE)
    for first, last, body in parts:
        made.add(read(body), first=first, last=last)
    return made


def test_a_table_has_a_row_for_every_moment_and_a_column_for_every_series() -> None:
    """Parts are joined by labels; series that begin late or end early are NaN elsewhere."""
    one, two = {"__name__": "up", "i": "1"}, {"__name__": "up", "i": "2"}
    first = compact(matrix({"metric": one, "values": [[1000, "1"], [1015, "2"]]}))
    second = compact(matrix({"metric": two, "values": [[1045, "8"]]}, {"metric": one, "values": [[1030, "3"], [1045, "4"]]}))
    made = table(4, (0, 1, first), (2, 3, second))
    frame = made.frame()
    assert list(frame.columns) == ['up{i="1"}', 'up{i="2"}']
    assert [str(moment) for moment in frame.index[:2]] == ["1970-01-01 00:16:40+00:00", "1970-01-01 00:16:55+00:00"]
    assert repr(frame.to_numpy().T.tolist()) == "[[1.0, 2.0, 3.0, 4.0], [nan, nan, nan, 8.0]]"
    assert made.samples == 5


@pytest.mark.parametrize(
    ("moments", "code"),
    [
        ([1007], 707), ([1000.5], 707), ([1060], 707), ([985], 707), ([1e300], 279), ([1000, 1000], 279), ([1015, 1000], 279),
        ([1_000_000, 1_015_000], 707),
    ],
)  # fmt: skip
def test_a_table_refuses_samples_of_other_moments(moments: list[float], code: int) -> None:
    """Off the asked grid, outside of it, in milliseconds, twice, or backwards."""
    with pytest.raises(TelemetryError, match=f"TEL-{code}"):
        table(4, (0, 3, compact(matrix({"metric": {}, "values": [[moment, "1"] for moment in moments]}))))


def test_the_moments_of_one_series_are_not_taken_for_those_of_another_part() -> None:
    """Equal times in a later part are outside of it."""
    body = compact(matrix({"metric": {}, "values": [[1000, "1"], [1015, "2"]]}))
    with pytest.raises(TelemetryError, match="TEL-707"):
        table(4, (0, 1, body), (2, 3, body))


def test_a_table_refuses_equal_labels_and_too_many_cells() -> None:
    """Two columns of one name, and more than fits into memory."""
    series = {"metric": {}, "values": [[1000, "1"]]}
    with pytest.raises(TelemetryError, match="TEL-704"):
        table(4, (0, 3, compact(matrix(series, series))))
    with pytest.raises(TelemetryError, match="TEL-705"):
        table(MAX_CELLS + 1, (0, 3, compact(matrix(series))))


@given(label_sets, label_sets)
def test_names_of_series_are_one_line_and_tell_labels_apart(left: dict[str, str], right: dict[str, str]) -> None:
    """Hostile labels neither break a line nor take another series' column."""
    assert series_name(left).isprintable()
    assert (series_name(left) == series_name(right)) == (left == right)


def test_names_of_series_are_promql() -> None:
    """Sorted labels, quoted as PromQL quotes."""
    assert series_name({"__name__": "up", "b": 'x"y\\', "a": "1\n"}) == 'up{a="1\\n",b="x\\"y\\\\"}'
    assert (series_name({}), series_name({"__name__": "up"}), series_name({"a.b": "1"})) == ("{}", "up", '{"a.b"="1"}')
