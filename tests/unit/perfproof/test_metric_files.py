"""Samples from files of metrics: each form, each way to write a moment, and each thing that can be wrong with its place."""

from __future__ import annotations

import io
import json
import math
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import TelemetryError
from perfproof.inputs.metric_file_rows import MAX_BYTES, MAX_LINE, MAX_OBJECT, form_of
from perfproof.inputs.metric_files import MetricRows, Wanted, read_samples
from perfproof.telemetry import Unit

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC).timestamp()
WANTED = Wanted("p95", "api", "10.0.0.1:80", Unit.MILLISECONDS, after=NOW - 60, until=NOW, latest=NOW + 60)
HEADER = "timestamp,metric,service,value\n"


def iso(before: float = 0) -> str:
    return datetime.fromtimestamp(NOW - before, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(data: str | bytes, form: str = "csv", wanted: Wanted = WANTED) -> MetricRows:
    return read_samples(data.encode() if isinstance(data, str) else data, form=form, wanted=wanted, where="m", error=TelemetryError)


def parquet(columns: dict[str, Any], **more: Any) -> bytes:
    pa = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    import pyarrow.parquet as pq

    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, **more)
    return target.getvalue()


def test_long_and_wide_form_give_the_same_samples_in_every_kind_of_file() -> None:
    """Other metrics, other services and other moments are left alone."""
    rows = [
        {"timestamp": iso(60), "metric": "p95", "service": "api", "value": 9.0},  # belongs to the window before
        {"timestamp": iso(30), "metric": "p95", "service": "api", "value": 1.5},
        {"timestamp": iso(30), "metric": "p95", "service": "web", "value": 7.0},
        {"timestamp": iso(15), "metric": "rps", "service": "api", "value": 8.0},
        {"timestamp": iso(0), "metric": "p95", "service": "api", "value": 2.0},
    ]
    wide = [{"timestamp": iso(30), "p95": 1.5, "rps": 3.0}, {"timestamp": iso(0), "p95": 2.0, "rps": 4.0}]
    for content in (rows, wide):
        columns = {name: [row[name] for row in content] for name in content[0]}
        lines = "\n".join([",".join(columns), *(",".join(map(str, row.values())) for row in content)])
        for form, data in (("csv", lines.encode()), ("json", json.dumps(content).encode()), ("parquet", parquet(columns))):
            found = read(data, form)
            assert (found.times, found.values) == ([NOW - 30, NOW], [1.5, 2.0]), (form, content is wide)
            assert len(found.lines) == 2


def test_files_that_pandas_wrote_are_read() -> None:
    """As its own defaults write moments with a time zone: CSV with a space, JSON with a T, Parquet as Arrow has them."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    moments = pandas.to_datetime([NOW - 30, NOW - 15, NOW], unit="s", utc=True)
    frame = pandas.DataFrame({"timestamp": moments, "p95": [1.5, None, 2.0]})
    target = io.BytesIO()
    frame.to_parquet(target, index=False)
    for form, data in (("csv", frame.to_csv(index=False)), ("json", frame.to_json(orient="records", date_format="iso"))):
        assert (read(data, form).times, read(data, form).values) == ([NOW - 30, NOW], [1.5, 2.0]), form
    # A missing number is NaN in pandas, and null in what pyarrow writes of it.
    assert read(target.getvalue(), "parquet").values == [1.5, 2.0]


def test_service_and_instance_columns_choose_rows_in_both_forms() -> None:
    """Where there are such columns."""
    wide = f"timestamp,service,instance,p95\n{iso()},api,10.0.0.1:80,1\n{iso()},api,10.0.0.2:80,2\n{iso()},web,10.0.0.1:80,3\n"
    assert read(wide).values == [1]
    long = f"timestamp,metric,service,instance,value\n{iso()},p95,api,10.0.0.2:80,2\n{iso()},p95,api,10.0.0.1:80,1\n"
    assert read(long).values == [1]


def test_the_kind_of_a_file_follows_from_its_name() -> None:
    """Whatever case it is written in."""
    assert [form_of(name) for name in ("a.csv", "b/c.JSON", "d.parquet", "e.txt", "csv")] == ["csv", "json", "parquet", None, None]


@pytest.mark.parametrize(
    "stamp",
    [
        "2025-02-16T10:00:00Z", "2025-02-16T10:00:00+00:00", "2025-02-16T12:00:00.000+02:00", " 2025-02-16 10:00:00+00:00 ",
        f"{NOW:.0f}", f"{NOW:.3f}", f"{NOW * 1000:.0f}",
    ],
)  # fmt: skip
def test_each_way_to_write_a_moment_is_the_same_moment(stamp: str) -> None:
    """ISO 8601 with any time zone, seconds, milliseconds."""
    assert read(f"{HEADER}{stamp},p95,api,1\n").times == [NOW]


def test_time_zones_may_differ_since_each_row_names_its_own() -> None:
    """A file that crosses a change of the clocks is in order by moment, not by text."""
    data = f"{HEADER}2025-02-16T11:59:30+02:00,p95,api,1\n2025-02-16T10:59:45+01:00,p95,api,2\n{iso()},p95,api,3\n"
    assert read(data).times == [NOW - 30, NOW - 15, NOW]


def test_gaps_stay_gaps_and_duplicates_and_what_is_no_number_are_handed_on() -> None:
    """An empty cell is no sample and no zero; what counts of the rest is the cell's question."""
    rows = [(45, "1"), (40, ""), (35, "null"), (30, "NaN"), (20, "2"), (20, "3"), (10, "inf"), (0, "1e999")]
    found = read(HEADER + "".join(f"{iso(before)},p95,api,{value}\n" for before, value in rows))
    assert found.times == [NOW - before for before in (45, 30, 20, 20, 10, 0)]
    assert [repr(value) for value in found.values] == ["1.0", "nan", "2.0", "3.0", "inf", "inf"]
    assert [json.loads(line)[2] for line in found.lines] == [value for _, value in rows]
    found = read(json.dumps([{"timestamp": NOW, "p95": None}, {"timestamp": NOW, "rps": 1}, {"timestamp": NOW, "p95": 4}]), "json")
    assert found.values == [4]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("{0},p95,api,1\n{30},p95,api,1\n", "TEL-769 m line 3: rows of p95 out of order"),
        ("{30},p95,api,1\n1739700000,p95,api,1\n", "TEL-769 m line 3: moments written in two ways"),
        ("1739699990,p95,api,1\n1739700000000,p95,api,1\n", "TEL-769 m line 3: moments written in two ways"),
        ("2025-02-16T10:00:00,p95,api,1\n", "TEL-769 m line 2: a moment without a time zone"),
        ("2025-02-16,p95,api,1\n", "TEL-769 m line 2: a moment without a time zone"),
        ("2025-02-30T10:00:00Z,p95,api,1\n", "TEL-769 m line 2: not a moment"),
        ("yesterday,p95,api,1\n", "TEL-769 m line 2: not a moment"),
        (",p95,api,1\n", "TEL-769 m line 2: not a moment"),
        ("1739700000000000,p95,api,1\n", "TEL-769 m line 2: not a moment"),
        ("173970000,p95,api,1\n", "TEL-769 m line 2: not a moment between 2000 and 2100"),
        ("1970-01-01T00:00:00Z,p95,api,1\n", "TEL-769 m line 2: not a moment between 2000 and 2100"),
        ("2025-02-16T10:02:00Z,p95,api,1\n", "TEL-769 m line 2: a moment in the future"),
        ("{0},p95,api,fast\n", "TEL-766 m line 2: not a number"),
        ("{0},p95,api,1_0\n", "TEL-766 m line 2: not a number"),
        ("{0},p95,api,0x10\n", "TEL-766 m line 2: not a number"),
        ("{0},p95,api,12 ms\n", "TEL-766 m line 2: not a number"),
        ("{0},p95,api,٣\n", "TEL-766 m line 2: not a number"),
        ('{0},p95,api,"1,5"\n', "TEL-766 m line 2: not a number"),
        ("{0},rps,web,fast\n{0},p95,api,1\n", "TEL-766 m line 2: not a number"),
        ("{0},p95,api\n", "TEL-766 m line 2: another number of fields"),
        ("{0},p95,api,1,2\n", "TEL-766 m line 2: another number of fields"),
        ('{0},"p95,api,1\n', "TEL-766 m line 2: not CSV"),
        ('{0},"p95"x,api,1\n', "TEL-766 m line 2: not CSV"),
        ("{0},p95,api," + "1" * MAX_LINE + "\n", "TEL-766 m line 2: a line of more than 64 KiB"),
        ("{0},rps,api,1\n{0},cpu,api,1\n", r"TEL-767 m: no such metric in the file \(got p95, expected rps, cpu\)"),
        ("", "TEL-765 m: no row"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_with_its_line(rows: str, code: str) -> None:
    """Whichever metric it is of: a file that is wrong in one place is not trusted in another."""
    with pytest.raises(TelemetryError, match=code) as caught:
        read(HEADER + rows.replace("{0}", iso()).replace("{30}", iso(30)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "TEL-765 m: the file is empty"),
        (b"\n\n", "TEL-765 m: the file is empty"),
        (b"timestamp;metric;service;value\n2025-02-16T10:00:00Z;p95;api;1\n", "TEL-766 m line 2: no timestamp"),
        (b"timestamp,metric,value\n2025-02-16T10:00:00Z,p95,1\n", "TEL-766 m line 2: no service"),
        (b"p95,rps\n1,2\n", "TEL-766 m line 2: no timestamp"),
        (b"timestamp,p95,p95\n", "TEL-765 m: two columns of one name"),
        (b"timestamp," + b"x," * 2000 + b"\n", "TEL-765 m: two columns of one name"),
        (b"timestamp,p95\n\xff\xfe,1\n", "TEL-765 m: not UTF-8"),
        (b"timestamp,p95\n2025-02-16T10:00:00Z,\0\n", "TEL-765 m: holds a NUL"),
        (b"<html><body>Sign in</body></html>", "TEL-765 m: no row"),
    ],
)
def test_what_is_no_csv_of_metrics_is_refused(data: bytes, code: str) -> None:
    """By the header, or the first row."""
    with pytest.raises(TelemetryError, match=code):
        read(data)


def test_a_byte_order_mark_and_other_line_ends_are_read() -> None:
    """As spreadsheets write them."""
    assert read(b"\xef\xbb\xbf" + f"timestamp,p95\r\n{iso()},1\r\n".encode()).values == [1]


@pytest.mark.parametrize("unit", ["s", "MS", "", " ms", "percent"])
def test_another_unit_is_refused_and_never_converted(unit: str) -> None:
    """Where the file says one; that of other metrics is theirs."""
    data = "timestamp,metric,service,value,unit\n{0},rps,api,1,req/s\n{0},p95,api,1,{1}\n"
    assert read(data.replace("{0}", iso()).replace("{1}", "ms")).values == [1]
    with pytest.raises(TelemetryError, match="TEL-768 m line 3: p95 has another unit"):
        read(data.replace("{0}", iso()).replace("{1}", unit))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "TEL-765"), ("{}", "TEL-765"), ("[]", "TEL-765 m: no row"), ("[1]", "TEL-766 m item 1: not an object"),
        ('[{"timestamp": 1739700000, "p95": 1}', "TEL-766 m item 1: no single comma"),
        ('[{"timestamp": 1739700000, "p95": 1},]', "TEL-766 m item 1: no single comma"),
        ('[{"timestamp": 1739700000, "p95": 1} {}]', "TEL-766 m item 1: no single comma"),
        ('[{"timestamp": 1739700000, "p95": 1}] x', "TEL-765 m: something after"),
        ('[{"timestamp": 1739700000, "p95": 1, "p95": 2}]', "TEL-766 m item 1: not JSON .*two entries"),
        ('[{"timestamp": 1739700000, "p95": "1x"}]', "TEL-766 m item 1: not a number"),
        ('[{"timestamp": 1739700000, "p95": true}]', "TEL-766 m item 1: not a number"),
        ('[{"timestamp": 1739700000, "p95": [1]}]', "TEL-766 m item 1: not a number"),
        ('[{"timestamp": true, "p95": 1}]', "TEL-769"), ('[{"timestamp": null, "p95": 1}]', "TEL-769"),
        ('[{"timestamp": NaN, "p95": 1}]', "TEL-769"), ('[{"timestamp": 1e999, "p95": 1}]', "TEL-769"),
        ('[{"timestamp": ' + "9" * 400 + ', "p95": 1}]', "TEL-769"), ("[" * 5000, "TEL-766 m item 1: not JSON"),
        ('[{"timestamp": 1739700000, "p95": 1, "x": "' + "x" * MAX_OBJECT + '"}]', "TEL-766 m item 1: .*more than 8 KiB"),
        ('[{"p95": 1}]', "TEL-766 m item 1: no timestamp"), ('[{"timestamp": 1739700000', "TEL-766 m item 1: not JSON"),
    ],
)  # fmt: skip
def test_what_is_no_json_of_metrics_is_refused_with_its_item(text: str, code: str) -> None:
    """Nothing is read of half a file."""
    with pytest.raises(TelemetryError, match=code):
        read(text, "json")


@given(st.binary(max_size=120), st.sampled_from(["csv", "json", "parquet"]))
def test_any_bytes_give_samples_or_the_one_kind_of_error(data: bytes, form: str) -> None:
    """Nothing else comes out."""
    for given_data in (data, b"timestamp,p95\n" + data, b'[{"timestamp": 1739700000, "p95": 1}' + data):
        try:
            found = read(given_data, form)
            assert len(found.times) == len(found.values) <= len(found.lines)
        except TelemetryError as error:
            assert error.code in {f"TEL-{number}" for number in range(765, 770)}


def test_a_json_list_in_place_of_a_service_is_no_service() -> None:
    """And no crash."""
    assert read('[{"timestamp": 1739700000, "metric": "p95", "service": ["api"], "value": 1}]', "json").values == []


def test_parquet_moments_need_a_time_zone_and_may_be_any_arrow_unit() -> None:
    """As pandas writes them with and without one."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    moment = datetime.fromtimestamp(NOW, UTC)
    for unit in ("s", "ms", "us", "ns"):
        data = parquet({"timestamp": pa.array([moment], pa.timestamp(unit, "UTC")), "p95": [1.0], "other": ["x"]})
        assert read(data, "parquet").times == [NOW]
    with pytest.raises(TelemetryError, match="TEL-769 m row 1: a moment without a time zone"):
        read(parquet({"timestamp": pa.array([moment.replace(tzinfo=None)], pa.timestamp("us")), "p95": [1.0]}), "parquet")


def test_parquet_that_is_cut_or_too_large_unpacked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is unpacked."""
    data = parquet({"timestamp": [int(NOW)] * 5000, "p95": [float(n) for n in range(5000)]})
    assert len(read(data, "parquet").values) == 5000
    for cut in (data[: len(data) // 2], data[:100] + data[-50:], data[:40] + b"\xff" * 40 + data[80:]):
        with pytest.raises(TelemetryError, match="TEL-76"):
            read(cut, "parquet")
    with pytest.raises(TelemetryError, match="TEL-765 m: no column"):
        read(parquet({"a": [1]}), "parquet")
    monkeypatch.setattr("perfproof.inputs.metric_file_rows.MAX_UNPACKED", 1000)
    with pytest.raises(TelemetryError, match="TEL-765 m: too large unpacked"):
        read(data, "parquet")


def test_an_absent_pyarrow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(TelemetryError, match=r"TEL-765 m: Parquet needs the package pyarrow.*perfproof\[parquet\]"):
        read(b"PAR1", "parquet")


def test_a_large_file_is_read_row_by_row() -> None:
    """What is kept is the window's rows; the rest of 1 MiB takes no memory. Larger files than the limit are refused."""
    row = f"{iso(3600)},p95,api,1\n"
    data = (HEADER + row * ((1 << 20) // len(row)) + f"{iso()},p95,api,2\n").encode()
    tracemalloc.start()
    try:
        assert read(data).values == [2]
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    for form, limit in MAX_BYTES.items():
        with pytest.raises(TelemetryError, match="TEL-765 m: the file is too large"):
            read(bytes(limit + 1), form)


def test_not_finite_numbers_never_become_zero() -> None:
    """They stay what the file says."""
    assert math.isnan(read(f"timestamp,p95\n{iso()},nan\n").values[0])
