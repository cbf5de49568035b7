"""`perfproof profile`: hot functions, comparison, drawings and exit codes, on files of real profilers."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from perfproof.cli import main

FIXTURES = Path(__file__).parents[3] / "fixtures" / "profiles"
BEFORE, AFTER = FIXTURES / "go-cpu-before.pb.gz", FIXTURES / "go-cpu-after.pb.gz"


def called(*arguments: object) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as raised:
        main(["profile", *map(str, arguments)])
    return int(raised.value.code or 0)


def test_hot_functions_are_listed_with_their_shares(capsys: pytest.CaptureFixture[str]) -> None:
    """What the file is, how much it holds, and the hottest function first."""
    assert called(BEFORE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "pprof" in lines[0]
    assert "183 samples" in lines[0]
    assert lines[2].split() == ["49.2", "49.2", "crypto/sha256.block"]


@pytest.mark.parametrize(
    ("after", "named", "code", "words"),
    [
        (AFTER, ["main.encode"], 0, "consistent with the change: main.encode shrank: 68.9 % before, 24.4 % after"),
        (AFTER, ["main.join"], 1, "not consistent with the change: main.join grew"),
        (BEFORE, ["main.join"], 4, "undecided with the change: main.join: 13.1 % before, 13.1 % after, too few samples to tell"),
        (AFTER, ["main.nothing"], 4, "undecided with the change: main.nothing is not in the profile before"),
    ],
)
def test_the_exit_code_says_whether_named_functions_shrank(
    after: Path, named: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real profiles of a Go service before and after its hashing became ten times cheaper."""
    assert called(after, "--before", BEFORE, *(part for name in named for part in ("--named", name))) == code
    assert words in capsys.readouterr().out


def test_json_holds_every_function_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """Shares sum to 1 on both sides, and the interval of each change is there."""
    assert called(AFTER, "--before", BEFORE, "--named", "main.encode", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert sum(f["before"] for f in document["functions"]) == pytest.approx(1)
    assert sum(f["after"] for f in document["functions"]) == pytest.approx(1)
    assert document["verdict"] == "consistent"
    assert document["named"][0]["function"] == "main.encode"
    assert all(f["low"] <= f["after"] - f["before"] <= f["high"] for f in document["functions"])
    assert (document["before"]["samples"], document["after"]["samples"]) == (183, 82)


def test_one_profile_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Memory has no number of samples: null, not 0."""
    assert called(FIXTURES / "go-heap.pb.gz", "--value", "alloc_space", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["value"], document["weight"], document["samples"]) == ("alloc_space", "bytes", None)
    assert document["hot_functions"][0]["function"] == "main.join"


def test_flame_graphs_are_drawn(tmp_path: Path) -> None:
    """Of one profile, and of what changed; well-formed, without script, the same bytes again."""
    one, two, again = (tmp_path / name for name in ("one.svg", "two.svg", "again.svg"))
    assert called(BEFORE, "--svg", one) == 0
    assert called(AFTER, "--before", BEFORE, "--svg", two) == 0
    assert called(AFTER, "--before", BEFORE, "--svg", again) == 0
    for path in (one, two):
        ET.fromstring(path.read_text())  # noqa: S314
        assert "<script" not in path.read_text()
    assert "points)" in two.read_text()
    assert two.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([FIXTURES / "none"], "PRO-208"),
        ([FIXTURES], "PRO-208"),
        ([FIXTURES / "work.py"], "PRO-102"),
        ([AFTER, "--named", "x"], "PAR-341"),
        ([AFTER, "--value", "x"], "PRO-224"),
        ([AFTER, "--before", FIXTURES / "go-heap.pb.gz"], "PRO-107"),
        ([AFTER, "--svg", FIXTURES / "none" / "x.svg"], "ART-469"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[object], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error's code is on standard error, and nothing is printed."""
    assert called(*arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith(code)
    assert said.err.count("\n") == 1
    assert said.out == ""
