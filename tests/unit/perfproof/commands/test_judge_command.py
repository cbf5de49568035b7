"""`perfproof judge`: three answers, from files of any tool."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from perfproof.cli import main
from perfproof.load.rows import make_rows, write_rows

BASE = [100.0, 101.0, 99.0, 102.0, 98.0, 100.5, 99.5, 101.5]


def called(*arguments: object) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as raised:
        main(["judge", *map(str, arguments)])
    return int(raised.value.code or 0)


def file(path: Path, values: list[float | None]) -> Path:
    path.write_text(json.dumps(values))
    return path


def rows(path: Path, *, latency: float, seconds: int = 60, failed: float = 0.0, seed: int = 1) -> Path:
    generator = np.random.default_rng(seed)
    start = np.arange(0, seconds, 0.1)
    end = start + latency * generator.lognormal(0, 0.2, len(start))
    status = np.where(generator.random(len(start)) < failed, 500, 200)
    made = make_rows(
        intended_start=start.tolist(), start=start.tolist(), end=end.tolist(), status=status.tolist(), transaction=["t"] * len(start)
    )
    path.write_bytes(write_rows(made))
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return file(tmp_path / "before.json", list(BASE))


@pytest.mark.parametrize(
    ("factor", "options", "code", "label"),
    [
        (1.0, [], 0, "no regression"),
        (1.2, [], 1, "regression"),
        (0.8, ["--direction", "higher"], 1, "regression"),
        (1.055, [], 1, "regression"),
        (1.04, [], 4, "inconclusive"),
        (0.7, ["--threshold", "15"], 0, "proved"),
        (0.95, ["--threshold", "15"], 1, "short"),
        (0.845, ["--threshold", "15"], 4, "met"),
        (0.845, ["--threshold", "15", "--mode", "point"], 0, "met"),
    ],
)
def test_three_answers_have_three_exit_codes(
    tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str], factor: float, options: list[str], code: int, label: str
) -> None:
    """0 passes, 1 fails, 4 is not decided."""
    after = file(tmp_path / "after.json", [v * factor for v in reversed(BASE)])
    assert called(before, after, *options) == code
    assert f": {label}\n" in capsys.readouterr().out


def test_too_few_runs_decide_nothing_and_say_how_many_would(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three a side, identical."""
    few = file(tmp_path / "few.json", list(BASE[:3]))
    assert called(few, few) == 4
    assert "runs still needed: 1 a side" in capsys.readouterr().out


def test_a_missing_value_is_never_a_pass(tmp_path: Path, before: Path) -> None:
    """What is missing may be the bad part."""
    assert called(before, file(tmp_path / "after.json", [*BASE, None])) == 4


def test_rows_of_load_tests_are_compared_by_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks of a file, or files of a directory; never single requests."""
    slow, fast = rows(tmp_path / "slow.csv.gz", latency=0.2), rows(tmp_path / "fast.csv.gz", latency=0.1, seed=2)
    assert called(fast, slow, "--block-seconds", "10", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["blocks"] == [6, 6] and document["metric"] == "p95" and document["answer"] == "fail"
    for side, latency in (("a", 0.2), ("b", 0.1)):
        (tmp_path / side).mkdir()
        for run in range(5):
            rows(tmp_path / side / f"{run}.csv.gz", latency=latency, seconds=10, seed=run)
    assert called(tmp_path / "a", tmp_path / "b", "--metric", "p50", "--threshold", "15") == 0


def test_failing_fast_is_not_being_fast(tmp_path: Path) -> None:
    """A tenth of the requests fails: no block has a p95, so nothing is decided, and nothing passes."""
    good = rows(tmp_path / "good.csv.gz", latency=0.2)
    bad = rows(tmp_path / "bad.csv.gz", latency=0.05, failed=0.1)
    assert called(good, bad, "--block-seconds", "10") == 4


def test_junit_and_plot(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is inconclusive is an error there, not a pass."""
    after = file(tmp_path / "after.json", [v * 1.04 for v in BASE])
    assert called(before, after, "--junit", "--plot", tmp_path / "p.svg") == 4
    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314  just written
    assert (root.get("failures"), root.get("errors")) == ("0", "1")
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()


def test_usage_is_exit_2(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each."""
    (tmp_path / "two.json").write_text('{"a": [1], "b": [2]}')
    (tmp_path / "empty").mkdir()
    for arguments in (
        [before, tmp_path / "none.json"],
        [before, tmp_path / "two.json"],
        [before, tmp_path / "empty"],
        [before, before, "--margin", "-1"],
        [before, before, "--confidence", "1"],
        [before, before, "--threshold", "0"],
        [rows(tmp_path / "r.csv.gz", latency=0.1), rows(tmp_path / "s.csv.gz", latency=0.1), "--block-seconds", "600"],
        [tmp_path / "r.csv.gz", tmp_path / "s.csv.gz", "--metric", "p75"],
    ):
        assert called(*arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_single_requests_are_no_units_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a latency to sum them up by, they are refused; with one, each minute is a block."""
    sides = []
    for name, factor in (("a", 1.0), ("b", 1.5)):
        generator = np.random.default_rng(len(sides))
        rows_ = [f"{1_700_000_000 + i / 4},{factor * generator.lognormal(4, 0.1):.2f}" for i in range(8 * 240)]
        sides.append(tmp_path / f"{name}.csv")
        sides[-1].write_text("\n".join(["timestamp,latency", *rows_]))
    assert called(*sides) == 2
    assert "ART-471" in capsys.readouterr().err
    assert called(*sides, "--metric", "p95", "--json") == 1
    assert json.loads(capsys.readouterr().out)["blocks"] in ([8, 8], [7, 7])


SLO = "objectives:\n  - sli: p95\n    pass:\n      - criteria: ['<=+10%']\n  - sli: build\ntotal_score: {pass: 90%}\n"


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("time,p95\n1,90\n2,100\n", '{"p95": 110}', 0, "pass"),
        ("time,p95\n1,90\n2,100\n", '{"p95": 111}', 1, "violates <=+10% (of 100: 110)"),
        ("p95\n", '{"p95": 1}', 4, "there is no earlier value"),
        ("p95,result\n100,fail\n", '{"p95": null}', 1, "no value"),
        ("p95\n100\n", '[{"p95": 110, "name": "x"}]', 0, "pass"),
    ],
)
def test_keptns_rules_from_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, code: int, words: str
) -> None:
    """Earlier evaluations as rows, this one as an object."""
    for name, text in (("slo.yaml", SLO), ("b.csv", before), ("a.json", after)):
        (tmp_path / name).write_text(text)
    assert called("--slo", tmp_path / "slo.yaml", tmp_path / "b.csv", tmp_path / "a.json") == code
    assert words in capsys.readouterr().out
    assert called("--slo", tmp_path / "slo.yaml", tmp_path / "b.csv", tmp_path / "a.json", "--json") == code
    assert json.loads(capsys.readouterr().out)["rules"] == "keptn"


def test_one_evaluation_can_be_rows_of_sli_and_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And junit has a case for each SLI and one for the total."""
    (tmp_path / "slo.yaml").write_text(SLO)
    (tmp_path / "b.csv").write_text("p95\n100\n")
    (tmp_path / "a.csv").write_text("sli,value\np95,120\n")
    assert called("--slo", tmp_path / "slo.yaml", tmp_path / "b.csv", tmp_path / "a.csv", "--junit") == 1
    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314  just written
    assert [(case.get("name"), len(case.findall("failure"))) for case in root] == [("p95", 1), ("build", 0), ("total score", 1)]


def test_which_evaluations_passed_is_not_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that counts passed ones only needs the column `result`, with words that are results."""
    (tmp_path / "slo.yaml").write_text("comparison: {include_result_with_score: pass}\n" + SLO)
    (tmp_path / "a.json").write_text('{"p95": 110}')
    for text, code in (("p95\n100\n", 2), ("p95,result\n100,good\n", 2), ("p95,result\n100,pass\n", 0), ("p95,result\n100,fail\n50,\n", 4)):
        (tmp_path / "b.csv").write_text(text)
        assert called("--slo", tmp_path / "slo.yaml", tmp_path / "b.csv", tmp_path / "a.json") == code, text
        assert capsys.readouterr().err.count("\n") == (code == 2)


def test_kayentas_rules_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of values per metric and side."""
    config = {
        "metrics": [{"name": "p95", "groups": ["g"], "analysisConfigurations": {"canary": {"direction": "increase"}}}],
        "classifier": {"groupWeights": {"g": 100}, "scoreThresholds": {"pass": 95, "marginal": 75}},
    }
    (tmp_path / "canary.json").write_text(json.dumps(config))
    (tmp_path / "b.json").write_text(json.dumps({"p95": BASE, "other": ["x"]}))
    for factor, code, answer in ((1.0, 0, "pass"), (1.5, 1, "fail")):
        (tmp_path / "a.csv").write_text("\n".join(["p95", *(str(v * factor) for v in BASE)]))
        assert called("--kayenta", tmp_path / "canary.json", tmp_path / "b.json", tmp_path / "a.csv", "--json") == code
        document = json.loads(capsys.readouterr().out)
        assert (document["rules"], document["answer"]) == ("kayenta", answer)
    (tmp_path / "a.csv").write_text("p50\n1\n")
    assert called("--kayenta", tmp_path / "canary.json", tmp_path / "b.json", tmp_path / "a.csv") == 1


def test_imported_rules_refuse_what_they_do_not_use(tmp_path: Path, before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that would change nothing is a misunderstanding."""
    (tmp_path / "slo.yaml").write_text(SLO)
    for arguments in (["--threshold", "15"], ["--metric", "p95"], ["--plot", str(tmp_path / "x.svg")]):
        assert called("--slo", tmp_path / "slo.yaml", before, before, *arguments) == 2
        assert "PAR-333" in capsys.readouterr().err
    assert called("--slo", tmp_path / "none.yaml", before, before) == 2


def test_both_sides_of_the_plot_have_hostile_names_as_text(tmp_path: Path) -> None:
    """A name from a file cannot become an element or a formula."""
    (tmp_path / "a.json").write_text(json.dumps({"<g onload='x'>$\\frac$": BASE}))
    assert called(tmp_path / "a.json", tmp_path / "a.json", "--plot", tmp_path / "a.svg") in (0, 4)
    text = (tmp_path / "a.svg").read_text()
    ET.fromstring(text)  # noqa: S314  just written
    assert "<g onload" not in text
