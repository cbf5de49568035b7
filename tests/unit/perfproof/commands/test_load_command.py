"""`perfproof load`: figures of one file, a verdict on two, and never a pass from what cannot support one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from perfproof.cli import main

FILES = Path(__file__).parents[3] / "fixtures" / "load_files"
HEADER = "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,scenario,service,status,url\n"


def called(*arguments: object) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as raised:
        main(["load", *map(str, arguments)])
    return int(raised.value.code or 0)


def k6(
    path: Path, *, latency: float = 50.0, seed: int = 1, rate: float = 20.0, seconds: int = 240, failed: float = 0.0,
    names: tuple[str, ...] = ("/a", "/b"), dropped: int = 0,
) -> Path:  # fmt: skip
    """A k6 CSV with times in ms."""
    generator = np.random.default_rng(seed)
    count = int(rate * seconds)
    took = latency * generator.lognormal(0, 0.1, count)
    bad = generator.random(count) < failed
    lines = [HEADER]
    for i in range(count):
        end = round(1_795_520_000_000 + 1000 * i / rate + took[i])
        ok = "false" if bad[i] else "true"
        lines.append(f"http_req_duration,{end},{took[i]:.6f},,,,{ok},,GET,{names[i % len(names)]},HTTP/1.1,s,,{500 if bad[i] else 200},u\n")
    if dropped:
        lines.append(f"dropped_iterations,1795520000000,{dropped}.000000,,,,,,,,,s,,,\n")
    path.write_text("".join(lines))
    return path


def jmeter(path: Path) -> Path:
    lines = [f"{1_795_520_000_000 + 50 * i},50,{'/a' if i % 2 else '/b'},true\n" for i in range(4800)]
    path.write_text("timeStamp,elapsed,label,success\n" + "".join(lines))
    return path


def hey(path: Path, *, latency: float = 0.05) -> Path:
    lines = [f"{latency + 0.0001 * (i % 7):.4f},0,0,0,0,0,200,{i / 20:.4f}\n" for i in range(4800)]
    path.write_text("response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n" + "".join(lines))
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return k6(tmp_path / "before.csv")


@pytest.mark.parametrize(
    ("after", "options", "code"),
    [
        ({}, [], 0),
        ({"latency": 75}, [], 1),
        ({"latency": 75}, ["--margin", "80"], 0),
        ({"latency": 35}, ["--threshold", "15"], 0),
        ({"latency": 49}, ["--threshold", "15"], 1),
        ({"latency": 75}, ["--metric", "p50"], 1),
        ({"latency": 75}, ["--metric", "throughput"], 0),
        ({"rate": 10}, ["--metric", "throughput"], 1),
        ({"failed": 0.2}, ["--metric", "error_rate"], 1),
        ({}, ["--metric", "error_rate"], 0),
        ({"failed": 0.03, "latency": 30}, ["--metric", "p50"], 1),
        ({"latency": 75}, ["--name", "/b"], 1),
        ({}, ["--block-seconds", "100"], 4),
        ({}, ["--block-seconds", "0.5"], 4),
        ({"rate": 10}, [], 4),
        ({"rate": 40, "latency": 75}, [], 4),
        ({"names": ("/a", "/c")}, [], 4),
        ({"names": ("/a", "/c")}, ["--name", "/a"], 0),
        ({"dropped": 100}, [], 4),
        ({"dropped": 20}, [], 0),
        ({"failed": 0.1}, [], 1),
    ],
)
def test_two_files_are_judged_by_their_blocks(
    tmp_path: Path, before: Path, after: dict[str, Any], options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """0, 1 and 4 as `perfproof judge`: fewer requests, other routes, unsent load, and a load that could be the cause decide nothing."""
    options = options if "--block-seconds" in options else [*options, "--block-seconds", "20"]
    assert called(before, k6(tmp_path / "after.csv", seed=2, **after), *options) == code
    assert capsys.readouterr().out.split("\n")[0] == {0: "pass", 1: "fail", 4: "inconclusive"}[code]


@pytest.mark.parametrize("option", ["--json", "--junit"])
def test_both_other_forms_say_the_same(tmp_path: Path, before: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure in JUnit, an answer with its verdicts in JSON."""
    assert called(before, k6(tmp_path / "after.csv", latency=75, seed=2), "--block-seconds", "20", option) == 1
    text = capsys.readouterr().out
    if option == "--json":
        document = json.loads(text)
        assert (document["answer"], [v["metric"] for v in document["verdicts"]]) == ("fail", ["p95", "error_rate"])
        assert document["limits"] and document["verdicts"][0]["blocks"] == [12, 12]
    else:
        suite = ET.fromstring(text)  # noqa: S314  our own output
        assert (suite.get("failures"), suite.get("errors")) == ("1", "0")


@pytest.mark.parametrize("name", ["k6-summary.json", "locust_stats.csv", "locust_stats_history.csv", "locust_failures.csv"])
def test_a_summary_is_never_a_pass(name: str, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against itself, and against rows; in JUnit it is an error."""
    summary = FILES / "real" / name
    assert called(summary, summary) == 4
    assert "is a summary" in capsys.readouterr().out
    assert called(before, summary, "--junit") == 4
    assert ET.fromstring(capsys.readouterr().out).get("errors") == "1"  # noqa: S314  our own output


def test_two_tools_are_not_compared(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JMeter counts the time to connect, k6 does not."""
    assert called(before, jmeter(tmp_path / "after.csv"), "--block-seconds", "20") == 4
    assert "k6 and JMeter measure latency in different ways" in capsys.readouterr().out


def test_hey_can_fail_and_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It writes no row for a request without an answer."""
    old = hey(tmp_path / "old.csv")
    assert called(old, old, "--block-seconds", "20") == 4
    assert "no row for a request without an answer" in capsys.readouterr().out
    assert called(old, hey(tmp_path / "new.csv", latency=0.08), "--block-seconds", "20") == 1


def test_a_file_cut_short_says_so_beside_the_verdict(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is that of what is there."""
    cut = tmp_path / "cut.csv"
    cut.write_bytes(before.read_bytes()[:-10])
    assert called(before, cut, "--block-seconds", "20") == 0
    assert "left out: " in capsys.readouterr().out


def test_the_warm_up_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And if it was not, that is a limit."""
    path = k6(tmp_path / "one.csv")
    assert called(path, "--json") == 0
    with_it = json.loads(capsys.readouterr().out)
    assert called(path, "--json", "--skip-seconds", "60") == 0
    without = json.loads(capsys.readouterr().out)
    assert (with_it["requests"], without["requests"], len(with_it["blocks"]), len(without["blocks"])) == (
        4800,
        pytest.approx(3600, abs=2),
        4,
        3,
    )
    assert any("warm-up" in limit for limit in with_it["limits"]) and not any("warm-up" in limit for limit in without["limits"])


@pytest.mark.parametrize("path", sorted(FILES.glob("*/*")), ids=lambda path: path.name)
def test_every_fixture_is_shown_or_refused_in_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text and as JSON, with the limits beside the figures."""
    code = called(path)
    out, err = capsys.readouterr()
    if code == 0:
        assert "what these numbers cannot support:" in out and not err
        assert called(path, "--json") == 0
        assert json.loads(capsys.readouterr().out)["limits"]
    else:
        assert (code, out, err.count("\n"), err[:4]) == (2, "", 1, "ART-")


def test_names_cannot_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are shown as escapes."""
    assert called(k6(tmp_path / "x.csv", names=("\x1b[2J", "b"), seconds=30)) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--threshold", "0"],
        ["--margin", "nan"],
        ["--block-seconds", "0"],
        ["--block-seconds", "inf"],
        ["--skip-seconds", "-1"],
        ["--confidence", "1"],
        ["--junit"],
        ["--name", "nowhere"],
        ["--skip-seconds", "9999"],
    ],
)
def test_what_cannot_be_asked_is_refused(before: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line, nothing printed, exit code 2."""
    assert called(before, *options) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("name", ["missing.csv", ".", "a\0b"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory, a NUL, nothing there."""
    assert called(f"{tmp_path}/{name}") == 2
    assert capsys.readouterr().err.startswith("ART-469")
