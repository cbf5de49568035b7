"""`perfproof changes`: what it reads, prints and exits with."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from perfproof.cli import main

STEP = [10.0 + i % 3 / 10 for i in range(30)] + [15.0 + i % 3 / 10 for i in range(20)]
FLAT = STEP[:30]


def called(*arguments: object) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as raised:
        main(["changes", *map(str, arguments)])
    return int(raised.value.code or 0)


def csv_file(path: Path, values: list[float], *, header: str = "time,value") -> Path:
    lines = [f"2026-01-{1 + i // 24:02d}T{i % 24:02d}:00Z,{v}" for i, v in enumerate(values)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def from_stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_regression_is_named_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Index, time, medians, percent and p; exit 1."""
    assert called(csv_file(tmp_path / "p95.csv", STEP)) == 1
    text = capsys.readouterr().out
    assert text.startswith("value: regression at 30 (2026-01-02T06:00Z): 10.1 -> 15.1, +49.5 %, p ")


def test_the_direction_decides_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More throughput is an improvement: printed, exit 0."""
    assert called(csv_file(tmp_path / "rps.csv", STEP), "--direction", "higher") == 0
    assert "improvement at 30" in capsys.readouterr().out


def test_no_change_is_exit_0_and_too_few_values_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten values cannot show a change; that is no pass."""
    assert called(csv_file(tmp_path / "a.csv", FLAT)) == 0
    assert "no change in 30 values" in capsys.readouterr().out
    assert called(csv_file(tmp_path / "b.csv", FLAT[:10])) == 4
    assert "too few" in capsys.readouterr().out


def test_json_on_standard_input_gives_indices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The form for other people's benchmarks: first value of each new regime, null left out, exit 0."""
    series = {"up": STEP, "gap": [None, *STEP], "flat": FLAT, "few": [1.0], "none": []}
    from_stdin(monkeypatch, json.dumps(series))
    assert called("--format", "json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"up": [30], "gap": [31], "flat": [], "few": [], "none": []}


def test_a_directory_gives_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, other files left alone."""
    csv_file(tmp_path / "a.csv", FLAT)
    (tmp_path / "b.json").write_text(json.dumps({"x": STEP, "y": FLAT}))
    (tmp_path / "notes.txt").write_text("nothing")
    assert called(tmp_path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [(s["name"], [c["index"] for c in s["changes"]]) for s in document["series"]] == [
        ("a.csv", []),
        ("b.json x", [30]),
        ("b.json y", []),
    ]


def test_junit_has_a_case_for_each_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A regression fails, too few values are an error, hostile names stay text."""
    (tmp_path / "a.json").write_text(json.dumps({"<x>&\x1b": STEP, "flat": FLAT, "few": [1.0]}))
    assert called(tmp_path / "a.json", "--junit") == 1
    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314  just written
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    assert [len(case.findall("failure")) for case in root] == [1, 0, 0]


def test_the_plot_is_written(tmp_path: Path) -> None:
    """As SVG, the same bytes twice."""
    file = csv_file(tmp_path / "a.csv", STEP)
    for name in ("1.svg", "2.svg"):
        assert called(file, "--plot", tmp_path / name) == 1
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()
    assert b"<svg" in (tmp_path / "1.svg").read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.csv", "", "ART-463"),
        ("a.csv", "x,y\n1,2\n3\n", "ART-463"),
        ("a.csv", "x,y\n1,2\n3,4\n", "ART-465"),
        ("a.csv", "value\n1\nfast\n", "ART-466"),
        ("a.json", "{", "ART-461"),
        ("a.json", '{"x": 3}', "ART-461"),
        ("a.json", '{"x": [1, true]}', "ART-466"),
        ("a.json", '{"x": ["a"]}', "ART-466"),
        ("a.csv.gz", "no gzip", "ART-460"),
        ("a.parquet", "no parquet", "ART-464"),
        ("a.txt", "1", "ART-467"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, code: str) -> None:
    """Code, file and what to do."""
    (tmp_path / name).write_text(text)
    assert called(tmp_path / name) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(code) and captured.err.count("\n") == 1


def test_absent_files_empty_directories_and_absurd_options_are_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is guessed."""
    file = csv_file(tmp_path / "a.csv", STEP)
    (tmp_path / "empty").mkdir()
    for arguments in (
        [tmp_path / "none.csv"],
        [tmp_path / "empty"],
        ["-"],
        [file, "--alpha", "0"],
        [file, "--min-segment", "1"],
        [file, "--min-effect", "nan"],
        [file, "--metric", "p99"],
        [file, "--block-seconds", "0"],
    ):
        assert called(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_column_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several columns of numbers, with empty cells as missing values."""
    rows = [f"{i},{a},{b}" for i, (a, b) in enumerate(zip(STEP, np.ones(50), strict=True))]
    rows[3] = "3,,"
    (tmp_path / "a.csv").write_text("\n".join(["build,p95,p50", *rows]))
    assert called(tmp_path / "a.csv", "--metric", "p95") == 1
    assert "p95: regression at 30:" in capsys.readouterr().out
    assert called(tmp_path / "a.csv", "--metric", "p50") == 0
    assert "1 missing" in capsys.readouterr().out


def test_an_acknowledged_regression_is_exit_0_and_named_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With who and why; another regression in the same series still fails."""
    file = csv_file(tmp_path / "a.csv", STEP)
    acks = tmp_path / "acks.json"
    acks.write_text(json.dumps({"value": [{"time": "2026-01-02T06:00Z", "reason": "TLS <on>", "by": "owner"}]}))
    assert called(file, "--acknowledged", acks) == 0
    assert "(acknowledged by owner: TLS <on>)" in capsys.readouterr().out
    assert called(file, "--acknowledged", acks, "--json") == 0
    assert json.loads(capsys.readouterr().out)["series"][0]["changes"][0]["acknowledged"] == {"reason": "TLS <on>", "by": "owner"}
    assert called(csv_file(tmp_path / "b.csv", [*STEP, *[v + 10 for v in STEP[30:]]]), "--acknowledged", acks) == 1
    acks.write_text(json.dumps({"valve": [{"index": 30, "reason": "x", "by": "owner"}]}))
    assert called(file, "--acknowledged", acks) == 2
    assert "ART-475" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": [1, 2], "a": [3]}', "ART-461"),
        ('{"a": 3}', "ART-461"),
        ("[[1]]", "ART-466"),
        ('{"a": [1, "x"]}', "ART-466"),
        ('{"a": [1, {}]}', "ART-466"),
        ('{"a": [true]}', "ART-466"),
        ('"a"', "ART-461"),
        ("", "ART-461"),
        ('{"a": [1', "ART-461"),
        ("[" * 100_000, "ART-461"),
        ('{"a": [1' + "0" * 400 + "]}", "ART-466"),
    ],
)
def test_other_json_on_standard_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, code: str
) -> None:
    """Exit 2, nothing on standard output."""
    from_stdin(monkeypatch, text)
    assert called("--format", "json", "-") == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1) and captured.err.startswith(code)


def test_nan_and_null_are_left_out_and_indices_stay_those_of_the_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gaps before, between and at the change."""
    values: list[float | None] = [None, *STEP[:10], float("nan"), None, *STEP[10:30], None, *STEP[30:]]
    from_stdin(monkeypatch, json.dumps({"a": values, "b": [None] * 40}))
    assert called("--format", "json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"a": [34], "b": []}


def test_parquet_is_read_as_csv_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns by name, null as missing."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"time": [f"t{i}" for i in range(51)], "p95": [None, *STEP], "build": ["b"] * 51})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert called(tmp_path / "a.parquet") == 1
    assert "p95: regression at 31 (t31)" in capsys.readouterr().out


def test_parquet_without_pyarrow_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to install."""
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert called(tmp_path / "a.parquet") == 2
    error = capsys.readouterr().err
    assert error.startswith("ART-464") and "pyarrow" in error and error.count("\n") == 1


def test_requests_of_another_tool_become_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A time and a latency per row: p95 of each minute, failed requests slower than all others."""
    generator = np.random.default_rng(3)
    lines = ["timeStamp,elapsed,success"]
    for second in range(40 * 60):
        slow = 2.0 if second >= 25 * 60 else 1.0
        lines += [f"{1_700_000_000_000 + second * 1000 + k * 250},{slow * generator.lognormal(4, 0.1):.0f},true" for k in range(4)]
    text = "\n".join(lines)
    (tmp_path / "a.csv").write_text(text.replace("timeStamp", "timestamp"))
    assert called(tmp_path / "a.csv", "--metric", "p95") == 1
    assert "p95: regression at 25" in capsys.readouterr().out
    (tmp_path / "b.csv").write_text(text.replace("timeStamp", "timestamp").replace("true", "false"))
    assert called(tmp_path / "b.csv", "--metric", "p95") == 4
    (tmp_path / "c.csv").write_text("timestamp,latency\nyesterday,3\n")
    assert called(tmp_path / "c.csv", "--metric", "p95") == 2
    assert "ART-470" in capsys.readouterr().err


def test_hostile_names_stay_text_in_the_plot(tmp_path: Path) -> None:
    """No element, formula or control character comes out of a name, and nothing is fetched from elsewhere."""
    name = '<script>alert(1)</script>$x$\x1b" onload="x'
    (tmp_path / "a.json").write_text(json.dumps({name: STEP}))
    assert called(tmp_path / "a.json", "--plot", tmp_path / "a.svg") == 1
    text = (tmp_path / "a.svg").read_text()
    ET.fromstring(text)  # noqa: S314  just written
    assert "<script" not in text and "\x1b" not in text
    assert [part for part in text.split('href="')[1:] if not part.startswith("#")] == []


def test_values_too_large_for_an_axis_are_no_error(tmp_path: Path) -> None:
    """The plot says so, of a history as of two sides."""
    (tmp_path / "a.json").write_text(json.dumps({"x": [1e308] * 20 + [-1e308] * 20}))
    assert called(tmp_path / "a.json", "--plot", tmp_path / "a.svg") == 0
    with pytest.raises(SystemExit):
        main(["judge", str(tmp_path / "a.json"), str(tmp_path / "a.json"), "--plot", str(tmp_path / "b.svg")])
    for name in ("a.svg", "b.svg"):
        assert "too large to draw" in (tmp_path / name).read_text()
