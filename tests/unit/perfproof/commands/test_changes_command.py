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
